"""Log a trouble that lasts once an hour."""

from __future__ import annotations

import time
from logging import Logger
from typing import Final

AGAIN_S: Final = 3600.0


class Seldom:
    """Errors of one thread, which tries again every second: the same one is told once an hour."""

    def __init__(self, log: Logger) -> None:
        self._log = log
        self._said = ""
        self._again_at = 0.0

    def error(self, error: Exception) -> None:
        """Tell of an error, unless it was the last one and is not long ago."""
        now, text = time.monotonic(), str(error)
        if text != self._said or now >= self._again_at:
            self._said, self._again_at = text, now + AGAIN_S
            self._log.error("%s", text)
