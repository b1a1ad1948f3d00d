"""Sections of text, and how they share the rows of a terminal. Pure: text in, text out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from rich.text import Text

DIM: Final = "dim"


class Section(Struct, frozen=True):
    """A heading, or None, and items of one or more lines.

    weight: how many rows it gets in each turn while rows are left. turns: space shows what is cut off.
    """

    heading: Text | None
    items: Sequence[Sequence[Text]]
    weight: int = 1
    turns: bool = False

    @property
    def wants(self) -> int:
        """Return the rows for all of it."""
        return (self.heading is not None) + sum(map(len, self.items)) if self.items else 0

    @property
    def needs(self) -> int:
        """Return the rows for the least of it that makes sense."""
        return min(self.wants, 1 + (self.heading is not None))


def arranged(sections: Sequence[Section], height: int | None, turn: int) -> list[Text]:
    """Return the sections below each other, in at most `height` rows; None: in full. turn: from 0."""
    if height is None:
        return [line for section in sections for line in _fitted(section, section.wants, turn)]
    rows = _shares(sections, height)
    return [line for section, share in zip(sections, rows, strict=True) for line in _fitted(section, share, turn)]


def _shares(sections: Sequence[Section], height: int) -> list[int]:
    """Return the rows of each section: first what each needs, in order; the rest in turns."""
    left = height
    given = []
    for section in sections:
        given.append(section.needs if section.needs <= left else 0)
        left -= given[-1]
    before = 0
    while left != before:
        before = left
        for at, section in enumerate(sections):
            more = min(section.weight, section.wants - given[at], left) if given[at] else 0
            given[at] += more
            left -= more
    return given


def _fitted(section: Section, rows: int, turn: int) -> list[Text]:
    """Return a section in so many rows; the last one says how much is missing."""
    if rows <= 0 or not section.items:
        return []
    lines = [] if section.heading is None else [section.heading]
    if rows >= section.wants:
        return lines + [line for item in section.items for line in item]
    if rows == len(lines) + 1:  # no room to say what is missing
        return [*lines, section.items[_start(section, 1, turn)][0]]
    room = rows - len(lines) - 1
    start = _start(section, room, turn)
    shown = 0
    for item in section.items[start:]:
        if len(item) > room:
            break
        lines += item
        room -= len(item)
        shown += 1
    if not shown:  # a long one, cut off
        lines += section.items[start][:room]
        shown = 1
    left = len(section.items) - shown
    lines.append(Text(f"… {left} more{', space shows them' if section.turns else ''}", style=DIM))
    return lines


def _start(section: Section, room: int, turn: int) -> int:
    if not section.turns:
        return 0
    pages = -(-len(section.items) // room)
    return turn % pages * room
