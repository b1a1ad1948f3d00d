"""Milesight EM300-TH: temperature, humidity, battery.

A sequence of values as all Milesight sensors send it (`lora_post.payloads.milesight`), every
10 minutes (battery every 6 hours), little-endian:

    C T   V
    01 75  u8   battery, %
    03 67  i16  temperature, 0.1 °C
    04 68  u8   relative humidity, 0.5 %
    20 CE  8    stored values of an earlier time: u32 Unix time, i16 and u8 as above, one unused

Not seen: a value in place of which a fault is sent.
"""

from lora_post import Decoder, Example, Implausible, NoReading, Reading, WrongFormat, WrongLength
from lora_post.payloads.milesight import BATTERY, BATTERY_LEVEL, HISTORY, read_items, stored
from lora_post.payloads.tagged import number, skipped

TEMPERATURE = number("temperature", "°C", "<h", 10)
HUMIDITY = number("relative_humidity", "%", "B", 2, most=100)
ITEMS = {
    BATTERY: BATTERY_LEVEL,
    b"\x03\x67": TEMPERATURE,
    b"\x04\x68": HUMIDITY,
    HISTORY: stored(TEMPERATURE, HUMIDITY, skipped(1)),
}


def decode(payload: bytes, fport: int) -> list[Reading]:
    return read_items(payload, ITEMS)


DECODER = Decoder(
    name="milesight-em300-th",
    vendor="Milesight",
    model="EM300-TH",
    source="EM300 Series User Guide, section 5; Milesight-IoT/SensorDecoders: em-series/em300-th/README.md",
    decode=decode,
    examples=[
        Example(  # published by the maker, as the next ones up to FE 03
            "01 75 5C  03 67 3401  04 68 65",
            fport=85,
            gives=[
                Reading("battery_level", 92, "%"),
                Reading("temperature", 30.8, "°C"),
                Reading("relative_humidity", 50.5, "%"),
            ],
        ),
        Example(
            "01 75 64  03 67 0401  04 68 7B",
            fport=85,
            gives=[
                Reading("battery_level", 100, "%"),
                Reading("temperature", 26.0, "°C"),
                Reading("relative_humidity", 61.5, "%"),
            ],
        ),
        Example("03 67 9CFF", fport=85, gives=[Reading("temperature", -10.0, "°C")]),  # an alarm, in frost
        Example("FF 09 0100  FF 0A 0102  FF 0F 00", fport=85, fails=NoReading),  # after a join
        Example("FE 03 5802", fport=85, fails=NoReading),  # built: answer to a downlink
        Example(  # published by the maker
            "20 CE 9E744663 1001 5D 00",
            fport=85,
            gives=[
                Reading("temperature", 27.2, "°C", at_s=1665561758),
                Reading("relative_humidity", 46.5, "%", at_s=1665561758),
            ],
        ),
        Example(  # built, as all below: stored measurements before a new one
            "20 CE 9E744663 1001 5D 00  20 CE F6764663 9CFF 5F 00  03 67 1001",
            fport=85,
            gives=[
                Reading("temperature", 27.2, "°C", at_s=1665561758),
                Reading("relative_humidity", 46.5, "%", at_s=1665561758),
                Reading("temperature", -10.0, "°C", at_s=1665562358),
                Reading("relative_humidity", 47.5, "%", at_s=1665562358),
                Reading("temperature", 27.2, "°C"),
            ],
        ),
        Example("03 67 1001  05 00 01", fport=85, gives=[Reading("temperature", 27.2, "°C")], fails=WrongFormat),
        Example("03 67 1001  04 68", fport=85, gives=[Reading("temperature", 27.2, "°C")], fails=WrongLength),
        Example("04 68 FF  03 67 1001", fport=85, gives=[Reading("temperature", 27.2, "°C")], fails=Implausible),
    ],
)
