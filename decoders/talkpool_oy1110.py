"""Talkpool OY1110: temperature and humidity.

One measurement in three bytes on FPort 2, or on FPort 3 the latest and those before it, a head first:

    TT HH XX            FPort 2
    GG  TT HH XX  …     FPort 3

    T  bits 11-4 of the temperature, u12, 0.1 °C + 80 °C
    H  bits 11-4 of the relative humidity, u12, 0.1 % + 25 %
    X  bits 7-4: bits 3-0 of the temperature; bits 3-0: bits 3-0 of the humidity
    G  u8  time from one measurement to the next in bits 6-0: minutes, or hours where bit 7 is set

The latest measurement comes first. FPort 1 carries settings and the device's status.
"""

from lora_post import Decoder, Example, Implausible, NoReading, Reading, WrongFormat, WrongLength

SETTINGS, SINGLE, GROUP = 1, 2, 3
SIZE = 3


def decode(payload: bytes, fport: int) -> list[Reading]:
    if fport == SETTINGS:
        raise NoReading(f"FPort {fport} tells the device's settings")
    if fport not in (SINGLE, GROUP):
        raise WrongFormat(f"FPort {fport}, want {SINGLE} or {GROUP}")
    head = 1 if fport == GROUP else 0
    count, rest = divmod(len(payload) - head, SIZE)
    if rest or count < 1 or (count > 1 and fport == SINGLE):
        raise WrongLength(f"{len(payload)} bytes, want {head + SIZE}{' or a multiple of 3 more' if head else ''}")
    interval_s = interval(payload[0]) if head else 0.0

    readings: list[Reading] = []
    faults: list[float] = []
    for number in range(count):
        high, humidity_high, low = payload[head + number * SIZE : head + number * SIZE + SIZE]
        percent = ((humidity_high << 4 | low & 15) - 250) / 10
        age_s = number * interval_s
        readings.append(Reading("temperature", ((high << 4 | low >> 4) - 800) / 10, "°C", age_s=age_s))
        if 0 <= percent <= 100:
            readings.append(Reading("relative_humidity", percent, "%", age_s=age_s))
        else:
            faults.append(percent)
    if faults:
        raise Implausible(f"humidity {faults[0]} %", readings)
    return readings


def interval(head: int) -> float:
    """Return the seconds from one measurement to the next."""
    return (head & 0x7F) * (3600.0 if head & 0x80 else 60.0)


DECODER = Decoder(
    name="talkpool-oy1110",
    vendor="Talkpool",
    model="OY1110",
    source="OY1110 user manual 1.0, section 9.3",
    decode=decode,
    examples=[
        Example(  # the manual's, section 9.3.5
            "3E 44 1D", fport=2, gives=[Reading("temperature", 19.3, "°C"), Reading("relative_humidity", 85.1, "%")]
        ),
        Example(  # the manual's, section 9.3.6
            "0F  2E 3C CD  33 38 D2  39 31 F5",
            fport=3,
            gives=[
                Reading("temperature", -5.2, "°C"),
                Reading("relative_humidity", 72.3, "%"),
                Reading("temperature", 2.9, "°C", age_s=900.0),
                Reading("relative_humidity", 64.8, "%", age_s=900.0),
                Reading("temperature", 12.7, "°C", age_s=1800.0),
                Reading("relative_humidity", 53.9, "%", age_s=1800.0),
            ],
        ),
        Example(  # built, as all below: two hours apart
            "82  3E 44 1D  2E 3C CD",
            fport=3,
            gives=[
                Reading("temperature", 19.3, "°C"),
                Reading("relative_humidity", 85.1, "%"),
                Reading("temperature", -5.2, "°C", age_s=7200.0),
                Reading("relative_humidity", 72.3, "%", age_s=7200.0),
            ],
        ),
        Example("20 00", fport=1, fails=NoReading),
        Example("3E FF 1D", fport=2, gives=[Reading("temperature", 19.3, "°C")], fails=Implausible),
        Example(
            "0F  3E FF 1D  2E 3C CD",
            fport=3,
            gives=[
                Reading("temperature", 19.3, "°C"),
                Reading("temperature", -5.2, "°C", age_s=900.0),
                Reading("relative_humidity", 72.3, "%", age_s=900.0),
            ],
            fails=Implausible,
        ),
        Example("3E 44 1D", fport=42, fails=WrongFormat),
        Example("3E 44", fport=2, fails=WrongLength),
        Example("0F  3E 44 1D  2E", fport=3, fails=WrongLength),
    ],
)
