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
_COULD_BE_HEX: Final = re.compile(r"[0-9a-fA-F]+")


class TextNumber(Struct, frozen=True):
    """A number that was a text. unit: a symbol of `UNITS`, "" without one. note: what stood in brackets behind it."""

    number: int | float
    unit: str = ""
    note: str = ""


def read_number(text: str) -> TextNumber | None:
    """Return the number that a text is, perhaps with a unit and a note; None for any other text.

    Leading zeros, more than 15 digits and hex digits are an identity, an unknown unit makes it a text.
    """
    match = _TEXT.fullmatch(text) if len(text) <= 100 else None
    if match is None or not any(character.isdigit() for character in match["number"]):
        return None
    if sum(character.isdigit() for character in match["number"]) > MAX_DIGITS:
        return None
    written = match["unit"] or ""
    unit = known_unit(written)
    if written and (not unit or (_COULD_BE_HEX.fullmatch(written) and not (match["blank"] or match["fraction"]))):
        return None
    number = float(match["number"]) if match["fraction"] else int(match["number"])
    return TextNumber(number, unit, (match["note"] or "").strip())
