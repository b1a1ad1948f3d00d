"""The one JSON or CBOR value that a payload holds.

Both formats give dict, list, str, int, float, bool and None. Numbers that are not finite or beyond 64
bits, and half surrogate pairs, are for the caller to judge; `flatten` leaves them out.
"""

from __future__ import annotations

import json
from decimal import Decimal
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from lora_post.errors import WrongFormat, WrongLength

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_DEPTH: Final = 16
"""CBOR items in one another, tags included."""

# What cbor2 would make objects of: dates, patterns, addresses … Their content is what the device sent.
_CONTENT_TAGS: Final = (0, 1, 28, 30, 35, 36, 37, 52, 54, 100, 256, 258, 260, 261, 1004, 43000, 55799)
_REFERENCE_TAGS: Final = (25, 29)


def read_json(payload: bytes) -> object:
    """Read a JSON text in UTF-8. Raises WrongFormat.

    NULs and line ends behind it are ignored, NaN and Infinity are None.
    """
    try:
        return json.loads(payload.rstrip(b"\0\r\n").decode(), parse_constant=lambda _: None)
    except UnicodeDecodeError as error:
        raise WrongFormat(f"not JSON: not UTF-8 at offset {error.start}") from None
    except json.JSONDecodeError as error:
        raise WrongFormat(f"not JSON: {error.msg} at character {error.pos}") from None
    except (ValueError, RecursionError):  # an integer of thousands of digits; thousands of brackets
        raise WrongFormat("not JSON: a number too long or objects too deep") from None


def read_cbor(payload: bytes) -> tuple[Any, int]:
    """Read the first CBOR data item; return it and its size in bytes.

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
        raise WrongFormat(f"not CBOR: {str(error)[:80]}") from None
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
