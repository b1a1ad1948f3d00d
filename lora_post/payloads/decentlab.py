"""Decentlab's uplinks: one header for all device types, then the data of the sensors in it.

    VV II II FF FF WW WW …

    V  u8   protocol version, always 2
    I  u16  device id, the number on the label
    F  u16  flags: bit n = the data of sensor n are there
    W  u16  data, in the order of the sensors; how many words a sensor has and what they mean is up to the device type

All big-endian. The FPort is not documented, so it means nothing.

Source: Decentlab's datasheets, section "Sensor data message format"; decentlab/decentlab-decoders.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import TypeAlias

from msgspec import Struct

from lora_post.errors import DecodeError, NoReading, WrongFormat, WrongLength
from lora_post.model import Reading

HEADER = struct.Struct(">BHH")
VERSION = 2
WORD = 2  # bytes

Words: TypeAlias = tuple[int, ...]


class Sensor(Struct, frozen=True):
    """The data behind one flag.

    words: how many. read: words -> readings; raises DecodeError, which costs this sensor only.
    """

    words: int
    read: Callable[[Words], list[Reading]]


def _read_battery(words: Words) -> list[Reading]:
    return [Reading("battery_voltage", words[0] / 1000, "V")]


BATTERY = Sensor(1, _read_battery)


def read_sensors(payload: bytes, sensors: Sequence[Sensor]) -> list[Reading]:
    """Return all readings of a payload. sensors: those of the device type, flag 0 first.

    Raises WrongLength or WrongFormat where payload and header disagree, else the first sensor's error,
    each with the readings that were understood; NoReading for a header alone.
    """
    if len(payload) < HEADER.size:
        raise WrongLength(f"{len(payload)} bytes, want {HEADER.size} or more")
    version, _, flags = HEADER.unpack_from(payload)
    if version != VERSION:
        raise WrongFormat(f"protocol version {version}, want {VERSION}")
    readings: list[Reading] = []
    problem: DecodeError | None = None
    offset = HEADER.size
    for bit, sensor in enumerate(sensors):
        if not flags >> bit & 1:
            continue
        end = offset + sensor.words * WORD
        if end > len(payload):
            raise WrongLength(f"sensor {bit} cut short: {len(payload)} bytes, want {end} or more", readings)
        try:
            readings += sensor.read(struct.unpack_from(f">{sensor.words}H", payload, offset))
        except DecodeError as error:
            readings += error.kept
            problem = problem or error
        offset = end
    if flags >> len(sensors):
        raise WrongFormat(f"flags {flags:04x}: more than the {len(sensors)} known sensors", readings)
    if offset != len(payload):
        raise WrongLength(f"{len(payload)} bytes, want {offset} with flags {flags:04x}", readings)
    if problem:
        raise type(problem)(problem.what, readings, fix=problem.fix)
    if not flags:
        raise NoReading("the payload lists no sensor")
    return readings
