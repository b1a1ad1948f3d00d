"""The value types of Cayenne LPP, and how one of them is read; XLPP uses them too.

All numbers are big-endian. A reader gets the payload and an offset two bytes before the value's data,
where a dynamic payload has the channel and the type, and returns the value and the size with these two
bytes; a value cut short raises `struct.error`, a polyline that contradicts itself a DecodeError.

Sources: ElectronicCats/CayenneLPP: src/CayenneLPP.h and src/CayenneLPPPolyline.cpp; smlng/pycayennelpp:
cayennelpp/lpp_type.py (type 122); the names are The Things Network's.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from struct import Struct
from typing import Final, NamedTuple

from lora_post.errors import DecodeError, WrongFormat, WrongLength
from lora_post.model import Reading, Value

HEADER_SIZE: Final = 2

Read = Callable[[bytes, int], tuple[Value, int]]


class Number(NamedTuple):
    """A type that holds one number, which is divided by the scale; layout: a code of `struct`."""

    name: str
    unit: str
    layout: str
    scale: int


NUMBERS: Final[dict[int, Number]] = {
    0: Number("digital_in", "", "B", 1),
    1: Number("digital_out", "", "B", 1),
    2: Number("analog_in", "", "h", 100),
    3: Number("analog_out", "", "h", 100),
    100: Number("generic", "", "I", 1),
    101: Number("luminosity", "lx", "H", 1),
    102: Number("presence", "", "B", 1),
    103: Number("temperature", "°C", "h", 10),
    104: Number("relative_humidity", "%", "B", 2),
    115: Number("barometric_pressure", "hPa", "H", 10),
    116: Number("voltage", "V", "H", 100),
    117: Number("current", "A", "H", 1000),
    118: Number("frequency", "Hz", "I", 1),
    120: Number("percentage", "%", "B", 1),
    121: Number("altitude", "m", "h", 1),
    125: Number("concentration", "ppm", "H", 1),
    128: Number("power", "W", "H", 1),
    130: Number("distance", "m", "I", 1000),
    131: Number("energy", "kWh", "I", 1000),
    132: Number("direction", "°", "H", 1),
    133: Number("unix_time", "s", "I", 1),
    142: Number("switch", "", "B", 1),
}
SIGNED: Final = (115, 116, 117, 130, 131)
"""Unsigned by their definition; some libraries send and read them signed."""

SIGNED_NUMBERS: Final = NUMBERS | {kind: NUMBERS[kind]._replace(layout=NUMBERS[kind].layout.lower()) for kind in SIGNED}
POLYLINE_FACTORS: Final = dict(
    zip(range(227, 240), (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000), strict=True)
)

# The two header bytes are part of every layout. A signed 24-bit number is `bH`: its high byte, the rest.
_THREE_SHORTS: Final = Struct(">xxhhh")
_THREE_BYTES: Final = Struct(">xxBBB")
_LOAD: Final = Struct(">xxbH")
_GPS: Final = Struct(">xxbHbHbH")
_POLYLINE: Final = Struct(">xxBBbHbH")


def _read_accelerometer(payload: bytes, offset: int) -> tuple[Value, int]:
    x, y, z = _THREE_SHORTS.unpack_from(payload, offset)
    return {"x": x / 1000, "y": y / 1000, "z": z / 1000}, _THREE_SHORTS.size


def _read_gyrometer(payload: bytes, offset: int) -> tuple[Value, int]:
    x, y, z = _THREE_SHORTS.unpack_from(payload, offset)
    return {"x": x / 100, "y": y / 100, "z": z / 100}, _THREE_SHORTS.size


def _read_load(payload: bytes, offset: int) -> tuple[Value, int]:
    high, low = _LOAD.unpack_from(payload, offset)
    return (high << 16 | low) / 1000, _LOAD.size


def _read_colour(payload: bytes, offset: int) -> tuple[Value, int]:
    red, green, blue = _THREE_BYTES.unpack_from(payload, offset)
    return {"r": red, "g": green, "b": blue}, _THREE_BYTES.size


def _read_gps(payload: bytes, offset: int) -> tuple[Value, int]:
    a, b, c, d, e, f = _GPS.unpack_from(payload, offset)
    position = {
        "latitude": (a << 16 | b) / 10000,
        "longitude": (c << 16 | d) / 10000,
        "altitude": (e << 16 | f) / 100,
    }
    return position, _GPS.size


def _read_polyline(payload: bytes, offset: int) -> tuple[Value, int]:
    size, code, a, b, c, d = _POLYLINE.unpack_from(payload, offset)
    smallest = _POLYLINE.size - HEADER_SIZE
    factor = POLYLINE_FACTORS.get(code, code if code < 200 else 0)
    if factor == 0:
        raise WrongFormat(f"factor {code} is not defined")
    if size < smallest:
        raise WrongFormat(f"size {size}, want {smallest} or more")
    steps = payload[offset + _POLYLINE.size : offset + HEADER_SIZE + size]
    if len(steps) < size - smallest:
        raise WrongLength(f"value cut short, {len(payload) - offset - HEADER_SIZE} of {size} bytes")
    latitude, longitude = a << 16 | b, c << 16 | d
    track: list[Value] = [{"latitude": latitude * factor / 10000, "longitude": longitude * factor / 10000}]
    for step in steps:
        latitude += ((step & 15) ^ 8) - 8
        longitude += (step >> 4 ^ 8) - 8
        track.append({"latitude": latitude * factor / 10000, "longitude": longitude * factor / 10000})
    return track, HEADER_SIZE + size


# type: (name, unit, layout of its first bytes, function)
_OBJECTS: Final[dict[int, tuple[str, str, Struct, Read]]] = {
    113: ("accelerometer", "g", _THREE_SHORTS, _read_accelerometer),
    122: ("load", "kg", _LOAD, _read_load),
    134: ("gyrometer", "°/s", _THREE_SHORTS, _read_gyrometer),
    135: ("colour", "", _THREE_BYTES, _read_colour),
    136: ("gps", "", _GPS, _read_gps),
    240: ("polyline", "", _POLYLINE, _read_polyline),
}

NAMES: Final[dict[int, str]] = {kind: number.name for kind, number in NUMBERS.items()} | {
    kind: entry[0] for kind, entry in _OBJECTS.items()
}
"""Type -> the name that its readings start with."""

# name with channel, channel, unit, size, unpack_from, scale, read: what one step of the loops below needs
Item = tuple[str, int, str, int, Callable[[bytes, int], tuple[int, ...]], int, Read | None]


class Items(dict[int, Item]):
    """What each `channel << 8 | type` means, made when it is first seen: at most 256 × 28.

    KeyError: a type that is not known.
    """

    def __init__(self, numbers: Mapping[int, Number]) -> None:
        super().__init__()
        self._numbers = numbers

    def __missing__(self, header: int) -> Item:
        channel, kind = divmod(header, 256)
        item: Item
        if kind in _OBJECTS:
            name, unit, layout, read = _OBJECTS[kind]
            item = (f"{name}_{channel}", channel, unit, layout.size, layout.unpack_from, 1, read)
        else:
            name, unit, code, scale = self._numbers[kind]
            layout = Struct(f">xx{code}")
            item = (f"{name}_{channel}", channel, unit, layout.size, layout.unpack_from, scale, None)
        self[header] = item
        return item


ITEMS: Final = Items(NUMBERS)
SIGNED_ITEMS: Final = Items(SIGNED_NUMBERS)


def read_item(item: Item, payload: bytes, offset: int, age_s: float = 0.0) -> tuple[Reading, int]:
    """Return the reading of one item, and its size with the two header bytes.

    offset and errors: see the top of this module.
    """
    name, channel, unit, size, unpack, scale, read = item
    value: Value
    if read is not None:
        value, size = read(payload, offset)
    else:
        (value,) = unpack(payload, offset)
        if scale != 1:
            value /= scale
    return Reading(name, value, unit, channel, age_s=age_s), size


def decode(payload: bytes, fport: int, items: Items = ITEMS) -> list[Reading]:
    """Decode `channel type data …`. Raises DecodeError with the readings before the mistake.

    The loop is `read_item` written out: it runs for every payload, and a call for each item costs more
    than anything else in it.
    """
    readings: list[Reading] = []
    offset, end = 0, len(payload)
    try:
        value: Value
        while offset < end:
            name, channel, unit, size, unpack, scale, read = items[payload[offset] << 8 | payload[offset + 1]]
            if read is not None:
                value, size = read(payload, offset)
            else:
                (value,) = unpack(payload, offset)
                if scale != 1:
                    value /= scale
            readings.append(Reading(name, value, unit, channel))
            offset += size
    except IndexError:
        raise WrongLength(f"offset {offset}: one stray byte {payload[offset]:02x} at the end", readings) from None
    except (KeyError, struct.error, DecodeError) as error:
        raise _item_error(payload, offset, error, readings) from None
    return readings


def _item_error(payload: bytes, offset: int, error: Exception, kept: list[Reading]) -> DecodeError:
    """Say what is wrong with the item at offset.

    error: KeyError for an unknown type, struct.error for a value cut short, or a DecodeError.
    """
    kind = payload[offset + 1]
    where = f"offset {offset}: channel {payload[offset]}, type {kind}"
    if isinstance(error, DecodeError):
        return type(error)(f"{where}: {error.what}", kept, fix=error.fix)
    if isinstance(error, KeyError):
        return WrongFormat(f"{where}: unknown type", kept)
    left = len(payload) - offset - HEADER_SIZE
    return WrongLength(f"{where}: value cut short, {left} of {ITEMS[kind][3] - HEADER_SIZE} bytes", kept)
