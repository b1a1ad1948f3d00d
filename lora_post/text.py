"""Text as people write it and read it."""

from __future__ import annotations

import binascii
import re
import sys
from collections.abc import Iterable, Sequence
from enum import StrEnum
from shlex import quote
from typing import Final

from msgspec import Struct

from lora_post.errors import FrameError

MAX_TEXT: Final = 4096
"""The longest frame has 255 bytes, which is 1275 characters as `0x40 0x03 …`; a longer text is not a frame."""

MAX_LISTED: Final = 24
"""So many known words are all named to a mistaken one; of more, the nearest FEW."""
FEW: Final = 3

_SEPARATORS: Final = re.compile(r"[\s:,]+")
_BETWEEN_BYTES: Final = re.compile(r"[\s:,;{}\-]+")
_HEX: Final = re.compile(r"[0-9A-Fa-f]*")
_HYPHENATED: Final = re.compile(r"[0-9A-Fa-f]+(?:-[0-9A-Fa-f]+)+-?")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
_NOT_IN_HEX: Final = re.compile(r"[^0-9A-Fa-f\s:,]")
_NOT_IN_BASE64: Final = re.compile(r"[^A-Za-z0-9+/_=-]")
_DURATION: Final = re.compile(r"(\d{1,9})\s*(s|min|h|d)", re.ASCII)
_SECONDS: Final = {"s": 1, "min": 60, "h": 3600, "d": 86_400}


class Spelling(StrEnum):
    """How bytes were written."""

    HEX = "hex"
    BASE64 = "base64"


class Spelled(Struct, frozen=True):
    """Bytes, and how they were written."""

    data: bytes
    spelling: Spelling


def parse_bytes(text: str) -> Spelled:
    """Read bytes that are written as hex or base64.

    Hex may have blanks, colons, commas, hyphens and 0x; base64 is standard or URL-safe, padded or not.
    What is valid as both is hex. An odd number of hex digits is a typing mistake, unless `=` at the
    end says that it is base64. Raises FrameError with one printable line that names what is wrong.
    """
    text = text.strip()
    if not text:
        raise FrameError("nothing there", fix="want hex or base64")
    if len(text) > MAX_TEXT:
        raise FrameError(f"{len(text)} characters", fix="want hex or base64 of at most 255 bytes")
    if _HYPHENATED.fullmatch(text):
        text = text.replace("-", " ")
    parts = [re.sub(r"\A0[xX]", "", part) for part in _SEPARATORS.split(text) if part]
    digits = "".join(parts)
    if _HEX.fullmatch(digits):
        odd = next((part for part in parts if len(part) % 2), None)
        if odd is not None or not digits:
            where = f" in {odd[:40]!r}" if odd and len(parts) > 1 else ""
            raise FrameError(f"{len(odd or '')} hex digits{where}, want two for each byte (base64: add its =)")
        return Spelled(bytes.fromhex(digits), Spelling.HEX)
    if len(parts) > 1:
        raise FrameError(f"not hex: {_first(_NOT_IN_HEX, text.replace('0x', '00').replace('0X', '00'))}")
    try:
        return Spelled(parse_base64(text), Spelling.BASE64)
    except FrameError as error:
        no_base64 = error.what.removeprefix("not base64: ")
        raise FrameError(f"neither hex ({_first(_NOT_IN_HEX, text)}) nor base64 ({no_base64})") from None


def parse_base64(text: str) -> bytes:
    """Read base64, standard or URL-safe, padded or not. Raises FrameError, one printable line."""
    if not _BASE64.fullmatch(text):
        raise FrameError(f"not base64: {_first(_NOT_IN_BASE64, text)}")
    bare = text.rstrip("=")
    if len(bare) % 4 == 1 or (bare != text and len(text) % 4):
        raise FrameError(f"not base64: {plural(len(text), 'character')}, something is missing at the end")
    plain = bare.replace("-", "+").replace("_", "/")
    data = binascii.a2b_base64(plain + "=" * (-len(bare) % 4))
    if binascii.b2a_base64(data, newline=False).rstrip(b"=") != plain.encode():
        raise FrameError(f"not base64: {bare[-1]!r} at the end, which no base64 of whole bytes has")
    return data


def _first(strange: re.Pattern[str], text: str) -> str:
    found = strange.search(text)
    return f"{found[0]!a} at character {found.start() + 1}" if found else "'=' before the end"


def bare_hex(text: str) -> str:
    """Return hex digits as people copy them in lower case, without blanks, colons, dashes, 0x, a C array's marks.

    What is not hex stays, so that it is found. `0x1, 0x2` are two bytes.
    """
    if text.isalnum() and "x" not in text and "X" not in text:
        return text.lower()
    if re.search("0[xX]", text):
        parts = [part for part in _BETWEEN_BYTES.split(text) if part]
        bare = [re.sub("\\A0[xX]", "", part) for part in parts]
        return "".join(part.zfill(2) if len(parts) > 1 else part for part in bare).lower()
    return _BETWEEN_BYTES.sub("", text).lower()


def printable(text: str) -> str:
    """Return a text in which what a terminal might obey is escaped: `\\x1b`, `\\u202e`."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def one_line(text: str, most: int) -> str:
    """Return a stranger's text on one printable line of at most so many characters."""
    return printable(" ".join(text[: 4 * most].split()))[:most]


def shorten(text: str, most: int) -> str:
    """Return a text of at most so many characters, with … at the end of one that is cut."""
    return text if len(text) <= most else text[: most - 1] + "…"


def plural(number: int, what: str) -> str:
    """Return how many there are: 1 reading, 2 readings, 3 entries."""
    if number == 1:
        return f"{number} {what}"
    return f"{number} {what[:-1]}ies" if what.endswith("ry") else f"{number} {what}s"


def wait_text(number: int, what: str) -> str:
    """Return how many there are that wait: 1 reading waits, 2 readings wait."""
    return f"{plural(number, what)} {'waits' if number == 1 else 'wait'}"


def ranges_text(numbers: Sequence[int]) -> str:
    """Return rising whole numbers in few words: 8-15, 65."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    return ", ".join("-".join(map(str, run)) for run in runs)


def megabytes(size: int) -> str:
    """Return a number of bytes for people, in the unit of [spool] max_mb."""
    return f"{size / (1 << 20):.1f} MB"


def did_you_mean(word: str, known: Iterable[str], listed_by: str = "") -> str:
    """Return what may have been meant by an unknown word: the nearest known one, else all, else the nearest few.

    listed_by: the command that shows all.
    """
    import difflib  # only for a mistake

    known = sorted(known)
    close = [same for same in known if bare_word(same) == bare_word(word)] or difflib.get_close_matches(word, known, 1)
    if close:
        return f"did you mean {close[0]!r}?"
    if len(known) <= MAX_LISTED:
        return f"known are {', '.join(known) or 'none'}"
    near = difflib.get_close_matches(word, known, FEW, cutoff=0.3)
    said = f"the nearest are {', '.join(near)}" if near else f"known are {', '.join(known[:FEW])} and others"
    return f"{said}; `{listed_by}` lists all" if listed_by else said


def some_of(names: Sequence[str]) -> str:
    """Return the first few names, and how many more there are."""
    more = f" and {len(names) - FEW} more" if len(names) > FEW else ""
    return f"{', '.join(names[:FEW])}{more}"


def bare_word(word: str) -> str:
    """Return a name without what people write in different ways: capitals, dashes, blanks."""
    return re.sub(r"[^a-z0-9]", "", word.lower())


def as_text(payload: bytes) -> str:
    """Return a payload as text, UTF-8 if all of it is, else ASCII; a dot for the unprintable."""
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        text = "".join(chr(byte) if byte < 0x80 else "\0" for byte in payload)
    return "".join(c if c.isprintable() else "." for c in text)


def escaped_json(encoded: bytes) -> str:
    """Return the same JSON with what a terminal might obey as `\\uXXXX`."""
    text = encoded.decode()
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _json_escape(c) for c in text)


def _json_escape(character: str) -> str:
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def parse_duration(text: str) -> float | None:
    """Return the seconds; None when the text is not a length of time."""
    match = _DURATION.fullmatch(text.strip())
    return float(match[1]) * _SECONDS[match[2]] if match else None


def span_text(seconds: float) -> str:
    """Return a length of time as people say it, cut to one unit: <1 min, 40 min, 7 h, 3 d."""
    minutes = int(max(seconds, 0) // 60)
    if minutes < 1:
        return "<1 min"
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} d"


def pip_install(package: str) -> str:
    """Return what to run to install a package beside this lora-post, whichever Python runs it."""
    return f"run: {quote(sys.executable)} -m pip install {quote(package)}"
