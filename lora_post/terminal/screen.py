"""The screen of a terminal, which is sent only changed lines, as the link may be slow; and its keys."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text


class Screen:
    """The whole screen."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._drawn: list[str] = []
        self._size = (0, 0)

    @property
    def size(self) -> tuple[int, int]:
        """Return columns and rows at this moment."""
        width, height = self._console.size
        return width, height

    def draw(self, lines: Sequence[Text]) -> None:
        """Show these lines and nothing else."""
        size = self.size
        if size != self._size:
            self._console.clear()
            self._drawn, self._size = [], size
        wanted = [self._rendered(line) for line in lines[: size[1]]]
        wanted += [""] * (len(self._drawn) - len(wanted))
        known = self._drawn + [""] * (len(wanted) - len(self._drawn))
        # ECMA-48: CUP goes to a row, EL clears the rest of it; first, so that a full line keeps its last column.
        changed = [f"\x1b[{at + 1}H\x1b[K{line}" for at, line in enumerate(wanted) if line != known[at]]
        if changed:
            self._console.file.write("".join(changed))
            self._console.file.flush()
        self._drawn = wanted

    def _rendered(self, line: Text) -> str:
        with self._console.capture() as capture:
            self._console.print(line, end="", no_wrap=True, overflow="ellipsis", crop=True)
        return capture.get()


class Keys:
    """The keyboard, one key at a time."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def wait(self, timeout_s: float) -> str:
        """Return the key pressed within this time, "" for none. Raises EOFError when the terminal is gone."""
        if not select.select([self._fd], [], [], timeout_s)[0]:
            return ""
        typed = os.read(self._fd, 64)
        if not typed:
            raise EOFError
        return typed[:1].decode("latin-1")


@contextmanager
def keys() -> Iterator[Keys]:
    """Give the keys at once and without echo as long as the block runs. Stdin must be a terminal."""
    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)
    try:
        tty.setcbreak(fd)
        yield Keys(fd)
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
