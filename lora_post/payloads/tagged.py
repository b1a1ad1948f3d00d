"""Payloads that are a sequence of values, each behind a tag that tells what and how long.

    TT … VV …  TT … VV …

    T  one or two bytes, the same number in all of a payload: a type, or a channel and a type
    V  the value

Length and checksum are missing: behind an unknown tag or a value cut short nothing can be located,
so the readings before it are kept and the rest is given up. A value that the sensor cannot have
measured, or that stands for a fault, loses only its own reading.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Container, Iterable, Mapping
from itertools import count
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from lora_post.errors import DecodeError, Implausible, WrongFormat, WrongLength
from lora_post.model import Reading


class Item(Struct, frozen=True):
    """The value behind one tag.

    size: its bytes. read: value -> readings; raises DecodeError, which costs this item only.
    """

    size: int
    read: Callable[[bytes], list[Reading]]


Items: TypeAlias = Mapping[bytes, Item]


def number(
    name: str,
    unit: str = "",
    layout: str = "B",
    scale: int = 1,
    least: float | None = None,
    most: float | None = None,
    faults: frozenset[int] = frozenset(),
    quantity: str = "",
) -> Item:
    """Return an item with one number.

    layout: its type and byte order as in `struct`. scale: the number is divided by it. least, most: what
    the sensor can measure. faults: the numbers, before scaling, that are sent in place of a value.
    """
    raw_number = struct.Struct(layout)

    def read(value: bytes) -> list[Reading]:
        (raw,) = raw_number.unpack(value)
        if raw in faults:
            return []
        measured = raw if scale == 1 else raw / scale
        limit = f"at least {least}" if least is not None and measured < least else ""
        limit = f"at most {most}" if most is not None and measured > most else limit
        if limit:
            raise Implausible(f"{' '.join((name, str(measured), unit)).strip()}, {limit}")
        return [Reading(name, measured, unit, quantity=quantity)]

    return Item(raw_number.size, read)


def flag(name: str, quantity: str = "") -> Item:
    """Return an item with one byte, 0 for false and anything else for true."""
    return Item(1, lambda value: [Reading(name, value[0] != 0, quantity=quantity)])


def axes(name: str, unit: str, scale: int) -> Item:
    """Return an item with three signed 16-bit numbers, big-endian: x, y and z."""
    layout = struct.Struct(">hhh")

    def read(value: bytes) -> list[Reading]:
        x, y, z = layout.unpack(value)
        return [Reading(name, {"x": x / scale, "y": y / scale, "z": z / scale}, unit)]

    return Item(layout.size, read)


def skipped(size: int) -> Item:
    """Return an item that gives no reading."""
    return Item(size, lambda value: [])


def together(*items: Item) -> Item:
    """Return the item of several values behind one tag."""

    def read(value: bytes) -> list[Reading]:
        readings: list[Reading] = []
        problem: DecodeError | None = None
        offset = 0
        for item in items:
            try:
                readings += item.read(value[offset : offset + item.size])
            except DecodeError as error:
                readings += error.kept
                problem = problem or error
            offset += item.size
        if problem:
            raise type(problem)(problem.what, readings, fix=problem.fix)
        return readings

    return Item(sum(item.size for item in items), read)


def read_values(payload: bytes, items: Items, start: int = 0) -> list[Reading]:
    """Return all readings of a payload, under the names that their items give them.

    items: at least one, all tags of one size. start: where the first tag is.
    Raises WrongLength or WrongFormat where decoding ends, the first item's error where it could go on,
    each with the readings that were understood.
    """
    tag_size = len(next(iter(items)))
    readings: list[Reading] = []
    problem: DecodeError | None = None
    offset = start
    while offset < len(payload):
        tag = payload[offset : offset + tag_size]
        item = items.get(tag)
        if item is None:
            raise WrongFormat(f"offset {offset}: {tag.hex(' ')} is not known", readings)
        value = payload[offset + tag_size : offset + tag_size + item.size]
        if len(value) < item.size:
            raise WrongLength(f"offset {offset}: value cut short, {len(value)} of {item.size} bytes", readings)
        try:
            readings += item.read(value)
        except DecodeError as error:
            readings += error.kept
            problem = problem or type(error)(f"offset {offset}: {error.what}", fix=error.fix)
        offset += tag_size + item.size
    if problem:
        raise type(problem)(problem.what, readings, fix=problem.fix)
    return readings


def read_tagged(payload: bytes, items: Items, start: int = 0) -> list[Reading]:
    """Do what `read_values` does, and number names that come again: `distance`, `distance_2`."""
    try:
        return _numbered(read_values(payload, items, start))
    except DecodeError as error:
        raise type(error)(str(error), _numbered(error.kept)) from None


def _numbered(readings: Iterable[Reading]) -> list[Reading]:
    found: dict[str, Reading] = {}
    for reading in readings:
        name = _free_name(reading.name, found)
        found[name] = reading if name == reading.name else replace(reading, name=name)
    return list(found.values())


def _free_name(name: str, taken: Container[str]) -> str:
    if name not in taken:
        return name
    base = re.sub(r"_[0-9]+\Z", "", name)
    return next(numbered for numbered in (f"{base}_{n}" for n in count(2)) if numbered not in taken)
