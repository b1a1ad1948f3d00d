"""Read TOML as `tomllib` does, but long lists of plain [[device]] tables in an eighth of its time.

A plain table is lines of `key = value` with texts without escapes, whole numbers, true and false. It is taken out
before `tomllib` reads the rest: in valid TOML without texts of several lines, nothing can go on over the line
[[device]]. In any doubt `tomllib` reads the whole, so that what is valid and what is complained of is always its own.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any, Final

_HEADER: Final = "[[device]]"
_between: Final = re.compile(r"^\[\[device\]\]\n", re.MULTILINE).split
_LINE: Final = r'[A-Za-z0-9_-]+ *= *(?:"[^"\\\x00-\x08\x0a-\x1f\x7f]*"|[1-9][0-9]{0,17}|true|false) *\n'
_is_plain: Final = re.compile(rf"(?:{_LINE}|\n|#[^\x00-\x08\x0a-\x1f\x7f]*\n)*").fullmatch
_pairs: Final = re.compile(r'^([A-Za-z0-9_-]+) *= *(?:"([^"\n]*)"|([0-9a-z]+))', re.MULTILINE).findall
_WORDS: Final[Mapping[str, object]] = {"true": True, "false": False}


def read_toml(text: str) -> dict[str, Any]:
    """Return the document. Raises TOMLDecodeError."""
    found = None if '"""' in text or "'''" in text else _with_plain_devices(text.replace("\r\n", "\n"))
    return tomllib.loads(text) if found is None else found


def _with_plain_devices(text: str) -> dict[str, object] | None:
    """Return the document; None where something is not as simple as that."""
    first, *tables = _between(text if text.endswith("\n") else text + "\n")
    read = [_plain_table(table) for table in tables]
    others = [table for table, plain in zip(tables, read, strict=True) if plain is None]
    if len(others) == len(tables):
        return None
    try:
        document: dict[str, object] = tomllib.loads(f"{_HEADER}\n".join([first, *others]))
    except tomllib.TOMLDecodeError:
        return None
    rest = document.get("device", [])
    if not isinstance(rest, list) or len(rest) != len(others) or ("device" in document) != bool(others):
        return None
    following = iter(rest)
    document["device"] = [next(following) if plain is None else plain for plain in read]
    return document


def _plain_table(text: str) -> dict[str, object] | None:
    """Return a plain table, None for another, or one with a key twice."""
    if not _is_plain(text):
        return None
    pairs = _pairs(text)
    table: dict[str, object] = {
        key: (_WORDS[word] if word in _WORDS else int(word)) if word else quoted for key, quoted, word in pairs
    }
    return table if len(table) == len(pairs) else None
