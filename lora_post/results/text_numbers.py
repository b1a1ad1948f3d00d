"""Numbers that codecs write as texts: `"22.50"`, `"1700 mm"`, `"18℃"`, `"2.3(low battery)"`."""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from lora_post.results.meanings import known_unit

MAX_DIGITS: Final = 15  # more is an identity: IMEI, serial number

_TEXT: Final = re.compile(
    r"\s*(?P<number>[-+]?(?:0|[1-9][0-9]*)?(?P<fraction>\.[0-9]+(?:[eE][-+]?[0-9]{1,2})?)?)"
    r"(?P<blank>\s*)(?P<unit>[^\s0-9().,;:][^()]{0,15}?)?\s*(?:\((?P<note>[^()]{1,60})\))?\s*"
)


class TextNumber(Struct, frozen=True):
    """A number that was a text.

    unit: a symbol of `UNITS`, "" without one. is_sure: "3V" may be an identity, "3 V" and "18℃" are not. note: what
    stood in brackets behind it.
    """

    number: int | float
    unit: str = ""
    is_sure: bool = True
    note: str = ""


def read_number(text: str) -> TextNumber | None:
    """Return the number that a text is, perhaps with a unit and a note; None for any other text.

    Leading zeros and more than 15 digits before the point are an identity, an unknown unit makes it a text.
    """
    match = _TEXT.fullmatch(text) if len(text) <= 100 else None
    if match is None or not any(character.isdigit() for character in match["number"]):
        return None
    if len(match["number"].partition(".")[0].lstrip("-+")) > MAX_DIGITS:
        return None
    written = match["unit"] or ""
    unit = known_unit(written)
    if written and not unit:
        return None
    number = float(match["number"]) if match["fraction"] else int(match["number"])
    is_sure = bool(match["blank"]) or not written[:1].isascii() or not written[:1].isalpha()
    return TextNumber(number, unit, is_sure, (match["note"] or "").strip())
