"""A clock that is never set: what is measured by it does not change when the wall clock is.

A board without a clock battery starts in 1970 and is set to the right time minutes later; spans reckoned from
wall times would be 56 years long then. Moments on this clock become wall times only where they are shown.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import Final

from lora_post.clocks.scale import now_us
from lora_post.times import StampUs, SteadyUs, WallUs

STEP_US: Final = 1_000_000
"""Less is what a time daemon corrects all the time; telling everybody of it would cost more than it is worth."""


class SteadyClock:
    """µs that begin as the wall clock's at the start of the process, and go on evenly. Shared between threads."""

    def __init__(self, wall_us: Callable[[], WallUs] = now_us, monotonic: Callable[[], float] = time.monotonic) -> None:
        """monotonic: in seconds, for those who measure how long something takes."""
        self._wall_us = wall_us
        self.monotonic = monotonic
        self._lock = Lock()
        self._zero_us = SteadyUs(wall_us() - int(monotonic() * 1e6))
        self._ahead_us = 0

    def follow(self, wall_us: Callable[[], WallUs]) -> None:
        """Take this for the wall clock from now on: the one by which frames have their times."""
        self._wall_us = wall_us

    def now_us(self) -> SteadyUs:
        """Return this moment."""
        return self.at(self.monotonic())

    def at(self, monotonic_s: float) -> SteadyUs:
        """Return the moment of a monotonic time."""
        return self._zero_us + int(monotonic_s * 1e6)

    def ahead_us(self) -> int:
        """Return how far the wall clock was set forward since the start; add it to get the wall time of a moment."""
        ahead_us = self._wall_us() - self.now_us()
        with self._lock:
            if abs(ahead_us - self._ahead_us) >= STEP_US:
                self._ahead_us = ahead_us
            return self._ahead_us

    def moment(self, time_us: StampUs) -> SteadyUs:
        """Return the moment of a wall time; what is in the future, or on no clock that is known, is now."""
        return self.moments(time_us)[0]

    def moments(self, *times_us: StampUs) -> list[SteadyUs]:
        """Return the moments of several wall times."""
        now_us, ahead_us = self.now_us(), self.ahead_us()
        return [min(SteadyUs(time_us - ahead_us), now_us) for time_us in times_us]
