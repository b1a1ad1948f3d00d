"""The tables in a codec's text that say which number a state's name stands for: `{0: "closed", 1: "open"}`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

States: TypeAlias = Mapping[str, "int | bool"]

MAX_STATES: Final = 1024
MAX_NUMBER: Final = 255  # a larger one is no state

_ENTRY: Final = re.compile(
    r"""(?<![-\w.])["']?(0x[0-9a-fA-F]{1,2}|[0-9]{1,3})["']?[ \t]*:[ \t]*(["'])([^"'\n\\]{1,60})\2"""
)
_BETWEEN: Final = " \t\r\n,"


def states_in(text: str) -> dict[str, int | bool]:
    """Return the number of each state that a codec's tables name, true and false where a table has only 0 and 1.

    A name that stands for two numbers is left out, and so are tables with one line.
    """
    found: dict[str, int | bool] = {}
    unclear: set[str] = set()
    for table in _tables(text):
        numbers = dict(table)
        yes_or_no = set(numbers.values()) == {0, 1}
        for name, number in numbers.items():
            state = number == 1 if yes_or_no else number
            if name in found and (found[name], type(found[name])) != (state, type(state)):
                unclear.add(name)
            elif len(found) < MAX_STATES:
                found[name] = state
    return {name: state for name, state in found.items() if name not in unclear}


def _tables(text: str) -> Iterator[list[tuple[str, int]]]:
    """Yield the lines of each table: neighbours in one object, with a number each."""
    table: list[tuple[str, int]] = []
    end = 0
    for match in _ENTRY.finditer(text):
        if text[end : match.start()].strip(_BETWEEN):
            if _is_table(table):
                yield table
            table = []
        number = int(match[1], 16 if match[1].startswith("0x") else 10)
        table.append((match[3], number))
        end = match.end()
    if _is_table(table):
        yield table


def _is_table(table: list[tuple[str, int]]) -> bool:
    return len({number for _, number in table}) == len(table) > 1 and all(number <= MAX_NUMBER for _, number in table)
