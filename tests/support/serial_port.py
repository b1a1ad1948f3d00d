"""A serial port that can be unplugged: a name for one end of a pair of terminals."""

from __future__ import annotations

import os
import tty
from pathlib import Path


class Port:
    """A port by a fixed name; what is written here is what the device there sends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ours = self._theirs = -1

    @property
    def is_plugged_in(self) -> bool:
        return self._ours >= 0

    def plug_in(self) -> None:
        self._ours, self._theirs = os.openpty()
        tty.setraw(self._theirs)  # held open: else it is hung up until a program opens it
        self.path.symlink_to(os.ttyname(self._theirs))

    def unplug(self) -> None:
        self.path.unlink()
        os.close(self._theirs)
        os.close(self._ours)
        self._ours = -1

    def write(self, data: bytes) -> None:
        os.write(self._ours, data)
