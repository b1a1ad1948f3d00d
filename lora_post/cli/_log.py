"""The log of a command, on stderr: a line for each record, written together while many come."""

from __future__ import annotations

import logging
import sys
import time
from threading import Timer
from typing import Final, TextIO

import click

from lora_post.text import printable

MOMENT_S: Final = 0.1
"""Lines that follow others within it wait so long at most: a burst of frames is one write."""


def set_up_log(*, verbose: bool, quiet: bool) -> None:
    """Log to stderr; stdout is for data."""
    level = logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO
    handler = LineHandler(sys.stderr)
    handler.setFormatter(LineFormatter())
    logging.basicConfig(level=level, handlers=[handler])
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # it warns of each answer with odd headers
    # Who logs, in which thread, is not shown; to find it out takes as long as the rest. See "Optimization" in
    # the documentation of logging.
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    if context := click.get_current_context(silent=True):
        context.call_on_close(handler.flush)


class LineFormatter(logging.Formatter):
    """Escapes what a terminal might obey: names come by radio, reasons from a server."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s")
        self._second = 0
        self._second_text = ""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - logging's name
        second = int(record.created)
        if second != self._second:
            self._second, self._second_text = second, time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
        return f"{self._second_text},{int(record.msecs):03d}"

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        return f"{record.asctime} {record.levelname:<7} {printable(record.message)}"


class LineHandler(logging.StreamHandler[TextIO]):
    """Writes a line at once, those of a burst together: after a moment, or with the first warning."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._held: list[str] = []
        self._wrote_at = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, or have it wait for a moment."""
        try:
            self._held.append(self.format(record) + self.terminator)
        except Exception:
            self.handleError(record)
        now = time.monotonic()
        if record.levelno > logging.INFO or now - self._wrote_at >= MOMENT_S:
            self.flush()
        elif len(self._held) == 1:
            timer = Timer(MOMENT_S, self.flush)
            timer.daemon = True
            timer.start()

    def flush(self) -> None:
        """Write what waits, unless its reader has gone."""
        self.acquire()
        try:
            held, self._held = self._held, []
            if held:
                self._wrote_at = time.monotonic()
                self.stream.write("".join(held))
                self.stream.flush()
        except (OSError, ValueError):
            pass
        finally:
            self.release()
