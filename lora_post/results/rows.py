"""Rows of values that codecs write without names: `"[3.012,OPEN,2023-11-14 22:13:20],[…],"`, or lists of lists.

Source: the `DATALOG` of dragino/dragino-end-node-decoder; what the places of a row stand for is in no file there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, TypeAlias

from msgspec import Struct

from lora_post.results.times import read_time

Cell: TypeAlias = bool | int | float | str

MAX_TEXT: Final = 8192
_ROWS: Final = re.compile(r"\s*(?:\[[^\[\]]*\][\s,]*)+")
_ROW: Final = re.compile(r"\[([^\[\]]*)\]")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}[ T][0-9:.]{4,15}(?:Z|[-+][0-9:]{2,6})?")
_NAMED: Final = re.compile(r"([A-Za-z][A-Za-z0-9_]{0,39})\s*:(.*)", re.DOTALL)


class Row(Struct, frozen=True):
    """One row. time_s: that stands in it, seconds since 1970 UTC. cells: the others, by name, or by place from 0."""

    time_s: float
    cells: dict[str | int, Cell]


def is_rows(text: str) -> bool:
    """Tell whether a text is rows and nothing else, with times or without."""
    return text.lstrip().startswith("[") and len(text) <= MAX_TEXT and _ROWS.fullmatch(text) is not None


def rows_in(value: object) -> list[Row]:
    """Return the rows of a text or a list; none unless each of them has a date and time."""
    rows = [_row(cells) for cells in _split(value)]
    found = [row for row in rows if row is not None]
    return found if len(found) == len(rows) else []


def _split(value: object) -> list[Sequence[object]]:
    if isinstance(value, str):
        return [row.split(",") for row in _ROW.findall(value)] if is_rows(value) else []
    if isinstance(value, (list, tuple)) and all(isinstance(row, (list, tuple)) for row in value):
        return list(value)
    return []


def _row(cells: Sequence[object]) -> Row | None:
    time_s: float | None = None
    found: dict[str | int, Cell] = {}
    for place, cell in enumerate(cells):
        name, plain = _named(place, cell.strip(" ()")) if isinstance(cell, str) else (place, cell)
        if time_s is None and isinstance(plain, str) and _DATE.fullmatch(plain):
            time_s = read_time(plain)
        elif isinstance(plain, (float, int, str)):
            found[name] = plain
        elif plain is not None:
            return None
    return None if time_s is None else Row(time_s, found)


def _named(place: int, text: str) -> tuple[str | int, str]:
    named = _NAMED.fullmatch(text)
    return (named[1], named[2].strip()) if named else (place, text)
