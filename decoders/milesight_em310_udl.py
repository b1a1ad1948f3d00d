"""Milesight EM310-UDL: ultrasonic distance to a surface, and whether the device is tilted.

A sequence of values as all Milesight sensors send it (`lora_post.payloads.milesight`),
little-endian:

    C T   V
    01 75  u8   battery, %
    03 82  u16  distance, mm
    04 00  u8   position: 0 = as it was mounted, 1 = tilted

Not seen: a distance in place of which a fault is sent.
"""

from lora_post import Decoder, Example, Implausible, NoReading, Reading, WrongFormat, WrongLength
from lora_post.payloads.milesight import BATTERY, BATTERY_LEVEL, read_items, state
from lora_post.payloads.tagged import number

FARTHEST = 10_000  # mm; well beyond the device's range, so that only nonsense is farther

ITEMS = {
    BATTERY: BATTERY_LEVEL,
    b"\x03\x82": number("distance", "mm", "<H", most=FARTHEST),
    b"\x04\x00": state("tilted"),
}


def decode(payload: bytes, fport: int) -> list[Reading]:
    return read_items(payload, ITEMS)


DECODER = Decoder(
    name="milesight-em310-udl",
    vendor="Milesight",
    model="EM310-UDL",
    source="Milesight-IoT/SensorDecoders: em-series/em310-udl/README.md",
    decode=decode,
    examples=[
        Example(  # published by the maker, in em-series/em310-udl/README.md
            "01 75 5C  03 82 4408  04 00 01",
            fport=85,
            gives=[Reading("battery_level", 92, "%"), Reading("distance", 2116, "mm"), Reading("tilted", True)],
        ),
        Example(  # built, as all below
            "03 82 4408  04 00 00", fport=85, gives=[Reading("distance", 2116, "mm"), Reading("tilted", False)]
        ),
        Example("FF 0B FF  FF 01 01  FF 0A 0102", fport=85, fails=NoReading),  # after a join
        Example("03 82 FFFF  04 00 00", fport=85, gives=[Reading("tilted", False)], fails=Implausible),
        Example("03 82 4408  04 00 02", fport=85, gives=[Reading("distance", 2116, "mm")], fails=WrongFormat),
        Example("04 00 00  03 82 44", fport=85, gives=[Reading("tilted", False)], fails=WrongLength),
    ],
)
