"""The one JSON or CBOR value that a payload holds, and the readings in it.

Both formats give dict, list, str, int, float, bool and None. What comes from the radio may be wrong in
any way that they allow: `read_json` and `read_cbor` leave it to the caller to judge numbers that are not
finite or beyond 64 bits, and half surrogate pairs; `to_readings` leaves them out.
"""

from __future__ import annotations

import json
from decimal import Decimal
from io import BytesIO
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from lora_post.errors import WrongFormat, WrongLength
from lora_post.model import Decoded, Reading, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_DEPTH: Final = 16
"""CBOR items in one another, tags included."""
MAX_NESTED: Final = 8
"""Objects and lists in one another that a reading may hold, as in the reports."""

# What cbor2 would make objects of: dates, patterns, addresses … Their content is what the device sent.
_CONTENT_TAGS: Final = (0, 1, 28, 30, 35, 36, 37, 52, 54, 100, 256, 258, 260, 261, 1004, 43000, 55799)
_REFERENCE_TAGS: Final = (25, 29)


def read_json(payload: bytes) -> object:
    """A JSON text in UTF-8; NULs and line ends behind it are ignored, NaN and Infinity are None.

    Raises WrongFormat.
    """
    try:
        return json.loads(payload.rstrip(b"\0\r\n").decode(), parse_constant=lambda _: None)
    except UnicodeDecodeError as error:
        raise WrongFormat(f"no JSON: not UTF-8 at offset {error.start}") from None
    except json.JSONDecodeError as error:
        raise WrongFormat(f"no JSON: {error.msg} at character {error.pos}") from None
    except (ValueError, RecursionError):  # an integer of thousands of digits; thousands of brackets
        raise WrongFormat("no JSON: a number too long or objects too deep") from None


def read_cbor(payload: bytes) -> tuple[Any, int]:
    """The first CBOR data item, and its size in bytes.

    Byte strings become hex text, `undefined` and simple values None, decimal fractions floats; other
    tags are ignored. Keys are texts and integers. Shared references (tags 25 and 29), with which a few
    bytes make a loop or millions of values, are refused. Raises WrongFormat and WrongLength.
    Source: RFC 8949.
    """
    import cbor2  # here, so that only a device that sends CBOR pays for it

    stream = BytesIO(payload)
    tags: Mapping[int, Callable[[Any, bool], Any]] = dict.fromkeys(_CONTENT_TAGS, _content) | dict.fromkeys(
        _REFERENCE_TAGS, _refuse
    )
    try:
        item = cbor2.CBORDecoder(
            stream, max_depth=MAX_DEPTH, semantic_decoders=tags, tag_hook=lambda tag, immutable: tag.value
        ).decode()
    except cbor2.CBORDecodeEOF:
        raise WrongLength("CBOR cut short") from None
    except cbor2.CBORDecodeError as error:
        raise WrongFormat(f"no CBOR: {str(error)[:80]}") from None
    return _plain(item), stream.tell()


def _content(content: Any, immutable: bool) -> Any:
    return content


def _refuse(content: Any, immutable: bool) -> Any:
    raise ValueError("shared references are not supported")


def _plain(item: Any) -> Any:
    if item is None or isinstance(item, bool | int | float | str):
        return item
    if isinstance(item, bytes):
        return item.hex()
    if isinstance(item, Decimal):
        return float(item) if item.is_finite() else None
    if isinstance(item, list | tuple):
        return [_plain(member) for member in item]
    if isinstance(item, dict):
        return {_key(key): _plain(value) for key, value in item.items()}
    return None


def _key(key: object) -> str | int:
    if isinstance(key, str) or (isinstance(key, int) and not isinstance(key, bool)):
        return key
    raise WrongFormat("a CBOR key is neither text nor integer")


def to_readings(value: object) -> list[Reading] | Decoded:
    """A reading for each member of an object, `value_0` … for those of a list, `value` for anything else.

    Objects and lists in there stay whole. None is a missing value. What cannot be a reading is left out
    with a warning.
    """
    if isinstance(value, dict):
        members = [(str(key), member) for key, member in value.items()]
    elif isinstance(value, list):
        members = [(f"value_{place}", member) for place, member in enumerate(value)]
    else:
        members = [("value", value)]
    readings: list[Reading] = []
    warnings: list[str] = []
    for name, member in members:
        if member is None:
            continue
        try:
            if not (name and name.isprintable()):
                raise WrongFormat("its name is empty or not printable")
            readings.append(Reading(name, _storable(member, MAX_NESTED)))
        except WrongFormat as error:
            warnings.append(f"{name[:40]!r} left out: {error}")
    return Decoded(readings, tuple(warnings)) if warnings else readings


def _storable(value: object, depth: int) -> Value:
    if isinstance(value, dict | list) and depth == 0:
        raise WrongFormat(f"nested deeper than {MAX_NESTED} levels")
    if isinstance(value, dict):
        return {_text(str(key)): _storable(member, depth - 1) for key, member in value.items() if member is not None}
    if isinstance(value, list):
        return [_storable(member, depth - 1) for member in value]
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int) and -(2**63) <= value < 2**63:  # bool is one, too
        return value
    if isinstance(value, float) and isfinite(value):
        return value
    raise WrongFormat("a null in a list" if value is None else "a number that is not finite or beyond 64 bits")


def _text(text: str) -> str:
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise WrongFormat("half a surrogate pair is no text")
    return text
