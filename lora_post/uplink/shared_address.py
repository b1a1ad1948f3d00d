"""A DevAddr that many devices have: whose keys are tried first, and how much a frame that fits none may cost.

Each try computes one CMAC. Devices that send by turns are found in a few, however many there are: the one that
followed the last one heard before follows it again, and of those that expect one counter the one heard longest ago is
the next. What another gateway heard, too, is found as soon. Of devices that were not heard yet nothing is known: half
of them are tried, once in the life of each; with a bound for one frame, a true one would be refused and lost. Whoever
sends frames that fit none buys a bounded part of a second, every second.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final

from lora_post.uplink.model import Session

FEW: Final = 8
"""Up to so many devices at one DevAddr are simply tried one after the other."""

NEIGHBOURS: Final = 8
"""So many that followed the last one before are tried before all: it need not be the very next that is heard."""

COPIES: Final = 4
"""So many frames are looked at behind the neighbours, of which this one may be a copy."""

CLOSE: Final = 64
"""Devices whose next FCnt is less than this below that of the frame are tried before the others."""

ALWAYS: Final = 64
"""So many tries each frame has, whatever was sent before it."""

TRIES_PER_SECOND: Final = 16_384
"""So many tries all refused frames with this DevAddr have together: about 40 ms of each second, on a PC."""

_FCNT16: Final = 0xFFFF


class SharedAddress(list[Session]):
    """The sessions of one DevAddr, found by the counters that they expect. Changed by `put` alone."""

    def __init__(self, sessions: Iterable[Session], monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._places: dict[int, int] = {}
        self._expecting: dict[int, dict[int, None]] = {}
        self._after: dict[int | None, int] = {}
        self._last: int | None = None
        self._monotonic = monotonic
        self._left: float = TRIES_PER_SECOND
        self._at = monotonic()
        for session in sessions:
            self.put(session)

    def put(self, session: Session) -> int:
        """Add a session, or replace the one of its device; return its next FCnt until now."""
        before, place = 0, self._places.setdefault(id(session.device), len(self))
        if place == len(self):
            self.append(session)
        else:
            before = self[place].next_fcnt
            expecting = self._expecting[before & _FCNT16]
            del expecting[place]
            if not expecting:
                del self._expecting[before & _FCNT16]
            self[place] = session
        self._expecting.setdefault(session.next_fcnt & _FCNT16, {})[place] = None
        if place != self._last:
            self._after[self._last] = self._last = place
        return before

    def closest(self, fcnt16: int) -> Iterator[Session]:
        """Yield all sessions, first those whose device missed few frames if it sent this FCnt."""
        tried: set[int] = set()
        for place in self._neighbours():
            if place not in tried and (fcnt16 - self[place].next_fcnt) & _FCNT16 < CLOSE:
                tried.add(place)
                yield self[place]
        for place in self._by_turns(fcnt16):
            if place not in tried:
                yield self[place]
        for session in self:
            if (fcnt16 - session.next_fcnt) & _FCNT16 >= CLOSE:
                yield session

    def heard_last(self, fcnt16: int) -> Iterator[Session]:
        """Yield those whose newest frame had this FCnt, the latest first: another gateway may have heard it, too."""
        for place in islice(reversed(self._expecting.get((fcnt16 + 1) & _FCNT16, {})), COPIES):
            if self[place].next_fcnt:
                yield self[place]

    def _neighbours(self) -> Iterator[int]:
        """Yield the places of those that followed the last one before."""
        place: int | None = self._last
        for _ in range(min(NEIGHBOURS, len(self) - 1)):
            place = self._after.get(place)
            if place is None or place == self._last:
                return
            yield place

    def _by_turns(self, fcnt16: int) -> Iterator[int]:
        """Yield the places of the close ones, one of each counter by turns, each time the one heard longest ago."""
        rows: list[Iterator[int]] = []
        for gap in range(CLOSE):
            if expecting := self._expecting.get((fcnt16 - gap) & _FCNT16):
                rows.append(row := iter(expecting))
                yield next(row)
        while rows:
            for row in tuple(rows):
                if (place := next(row, None)) is None:
                    rows.remove(row)
                else:
                    yield place

    def tries(self) -> int:
        """Return how many keys and counters may be tried for the next frame."""
        now = self._monotonic()
        self._left = min(TRIES_PER_SECOND, self._left + (now - self._at) * TRIES_PER_SECOND)
        self._at = now
        return max(ALWAYS, int(self._left))

    def charge(self, tries: int) -> None:
        """Note what a refused frame has cost."""
        self._left = max(0.0, self._left - tries)
