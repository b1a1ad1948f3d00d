"""Values for the actuators of XLPP and Cayenne LPP devices, as bytes.

XLPP: `channel type data …`, as in uplinks; Cayenne LPP: `channel value …` with values of 16 bits in hundredths, FF at
the end, no types. An actuator is named after its type and its channel: `switch_0`.

Sources: Waziup/xlpp: lpp_values.go, xlpp_values.go; ElectronicCats/CayenneLPP: README.md.
"""

from __future__ import annotations

import binascii
import re
import struct
from collections.abc import Callable, Mapping
from typing import Final

from lora_post.errors import WrongFormat
from lora_post.payloads.lpp import NAMES, NUMBERS

XLPP_PORT: Final = 100
"""That of WaziGates; the devices do not look at it."""
_NAME: Final = re.compile(r"(?:actuator_)?([a-z_]*?)_?([0-9]{1,3})")
_COLOUR: Final = re.compile(r"#([0-9a-fA-F]{6})")
_TYPES: Final = {name: kind for kind, name in NAMES.items()}
_TRUE, _FALSE, _INTEGER, _STRING, _BINARY = 54, 55, 51, 52, 57
_COLOUR_TYPE, _GPS_TYPE = 135, 136
_MAX_BITS: Final = 64


def encode_xlpp(values: Mapping[str, object]) -> tuple[int | None, bytes]:
    """Return FPort and payload of values for an XLPP device. Raises WrongFormat."""
    return XLPP_PORT, b"".join(_xlpp_item(name, value) for name, value in values.items())


def encode_lpp(values: Mapping[str, object]) -> tuple[int | None, bytes]:
    """Return the payload of values for a Cayenne LPP device; it goes to any FPort. Raises WrongFormat."""
    items = [bytes((channel_of(name, 255)[1],)) + _number(name, value, "h", 100) for name, value in values.items()]
    return None, b"".join(items) + b"\xff"


def channel_of(name: str, below: int) -> tuple[str, int]:
    """Return type and channel of an actuator's name: switch_0, actuator_switch_0 or switch0. Raises WrongFormat."""
    match = _NAME.fullmatch(name)
    if not match or int(match[2]) >= below:
        raise WrongFormat(f"{name!r} is not the name of an actuator", fix="write its type and channel, as switch_0")
    return match[1], int(match[2])


def _xlpp_item(name: str, value: object) -> bytes:
    kind, channel = channel_of(name, 251)
    encoder = _ENCODERS.get(kind)
    if encoder:
        return bytes((channel,)) + encoder(name, value)
    number = NUMBERS.get(_TYPES.get(kind, -1))
    if number is None:
        known = ", ".join(sorted({*_ENCODERS, *(each.name for each in NUMBERS.values())}))
        raise WrongFormat(f"{name}: {kind!r} is not a type of value for an actuator", fix=f"known are {known}")
    return bytes((channel, _TYPES[kind])) + _number(name, value, number.layout, number.scale)


def _number(name: str, value: object, layout: str, scale: int) -> bytes:
    if not isinstance(value, bool | int | float):
        raise WrongFormat(f"{name} is {value!r}, want a number")
    try:
        return struct.pack(f">{layout}", round(value * scale))
    except (struct.error, ValueError, OverflowError):
        raise WrongFormat(f"{name} is {value}, which does not fit") from None


def _bool(name: str, value: object) -> bytes:
    if not isinstance(value, bool | int):
        raise WrongFormat(f"{name} is {value!r}, want true or false")
    return bytes((_TRUE if value else _FALSE,))


def _integer(name: str, value: object) -> bytes:
    if not isinstance(value, int) or isinstance(value, bool) or value.bit_length() >= _MAX_BITS:
        raise WrongFormat(f"{name} is {value!r}, want a whole number of 64 bits")
    return bytes((_INTEGER,)) + _varint(value << 1 if value >= 0 else (-value << 1) - 1)


def _varint(number: int) -> bytes:
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*made, number))


def _string(name: str, value: object) -> bytes:
    if not isinstance(value, str) or "\0" in value:
        raise WrongFormat(f"{name} is {value!r}, want a text without NUL")
    return bytes((_STRING,)) + value.encode() + b"\0"


def _binary(name: str, value: object) -> bytes:
    try:
        data = binascii.a2b_base64(value, strict_mode=True) if isinstance(value, str) else None
    except (binascii.Error, ValueError):
        data = None
    if data is None:
        raise WrongFormat(f"{name} is {value!r}, want base64")
    return bytes((_BINARY,)) + _varint(len(data)) + data


def _colour(name: str, value: object) -> bytes:
    parts: object = value
    if isinstance(value, str) and (match := _COLOUR.fullmatch(value)):
        parts = list(bytes.fromhex(match[1]))
    elif isinstance(value, dict):
        parts = [value.get(key) for key in ("r", "g", "b")]
    if isinstance(parts, list) and len(parts) == 3 and all(type(part) is int and 0 <= part <= 255 for part in parts):
        return bytes((_COLOUR_TYPE, *parts))
    raise WrongFormat(f"{name} is {value!r}", fix='write a colour as "#ffaa00", [255, 170, 0] or {"r": 255, …}')


def _gps(name: str, value: object) -> bytes:
    if not isinstance(value, dict):
        raise WrongFormat(f"{name} is {value!r}", fix='write {"latitude": …, "longitude": …, "altitude": …}')
    made = bytes((_GPS_TYPE,))
    for key, scale in (("latitude", 10_000), ("longitude", 10_000), ("altitude", 100)):
        number = _number(f"{name}.{key}", value.get(key, 0 if key == "altitude" else None), "i", scale)
        if number[:1] not in (b"\0", b"\xff"):
            raise WrongFormat(f"{name}.{key} is {value[key]}, which does not fit")
        made += number[1:]
    return made


_ENCODERS: Final[Mapping[str, Callable[[str, object], bytes]]] = {
    "bool": _bool,
    "integer": _integer,
    "string": _string,
    "binary": _binary,
    "colour": _colour,
    "gps": _gps,
}


def encode_text(values: Mapping[str, object]) -> tuple[int | None, bytes]:
    """Return a text as its UTF-8 bytes, for any FPort; values: the text by the name `text`. Raises WrongFormat."""
    text = values.get("text")
    if len(values) != 1 or not isinstance(text, str):
        raise WrongFormat("want one text", fix='write {"text": "…"}, or the text in quotes alone')
    return None, text.encode()
