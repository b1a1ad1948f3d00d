"""Milesight EM500-UDL: ultrasonic distance to a surface.

A sequence of values as all Milesight sensors send it (`lora_post.payloads.milesight`),
little-endian:

    C T   V
    01 75  u8   battery, %
    03 82  u16  distance, mm
    83 E9  5    distance alarm: u16 distance, u16 its change; u8 0 = back within the thresholds,
                1 = beyond them, 2 = changed too fast
    20 CE  6    a stored value of an earlier time: u32 Unix time, u16 distance, mm

Of an alarm only the last byte is used: the maker's table and decoder disagree on the scale of its
distances. Not seen: a distance in place of which a fault is sent.
"""

from lora_post import Decoder, Example, Implausible, NoReading, Reading, WrongFormat, WrongLength
from lora_post.payloads.milesight import BATTERY, BATTERY_LEVEL, HISTORY, read_items, stored
from lora_post.payloads.tagged import Item, number

FARTHEST = 10_000  # mm; the longest variant ends here
ALARM_SIZE = 5
LAST_ALARM = 2


def read_alarm(value: bytes) -> list[Reading]:
    alarm = value[-1]
    if alarm > LAST_ALARM:
        raise WrongFormat(f"alarm {alarm}, want 0, 1 or 2")
    return [Reading("distance_alarm", alarm != 0)]


DISTANCE = number("distance", "mm", "<H", most=FARTHEST)
ITEMS = {
    BATTERY: BATTERY_LEVEL,
    b"\x03\x82": DISTANCE,
    b"\x83\xe9": Item(ALARM_SIZE, read_alarm),
    HISTORY: stored(DISTANCE),
}


def decode(payload: bytes, fport: int) -> list[Reading]:
    return read_items(payload, ITEMS)


DECODER = Decoder(
    name="milesight-em500-udl",
    vendor="Milesight",
    model="EM500-UDL",
    source="Milesight-IoT/SensorDecoders: em-series/em500-udl/README.md and em500-udl-decoder.js",
    decode=decode,
    examples=[
        Example(  # published by the maker, in em-series/em500-udl/README.md
            "01 75 64  03 82 1E00",
            fport=85,
            gives=[Reading("battery_level", 100, "%"), Reading("distance", 30, "mm")],
        ),
        Example(  # published in TheThingsNetwork/lorawan-devices: vendor/milesight-iot/em500-udl-codec.yaml
            "01 75 5C  03 82 1E00",
            fport=85,
            gives=[Reading("battery_level", 92, "%"), Reading("distance", 30, "mm")],
        ),
        Example(  # built, as all below
            "03 82 4408  83 E9 4408 E803 02",
            fport=85,
            gives=[Reading("distance", 2116, "mm"), Reading("distance_alarm", True)],
        ),
        Example("FF 0B FF  FF 01 01  FF 0A 0102", fport=85, fails=NoReading),  # after a join
        Example("03 82 FFFF  01 75 64", fport=85, gives=[Reading("battery_level", 100, "%")], fails=Implausible),
        Example("83 E9 4408 E803 09", fport=85, fails=WrongFormat),
        Example(
            "20 CE 9E744663 1F00  03 82 1E00",
            fport=85,
            gives=[Reading("distance", 31, "mm", at_s=1665561758), Reading("distance", 30, "mm")],
        ),
        Example("20 CE 9E744663 FFFF  03 82 1E00", fport=85, gives=[Reading("distance", 30, "mm")], fails=Implausible),
        Example("01 75 64  03 82 1E", fport=85, gives=[Reading("battery_level", 100, "%")], fails=WrongLength),
    ],
)
