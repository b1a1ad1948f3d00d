"""Browan Tabs TBHH100 healthy home sensor: temperature, humidity, battery.

Eight bytes on FPort 103, at each change of some °C or % and at an interval:

    SS BB TT HH XX XX XX XX

    S  u8  status: which change it was sent for
    B  u8  battery, 2.5 V + 0.1 V a step, in bits 3-0; bits 7-4 unused
    T  u8  temperature, °C + 32, in bits 6-0
    H  u8  relative humidity, %, in bits 6-0; 127 = measurement error
    X      FF: gases, which this model does not measure

A humidity that was not measured drops its reading, never the frame. FPorts 204 and 222 tell
settings and versions.
"""

from lora_post import Decoder, Example, Implausible, NoReading, Reading, WrongFormat, WrongLength
from lora_post.payloads.browan import battery_voltage, check, temperature

FPORT = 103
HUMIDITY_FAULT = 127


def decode(payload: bytes, fport: int) -> list[Reading]:
    check(payload, fport, FPORT)
    humidity = payload[3] & 0x7F
    readings = [battery_voltage(payload), temperature("temperature", payload)]
    if 100 < humidity < HUMIDITY_FAULT:
        raise Implausible(f"humidity {humidity} %", readings)
    if humidity != HUMIDITY_FAULT:
        readings.append(Reading("relative_humidity", humidity, "%"))
    return readings


DECODER = Decoder(
    name="browan-tbhh100",
    vendor="Browan",
    model="TBHH100 (Tabs healthy home sensor)",
    source="TBHV110 and TBWL100 Reference Manuals, section 4.1; TheThingsNetwork/lorawan-devices: "
    "vendor/browan/tbhh100.js",
    decode=decode,
    examples=[
        Example(  # published in TheThingsNetwork/lorawan-devices: vendor/browan/tbhh100-codec.yaml
            "08 AB 35 22 FFFFFFFF",
            fport=103,
            gives=[
                Reading("battery_voltage", 3.6, "V"),
                Reading("temperature", 21, "°C"),
                Reading("relative_humidity", 34, "%"),
            ],
        ),
        Example(  # published in chirpstack/chirpstack-device-profiles: vendors/browan/codecs
            "08 0A 0D 3A FFFFFFFF",
            fport=103,
            gives=[
                Reading("battery_voltage", 3.5, "V"),
                Reading("temperature", -19, "°C"),
                Reading("relative_humidity", 58, "%"),
            ],
        ),
        Example(  # built, as all below: humidity not measured
            "08 0A 35 7F FFFFFFFF",
            fport=103,
            gives=[Reading("battery_voltage", 3.5, "V"), Reading("temperature", 21, "°C")],
        ),
        Example("00 100E 02 0A00 04 0200 06 0500 00", fport=204, fails=NoReading),
        Example(
            "08 0A 35 70 FFFFFFFF",
            fport=103,
            gives=[Reading("battery_voltage", 3.5, "V"), Reading("temperature", 21, "°C")],
            fails=Implausible,
        ),
        Example("08 AB 35 22 FFFFFFFF", fport=42, fails=WrongFormat),
        Example("08 AB 35 22", fport=103, fails=WrongLength),
    ],
)
