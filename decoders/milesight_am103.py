"""Milesight AM103 and AM103L: indoor air with temperature, humidity, CO2.

A sequence of values as all Milesight sensors send it (`lora_post.payloads.milesight`),
little-endian:

    C T   V
    01 75  u8   battery, %
    03 67  i16  temperature, 0.1 °C
    04 68  u8   relative humidity, 0.5 %
    07 7D  u16  CO2, ppm
    20 CE  9    stored values of an earlier time: u32 Unix time, then i16, u8 and u16 as above

Not seen: a value in place of which a fault is sent.
"""

from lora_post import Decoder, Example, Implausible, NoReading, Reading, WrongFormat, WrongLength
from lora_post.payloads.milesight import BATTERY, BATTERY_LEVEL, HISTORY, read_items, stored
from lora_post.payloads.tagged import number

TEMPERATURE = number("temperature", "°C", "<h", 10)
HUMIDITY = number("relative_humidity", "%", "B", 2, most=100)
CO2 = number("co2", "ppm", "<H")
ITEMS = {
    BATTERY: BATTERY_LEVEL,
    b"\x03\x67": TEMPERATURE,
    b"\x04\x68": HUMIDITY,
    b"\x07\x7d": CO2,
    HISTORY: stored(TEMPERATURE, HUMIDITY, CO2),
}


def decode(payload: bytes, fport: int) -> list[Reading]:
    return read_items(payload, ITEMS)


DECODER = Decoder(
    name="milesight-am103",
    vendor="Milesight",
    model="AM103, AM103L",
    source="AM103/AM103L User Guide, section 6; Milesight-IoT/SensorDecoders: am-series/am103/README.md",
    decode=decode,
    examples=[
        Example(  # published by the maker, in am-series/am103/README.md
            "01 75 64  03 67 1801  04 68 6D  07 7D C501",
            fport=85,
            gives=[
                Reading("battery_level", 100, "%"),
                Reading("temperature", 28.0, "°C"),
                Reading("relative_humidity", 54.5, "%"),
                Reading("co2", 453, "ppm"),
            ],
        ),
        Example(  # built, as all below: frost
            "03 67 F6FF  04 68 C8  07 7D 9001",
            fport=85,
            gives=[
                Reading("temperature", -1.0, "°C"),
                Reading("relative_humidity", 100.0, "%"),
                Reading("co2", 400, "ppm"),
            ],
        ),
        Example("FF 0B FF  FF 01 01  FF 16 6784B12345670001  FF 18 0013", fport=85, fails=NoReading),  # after a join
        Example(
            "07 7D C501  20 CE 9E744663 1801 6D C601",
            fport=85,
            gives=[
                Reading("co2", 453, "ppm"),
                Reading("temperature", 28.0, "°C", at_s=1665561758),
                Reading("relative_humidity", 54.5, "%", at_s=1665561758),
                Reading("co2", 454, "ppm", at_s=1665561758),
            ],
        ),
        Example("07 7D C501  20 7D C501", fport=85, gives=[Reading("co2", 453, "ppm")], fails=WrongFormat),
        Example("01 75 FF  07 7D C501", fport=85, gives=[Reading("co2", 453, "ppm")], fails=Implausible),
        Example("07 7D C501  03 67 18", fport=85, gives=[Reading("co2", 453, "ppm")], fails=WrongLength),
    ],
)
