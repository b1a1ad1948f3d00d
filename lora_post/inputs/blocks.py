"""Notice a program that writes into a pipe in full blocks only.

The libraries of C and Python keep back what does not go to a terminal. A frame then arrives minutes or hours late, and
counts as heard when it arrives if it has no time of its own.
"""

from __future__ import annotations

from typing import Final

_SIZES: Final = (1024, 4096, 8192)
"""Of a block: those of musl, glibc and Python."""
_ENOUGH: Final = 2
"""So many blocks one after the other: a single one may be chance."""


class Blocks:
    """The sizes of the reads of one pipe."""

    def __init__(self) -> None:
        self._was_silent = False
        self._in_a_row = 0

    def come(self, data: bytes) -> bool:
        """Tell, once, that nothing but blocks comes. data: what a read gave; b"" when it waited in vain.

        Only what comes after silence says how the program writes: what came while nobody read is several writes.
        """
        says, self._was_silent = self._was_silent and bool(data), not data
        if not says or self._in_a_row == _ENOUGH:
            return False
        self._in_a_row = self._in_a_row + 1 if _is_block(data) else 0
        return self._in_a_row == _ENOUGH


def _is_block(data: bytes) -> bool:
    """Tell whether these are several lines of the size of a block; Python leaves out a line that would be cut."""
    lines = data.split(b"\n")
    longest = max(map(len, lines)) + 1
    return len(lines) > 2 and any(abs(len(data) - size) < longest for size in _SIZES)
