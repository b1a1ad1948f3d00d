"""A DevAddr that many devices have: whose keys are tried first, and how much a frame that fits none may cost.

Each try computes one CMAC. A frame whose counter follows the last one of its device closely is found in a few of them,
however many devices there are; whoever sends frames that fit none buys a bounded part of a second, every second.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from lora_post.uplink.model import Session

FEW: Final = 8
"""Up to so many devices at one DevAddr are simply tried one after the other."""

CLOSE: Final = 64
"""Devices whose next FCnt is less than this below that of the frame are tried first, the closest one before all."""

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
        return before

    def closest(self, fcnt16: int) -> Iterator[Session]:
        """Yield all sessions, first those whose device missed few frames if it sent this FCnt."""
        for gap in range(CLOSE):
            for place in self._expecting.get((fcnt16 - gap) & _FCNT16, ()):
                yield self[place]
        for session in self:
            if (fcnt16 - session.next_fcnt) & _FCNT16 >= CLOSE:
                yield session

    def tries(self) -> int:
        """Return how many keys and counters may be tried for the next frame."""
        now = self._monotonic()
        self._left = min(TRIES_PER_SECOND, self._left + (now - self._at) * TRIES_PER_SECOND)
        self._at = now
        return max(ALWAYS, int(self._left))

    def charge(self, tries: int) -> None:
        """Note what a refused frame has cost."""
        self._left = max(0.0, self._left - tries)
