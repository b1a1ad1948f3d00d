"""Dragino LDDS75 ultrasonic sensor: distance to a surface, battery, one external probe.

Eight bytes on FPort 2 (five, up to I, before firmware 1.1.4), every 20 minutes, big-endian:

    BB BB DD DD II TT TT FF

    B  u16  battery in mV, in bits 13-0; bits 15-14 unused
    D  u16  distance, mm; 0000 = no ultrasonic sensor, below 0118 (280 mm) = too near or no echo,
            which firmware 1.1.4 and later sends as 0014
    I  u8   1 = sent because of the interrupt pin
    T  i16  DS18B20 probe, 0.1 °C; 0000 without a probe
    F  u8   1 = the ultrasonic sensor answers

No echo and no sensor drop the distance, never the frame. A probe at exactly 0.0 °C cannot be told
from no probe, so it gives no reading. Not decoded: four bytes, as the first firmware sent them,
because the maker's tools disagree on what they mean; other FPorts.
"""

from struct import Struct

from lora_post import Decoder, Example, Implausible, Reading, WrongFormat, WrongLength

FPORT = 2
LAYOUT = Struct(">HHBhB")
OLD_LAYOUT = Struct(">HHB")
NEAREST = 280
FARTHEST = 7533  # mm; the range ends at 7500, the stated error is 1 cm + 0.3 %


def decode(payload: bytes, fport: int) -> list[Reading]:
    if len(payload) == LAYOUT.size:
        battery, distance, interrupt, temperature, answers = LAYOUT.unpack(payload)
    elif len(payload) == OLD_LAYOUT.size:
        battery, distance, interrupt = OLD_LAYOUT.unpack(payload)
        temperature, answers = 0, 1
    else:
        raise WrongLength(f"{len(payload)} bytes, want {LAYOUT.size} or {OLD_LAYOUT.size}")
    if fport != FPORT or interrupt > 1 or answers > 1:
        raise WrongFormat(f"FPort {fport}, flags {interrupt:02x} and {answers:02x}; want {FPORT}, 0 or 1")

    readings = [
        Reading("battery_voltage", (battery & 0x3FFF) / 1000, "V"),
        Reading("interrupt", interrupt == 1),
    ]
    if temperature:
        readings.append(Reading("external_temperature", temperature / 10, "°C"))
    if distance > FARTHEST:
        raise Implausible(f"distance {distance} mm, the sensor ends at {FARTHEST}", readings)
    if answers and distance >= NEAREST:
        readings.append(Reading("distance", distance, "mm"))
    return readings


DECODER = Decoder(
    name="dragino-ldds75",
    vendor="Dragino",
    model="LDDS75",
    source="LDDS75 User Manual, section 2.3; dragino/dragino-end-node-decoder: LDDS75/LDDS75_Decoder_V1.1.4.js",
    decode=decode,
    examples=[
        Example(  # published in TheThingsNetwork/lorawan-devices: vendor/dragino/ldds75-114-codec.yaml
            "0D3B 0AEF 00 0000 01",
            fport=2,
            gives=[
                Reading("battery_voltage", 3.387, "V"),
                Reading("interrupt", False),
                Reading("distance", 2799, "mm"),
            ],
        ),
        Example(  # the manual's values of each field, frost at the probe
            "0B45 0B05 01 FF3F 01",
            fport=2,
            gives=[
                Reading("battery_voltage", 2.885, "V"),
                Reading("interrupt", True),
                Reading("external_temperature", -19.3, "°C"),
                Reading("distance", 2821, "mm"),
            ],
        ),
        Example(  # no echo
            "0B45 0014 00 0105 01",
            fport=2,
            gives=[
                Reading("battery_voltage", 2.885, "V"),
                Reading("interrupt", False),
                Reading("external_temperature", 26.1, "°C"),
            ],
        ),
        Example(  # ultrasonic sensor unplugged
            "0B45 0000 00 0105 00",
            fport=2,
            gives=[
                Reading("battery_voltage", 2.885, "V"),
                Reading("interrupt", False),
                Reading("external_temperature", 26.1, "°C"),
            ],
        ),
        Example(  # before firmware 1.1.4
            "0B45 0B05 00",
            fport=2,
            gives=[
                Reading("battery_voltage", 2.885, "V"),
                Reading("interrupt", False),
                Reading("distance", 2821, "mm"),
            ],
        ),
        Example(
            "0B45 FFFF 00 0000 01",
            fport=2,
            gives=[Reading("battery_voltage", 2.885, "V"), Reading("interrupt", False)],
            fails=Implausible,
        ),
        Example("0D3B 0AEF 00 0000 01", fport=42, fails=WrongFormat),
        Example("0D3B 0AEF 07 0000 01", fport=2, fails=WrongFormat),
        Example("0E1C 0B05", fport=2, fails=WrongLength),
    ],
)
