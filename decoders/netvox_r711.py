"""Netvox R711, R712, R718A, R718AB and R720A: temperature, humidity, battery.

Eleven bytes on FPort 6, big-endian:

    VV DD RR BB TT TT HH HH 00 00 00

    V  u8   version, always 1
    D  u8   device type: 01 = R711 or R712, 0B = R718A, 13 = R718AB, 6E = R720A
    R  u8   report type: 1 = status, as here; 0 = hardware and firmware version, no reading
    B  u8   battery: bit 7 = low, bits 6-0 in 0.1 V
    T  i16  temperature, 0.01 °C
    H  u16  relative humidity, 0.01 %

FPort 7 carries answers to configuration requests, no reading. Not seen: other report types, and a
value in place of which a fault is sent.
"""

from struct import Struct

from lora_post import Decoder, Example, Implausible, NoReading, Reading, WrongFormat, WrongLength

FPORT = 6
CONFIGURATION_FPORT = 7
LAYOUT = Struct(">BBBBhHxxx")
VERSION = 1
DEVICES = (0x01, 0x0B, 0x13, 0x6E)
VERSION_REPORT, STATUS_REPORT = 0, 1
LOW = 0x80
SATURATED = 10_000  # 0.01 %


def decode(payload: bytes, fport: int) -> list[Reading]:
    if fport == CONFIGURATION_FPORT:
        raise NoReading("answer to a configuration request")
    if len(payload) != LAYOUT.size:
        raise WrongLength(f"{len(payload)} bytes, want {LAYOUT.size}")
    version, device, report, battery, temperature, humidity = LAYOUT.unpack(payload)
    if fport != FPORT or version != VERSION or device not in DEVICES:
        raise WrongFormat(f"FPort {fport}, version {version}, device type {device:02x}; want {FPORT} and {VERSION}")
    if report == VERSION_REPORT:
        raise NoReading("hardware and firmware version")
    if report != STATUS_REPORT:
        raise WrongFormat(f"report type {report}, want {STATUS_REPORT}")

    readings = [
        Reading("battery_voltage", (battery & ~LOW) / 10, "V"),
        Reading("battery_low", battery & LOW != 0),
        Reading("temperature", temperature / 100, "°C"),
    ]
    if humidity > SATURATED:
        raise Implausible(f"humidity {humidity / 100} %", readings)
    readings.append(Reading("relative_humidity", humidity / 100, "%"))
    return readings


DECODER = Decoder(
    name="netvox-r711",
    vendor="Netvox",
    model="R711, R712, R718A, R718AB, R720A",
    source="R718A User Manual, section 5; TheThingsNetwork/lorawan-devices: vendor/netvox/r711-codec.yaml",
    decode=decode,
    examples=[
        Example(  # published in TheThingsNetwork/lorawan-devices: vendor/netvox/r711-codec.yaml
            "01 01 01 1E 09EA 1A90 000000",
            fport=6,
            gives=[
                Reading("battery_voltage", 3.0, "V"),
                Reading("battery_low", False),
                Reading("temperature", 25.38, "°C"),
                Reading("relative_humidity", 68.0, "%"),
            ],
        ),
        Example(  # published by the maker, in the R718A User Manual, as the next one
            "01 0B 01 24 0670 1A9E 000000",
            fport=6,
            gives=[
                Reading("battery_voltage", 3.6, "V"),
                Reading("battery_low", False),
                Reading("temperature", 16.48, "°C"),
                Reading("relative_humidity", 68.14, "%"),
            ],
        ),
        Example(
            "01 0B 01 9F FF39 1A9E 000000",
            fport=6,
            gives=[
                Reading("battery_voltage", 3.1, "V"),
                Reading("battery_low", True),
                Reading("temperature", -1.99, "°C"),
                Reading("relative_humidity", 68.14, "%"),
            ],
        ),
        Example("01 01 00 64 4820 1712 080000", fport=6, fails=NoReading),  # r711-codec.yaml, as the next two
        Example("81 01 00 0000 0000 00000000", fport=7, fails=NoReading),
        Example("82 01 0384 0708 01 0032 0032", fport=7, fails=NoReading),
        Example(  # built, as all below
            "01 01 01 1E 09EA FFFF 000000",
            fport=6,
            gives=[
                Reading("battery_voltage", 3.0, "V"),
                Reading("battery_low", False),
                Reading("temperature", 25.38, "°C"),
            ],
            fails=Implausible,
        ),
        Example("01 01 02 1E 09EA 1A90 000000", fport=6, fails=WrongFormat),
        Example("01 02 01 1E 09EA 1A90 000000", fport=6, fails=WrongFormat),
        Example("01 01 01 1E 09EA 1A90 000000", fport=2, fails=WrongFormat),
        Example("01 01 01 1E 09EA 1A90", fport=6, fails=WrongLength),
    ],
)
