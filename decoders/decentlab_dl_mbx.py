"""Decentlab DL-MBX ultrasonic distance and level sensor: distance to a surface, battery.

The header of all Decentlab devices (`lora_post.payloads.decentlab`), then the words of the
sensors that it lists, big-endian:

    sensor 0  u16  distance, mm
              u16  how many of the 15 samples were valid
    sensor 1  u16  battery, mV

Without a valid sample the distance is missing, and their number is 0.
"""

from lora_post import Decoder, Example, Implausible, NoReading, Reading, WrongFormat, WrongLength
from lora_post.payloads.decentlab import BATTERY, Sensor, Words, read_sensors

FARTHEST = 10_000  # mm; the longer of two ranges


def read_distance(words: Words) -> list[Reading]:
    distance, samples = words
    valid = Reading("valid_samples", samples)
    if samples == 0:
        return [valid]
    if distance > FARTHEST:
        raise Implausible(f"distance {distance} mm, the sensor ends at {FARTHEST}", [valid])
    return [Reading("distance", distance, "mm"), valid]


SENSORS = (Sensor(2, read_distance), BATTERY)


def decode(payload: bytes, fport: int) -> list[Reading]:
    return read_sensors(payload, SENSORS)


DECODER = Decoder(
    name="decentlab-dl-mbx",
    vendor="Decentlab",
    model="DL-MBX",
    source="decentlab/decentlab-decoders: DL-MBX/DL-MBX.py; DL-MBX Datasheet for range and samples",
    decode=decode,
    examples=[
        Example(  # published by the maker, in DL-MBX/DL-MBX.py, as the next one
            "02 012F 0003 04D2 0001 0BB1",
            fport=1,
            gives=[
                Reading("distance", 1234, "mm"),
                Reading("valid_samples", 1),
                Reading("battery_voltage", 2.993, "V"),
            ],
        ),
        Example("02 012F 0002 0BB1", fport=1, gives=[Reading("battery_voltage", 2.993, "V")]),
        Example(  # built, as all below: no echo
            "02 012F 0003 0000 0000 0BB1",
            fport=1,
            gives=[Reading("valid_samples", 0), Reading("battery_voltage", 2.993, "V")],
        ),
        Example(
            "02 012F 0003 FFFF 000F 0BB1",
            fport=1,
            gives=[Reading("valid_samples", 15), Reading("battery_voltage", 2.993, "V")],
            fails=Implausible,
        ),
        Example(
            "02 012F 0003 04D2 0001 0B",
            fport=1,
            gives=[Reading("distance", 1234, "mm"), Reading("valid_samples", 1)],
            fails=WrongLength,
        ),
        Example("00 012F 0002 0BB1", fport=1, fails=WrongFormat),
        Example("02 012F 0000", fport=1, fails=NoReading),
    ],
)
