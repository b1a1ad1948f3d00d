"""Milesight's uplinks: a sequence of values, each behind a channel and a type byte.

    CC TT VV …  CC TT VV …

    C  u8  channel, T  u8  type: together they tell what the value is and how long; FF for the device itself
    V      the value, little-endian

There is no length and no checksum: behind an unknown pair or a value cut short nothing can be
located. Values of channel FF say nothing about the field and are skipped. Answers to downlinks
(other types of FE and FF) have sizes that depend on the device type and end the decoding. Stored
measurements of another time are left out, since that time is told in the device's own clock. The
FPort is a setting (85 unless changed), so it means nothing.

Sources: Milesight-IoT/SensorDecoders: the README.md of each device type; user guides, section "Device Payload".
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import TypeAlias

from msgspec import Struct

from lora_post.errors import DecodeError, Implausible, NoReading, WrongFormat, WrongLength
from lora_post.model import Reading

Kind: TypeAlias = tuple[int, int]


class Item(Struct, frozen=True):
    """The value behind one channel and type.

    size: its bytes. read: value -> readings; raises DecodeError, which costs this item only.
    """

    size: int
    read: Callable[[bytes], list[Reading]]


def number(
    name: str, unit: str, code: str, scale: int = 1, most: float | None = None, faults: frozenset[int] = frozenset()
) -> Item:
    """An item with one number.

    code: its type as in `struct`. scale: the number is divided by it. most: the largest value that the
    sensor can measure. faults: the numbers that are sent in place of a value; they give no reading.
    """
    layout = struct.Struct(f"<{code}")

    def read(value: bytes) -> list[Reading]:
        (raw,) = layout.unpack(value)
        if raw in faults:
            return []
        measured = raw if scale == 1 else raw / scale
        if most is not None and measured > most:
            raise Implausible(f"{name} {measured} {unit}, at most {most}")
        return [Reading(name, measured, unit)]

    return Item(layout.size, read)


def state(name: str) -> Item:
    """An item with one byte, 1 for true and 0 for false."""

    def read(value: bytes) -> list[Reading]:
        if value[0] > 1:
            raise WrongFormat(f"{name} {value[0]:02x}, want 0 or 1")
        return [Reading(name, value[0] == 1)]

    return Item(1, read)


def stored(size: int) -> Item:
    """A stored measurement of another time; size: its bytes, with the four of the time."""
    return Item(size, _leave_out)


def _leave_out(value: bytes) -> list[Reading]:
    raise WrongFormat("stored measurements of another time are left out")


def _skip(value: bytes) -> list[Reading]:
    return []


BATTERY: Kind = (0x01, 0x75)
BATTERY_LEVEL = number("battery_level", "%", "B", most=100)
HISTORY: Kind = (0x20, 0xCE)

DEVICE = 0xFF
ANSWERS = (0xFE, 0xFF)
ABOUT_DEVICE: dict[Kind, Item] = {
    (DEVICE, kind): Item(size, _skip)
    for kind, size in {
        0x01: 1,  # protocol version
        0x08: 6,  # serial number
        0x09: 2,  # hardware version
        0x0A: 2,  # firmware version
        0x0B: 1,  # switched on
        0x0F: 1,  # LoRaWAN class
        0x16: 8,  # serial number
        0x18: 2,  # which sensors are on
        0xFE: 1,  # reset
        0xFF: 2,  # version of the table of values
    }.items()
}


def read_items(payload: bytes, items: Mapping[Kind, Item]) -> list[Reading]:
    """All readings of a payload.

    items: what the device type sends, by channel and type.
    Raises WrongLength or WrongFormat where decoding ends, the first item's error where it could go on,
    each with the readings that were understood; NoReading for a payload about the device only.
    """
    readings: list[Reading] = []
    problem: DecodeError | None = None
    about_field = False
    offset = 0
    while offset < len(payload):
        kind = (payload[offset], payload[offset + 1] if offset + 1 < len(payload) else -1)
        item = items.get(kind) or ABOUT_DEVICE.get(kind)
        if item is None:
            header = payload[offset : offset + 2].hex(" ")
            if kind[0] in ANSWERS and kind[1] >= 0 and not about_field:
                raise NoReading(f"offset {offset}: {header} is about the device's settings")
            raise WrongFormat(f"offset {offset}: {header} is not known", readings)
        value = payload[offset + 2 : offset + 2 + item.size]
        if len(value) < item.size:
            raise WrongLength(f"offset {offset}: value cut short, {len(value)} of {item.size} bytes", readings)
        about_field = about_field or kind[0] != DEVICE
        try:
            readings += item.read(value)
        except DecodeError as error:
            readings += error.kept
            problem = problem or type(error)(f"offset {offset}: {error}")
        offset += 2 + item.size
    if problem:
        raise type(problem)(str(problem), readings)
    if payload and not about_field:
        raise NoReading("the payload is about the device, not about the field")
    return readings
