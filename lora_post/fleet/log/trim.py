"""Delete entries older than a week that all uploaders have read, but each device's newest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from lora_post.fleet.log.log import Log
from lora_post.fleet.log.streams import LOG_BYTES
from lora_post.fleet.log.view import Read, View
from lora_post.times import WallUs

KEEP_US: Final = 7 * 86_400_000_000
AHEAD_US: Final = 366 * 86_400_000_000
"""A frame that is said to come from later has no right time, and nobody waits until it is old."""
MANY: Final = 64
"""A device's old entries are deleted together: each deletion costs as much as an entry."""
_ALL: Final = "log."


def keep_us(log_bytes: int) -> int:
    """Return how long entries are kept: shorter where the log would have no room for a week."""
    return min(KEEP_US, KEEP_US * (LOG_BYTES // 2) // max(log_bytes, 1))


class _Old(Struct):
    """The old entries of a device. newest: the position of the last valid one. before: how many stand before it."""

    newest: int = 0
    before: int = 0
    all: int = 0


class Trimmer:
    """Reads the log once more from the beginning, behind all uploaders."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._view = View(_ALL)
        self._old: dict[str, _Old] = {}
        self._next: Read | None = None

    def step(self, read: int, now_us: WallUs, keep_us: int = KEEP_US, many: int = MANY) -> int:
        """Delete old entries up to a position that all uploaders have read; return of how many devices.

        The first retained entry of a device is valid by construction: it is the newest valid one that is old.
        keep_us: what is younger stays. many: a device's go once there are so many. Raises LogUnavailable.
        """
        for each in self._read(read, now_us - keep_us, now_us + AHEAD_US):
            old = self._old.setdefault(each.logged.subject, _Old())
            if each.is_valid:
                old.newest, old.before = each.logged.position, old.all
            old.all += 1
        found = {subject: old for subject, old in self._old.items() if old.before >= many}
        for subject, old in found.items():
            self._log.trim(subject, old.newest)
            old.all, old.before = old.all - old.before, 0
        return len(found)

    def _read(self, read: int, until_us: int, wrong_us: int) -> Iterator[Read]:
        """Yield the next entries, up to the first one that is too new; times from wrong_us on say nothing."""
        following = self._after(read)
        while True:
            if self._next is None:
                self._next = next(following, None)
            up = self._next.entry.up if self._next else None
            if self._next is None or (up and not up.is_late and until_us < up.frame.time_us < wrong_us):
                return
            each, self._next = self._next, None
            yield each

    def _after(self, read: int) -> Iterator[Read]:
        """Yield the next entries, up to a position."""
        while found := self._log.read(_ALL, self._view.position):
            for logged in found:
                if logged.position > read:
                    return
                if (each := self._view.take(logged)) is not None:
                    yield each
