"""Remember how far the counters of simulated devices have come, so that the next traffic goes on behind it.

The file is the user's own, in the folder of XDG for state. What cannot be remembered begins at 0 again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

FOLDER: Final = "lora-post"
AHEAD: Final = 64
"""So many counters are written down at once: a run that is killed leaves a gap of that size at most."""
MAX_FCNT: Final = 0xFFFF_0000


class Counters:
    """The next counter of the devices of one seed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written = 0
        self.next = 0
        with suppress(OSError, ValueError):
            self.next = self._written = max(0, int(path.read_text("ascii")))
        if self.next > MAX_FCNT:
            self.next = self._written = 0

    def use(self, fcnt: int) -> None:
        """Note that a device is about to send with this counter."""
        self.next = fcnt + 1
        if fcnt >= self._written:
            self._write(fcnt + AHEAD)

    def _write(self, fcnt: int) -> None:
        self._written = fcnt
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(f"{fcnt}\n", "ascii")

    def close(self) -> None:
        """Write down how far it has really come."""
        if self._written > self.next:
            self._write(self.next)


@contextmanager
def remembered(seed: int) -> Iterator[Counters]:
    """Give the counters of the devices of this seed."""
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    counters = Counters(Path(home) / FOLDER / f"simulate-{seed}.fcnt")
    try:
        yield counters
    finally:
        counters.close()
