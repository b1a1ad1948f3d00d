"""Keep the last day of one sensor, small enough to do so for all of them."""

from __future__ import annotations

from array import array
from typing import Final

from lora_post.times import SteadyUs

POINTS: Final = 96
STEP_US: Final = 900_000_000  # a quarter of an hour


class Day:
    """The averages of 15 minutes of the last day, in half a kilobyte."""

    __slots__ = ("_counts", "_means", "_newest")

    def __init__(self) -> None:
        self._means = array("f", bytes(4 * POINTS))
        self._counts = array("H", bytes(2 * POINTS))
        self._newest = 0

    def add(self, time_us: SteadyUs, value: float) -> None:
        """Take in one value; one older than a day is ignored."""
        step = time_us // STEP_US
        if step > self._newest:
            for gone in range(max(self._newest + 1, step - POINTS + 1), step + 1):
                self._counts[gone % POINTS] = 0
            self._newest = step
        elif step <= self._newest - POINTS:
            return
        place = step % POINTS
        count = min(self._counts[place] + 1, 0xFFFF)
        self._counts[place] = count
        try:
            self._means[place] += (value - self._means[place]) / count if count > 1 else value - self._means[place]
        except OverflowError:  # beyond what a 32-bit float holds
            self._counts[place] = 0

    def points(self, now_us: SteadyUs) -> list[float | None]:
        """Return the day that ends now, oldest first; None for 15 minutes without a value."""
        last = now_us // STEP_US
        return [self._at(step) for step in range(last - POINTS + 1, last + 1)]

    def _at(self, step: int) -> float | None:
        if not self._newest - POINTS < step <= self._newest or not self._counts[step % POINTS]:
            return None
        return float(f"{self._means[step % POINTS]:.4g}")
