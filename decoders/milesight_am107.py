"""Milesight AM107 indoor air: temperature, humidity, CO2, VOC, pressure, light, activity.

A sequence of values as all Milesight sensors send it (`lora_post.payloads.milesight`), every
10 minutes (battery once a day), little-endian:

    C T   V
    01 75  u8     battery, %
    03 67  i16    temperature, 0.1 °C
    04 68  u8     relative humidity, 0.5 %
    05 6A  u16    activity: how often the infrared detector saw movement
    06 65  3×u16  illuminance in lx; visible and infrared light, infrared light, both as raw numbers
    07 7D  u16    CO2, ppm
    08 7D  u16    total volatile organic compounds, ppb
    09 73  u16    barometric pressure, 0.1 hPa

A sensor that is switched off is left out by the device. Not seen: a value in place of which a fault
is sent.
"""

from struct import Struct

from lora_post import Decoder, Example, Implausible, NoReading, Reading, WrongFormat, WrongLength
from lora_post.payloads.milesight import BATTERY, BATTERY_LEVEL, read_items
from lora_post.payloads.tagged import Item, number

LIGHT = Struct("<HHH")


def read_light(value: bytes) -> list[Reading]:
    illuminance, infrared_and_visible, infrared = LIGHT.unpack(value)
    return [
        Reading("illuminance", illuminance, "lx"),
        Reading("infrared_and_visible", infrared_and_visible),
        Reading("infrared", infrared),
    ]


ITEMS = {
    BATTERY: BATTERY_LEVEL,
    b"\x03\x67": number("temperature", "°C", "<h", 10),
    b"\x04\x68": number("relative_humidity", "%", "B", 2, most=100),
    b"\x05\x6a": number("activity", "", "<H"),
    b"\x06\x65": Item(LIGHT.size, read_light),
    b"\x07\x7d": number("co2", "ppm", "<H"),
    b"\x08\x7d": number("tvoc", "ppb", "<H"),
    b"\x09\x73": number("barometric_pressure", "hPa", "<H", 10),
}


def decode(payload: bytes, fport: int) -> list[Reading]:
    return read_items(payload, ITEMS)


DECODER = Decoder(
    name="milesight-am107",
    vendor="Milesight",
    model="AM107",
    source="AM100 Series User Guide, section 7; Milesight-IoT/SensorDecoders: am-series/am107/README.md",
    decode=decode,
    examples=[
        Example(  # published by the maker, in am-series/am107/README.md
            "01 75 5C  03 67 3401  04 68 65  05 6A 4900  06 65 1C00 7900 1400  07 7D E704  08 7D 0700  09 73 3F27",
            fport=85,
            gives=[
                Reading("battery_level", 92, "%"),
                Reading("temperature", 30.8, "°C"),
                Reading("relative_humidity", 50.5, "%"),
                Reading("activity", 73),
                Reading("illuminance", 28, "lx"),
                Reading("infrared_and_visible", 121),
                Reading("infrared", 20),
                Reading("co2", 1255, "ppm"),
                Reading("tvoc", 7, "ppb"),
                Reading("barometric_pressure", 1004.7, "hPa"),
            ],
        ),
        Example(  # published in TheThingsNetwork/lorawan-devices: vendor/milesight-iot/am107-codec.yaml
            "07 7D E704  08 7D 0700  09 73 3F27",
            fport=85,
            gives=[
                Reading("co2", 1255, "ppm"),
                Reading("tvoc", 7, "ppb"),
                Reading("barometric_pressure", 1004.7, "hPa"),
            ],
        ),
        Example(  # the user guide's values of single fields
            "01 75 64  03 67 1001  04 68 71",
            fport=85,
            gives=[
                Reading("battery_level", 100, "%"),
                Reading("temperature", 27.2, "°C"),
                Reading("relative_humidity", 56.5, "%"),
            ],
        ),
        Example("FF 01 01  FF 09 0140  FF 0A 0114  FF 0F 00  FF 18 007F", fport=85, fails=NoReading),  # after a join
        Example("FE 10 FF", fport=85, fails=NoReading),  # built: answer to a downlink that restarts it
        Example(  # built, as all below
            "04 68 C9  07 7D E704",
            fport=85,
            gives=[Reading("co2", 1255, "ppm")],
            fails=Implausible,
        ),
        Example("07 7D E704  06 65 1C00 79", fport=85, gives=[Reading("co2", 1255, "ppm")], fails=WrongLength),
        Example("07 7D E704  0A 7D 0700", fport=85, gives=[Reading("co2", 1255, "ppm")], fails=WrongFormat),
    ],
)
