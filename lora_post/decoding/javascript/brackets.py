"""Find the bracket that a codec's file does not close, which an engine only sees at the end of the file.

A rule of thumb: where a closing brace begins a line, it is indented as the line of its opening one.
"""

from __future__ import annotations

import re
from typing import Final

_TOKEN: Final = re.compile(
    r"""//[^\n]*|/\*.*?(?:\*/|\Z)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?|`(?:\\.|[^`\\])*`?|[{}()\[\]]""", re.DOTALL
)
MAX_INDENTATION: Final = 200
_PAIRS: Final = {"}": "{", ")": "(", "]": "["}


def unclosed(text: str) -> str:
    """Return in words which bracket is not closed: "the { of line 3"; "" when all seem to be."""
    open_: list[tuple[str, int]] = []
    for token in _TOKEN.finditer(text):
        sign, at = token[0], token.start()
        if sign in _PAIRS.values():
            open_.append((sign, at))
        elif sign in _PAIRS:
            if not open_ or open_[-1][0] != _PAIRS[sign]:
                return _named(text, open_[-1]) if open_ else ""
            if _begins_line(text, at) and _indentation(text, at) < _indentation(text, open_[-1][1]):
                return _named(text, open_[-1])
            open_.pop()
    return _named(text, open_[-1]) if open_ else ""


def _named(text: str, bracket: tuple[str, int]) -> str:
    return f"the {bracket[0]} of line {text.count(chr(10), 0, bracket[1]) + 1}"


def _begins_line(text: str, at: int) -> bool:
    before = text[max(0, at - MAX_INDENTATION) : at]
    return "\n" in before and not before.rpartition("\n")[2].strip()


def _indentation(text: str, at: int) -> int:
    start = text.rfind("\n", 0, at) + 1
    line = text[start : min(at + 1, start + MAX_INDENTATION)].expandtabs(8)
    return len(line) - len(line.lstrip())
