"""Counters and durations, handed to whoever counts."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from threading import Lock
from typing import Final

from msgspec import Struct

BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the buckets in which durations are counted; one more is above them all."""
AGE_BUCKETS_S: Final = (1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 86400, 3 * 86400)


class Histogram(Struct, frozen=True):
    """What durations of one name tell. label: what they are told apart by, "" for nothing."""

    help: str
    label: str
    buckets_s: tuple[float, ...]


HISTOGRAMS: Final = {
    "accept_duration": Histogram("From what one read gave to the commit that keeps it.", "", BUCKETS_S),
    "delivery_duration": Histogram("Requests that delivered a batch.", "destination", BUCKETS_S),
    "delivery_age": Histogram("Age of the newest reading of a batch at delivery.", "destination", AGE_BUCKETS_S),
}


class Metrics:
    """Named counters with one label each, and durations; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._durations: dict[tuple[str, str], tuple[list[int], float]] = {}

    def count(self, name: str, label: str = "", amount: int = 1) -> None:
        """Add to one counter: `count("refused", "mic")`."""
        with self._lock:
            self._counts[name, label] += amount

    def observe(self, name: str, seconds: float, label: str = "") -> None:
        """Add one duration of those in HISTOGRAMS: `observe("delivery_duration", 0.21, "waziup")`."""
        bounds = HISTOGRAMS[name].buckets_s
        with self._lock:
            counts, total = self._durations.get((name, label)) or ([0] * (len(bounds) + 1), 0.0)
            counts[bisect_left(bounds, seconds)] += 1
            self._durations[name, label] = counts, total + seconds

    def durations(self, name: str) -> dict[str, tuple[list[int], float]]:
        """By label, how often a duration fell into each bucket, and the sum in seconds."""
        with self._lock:
            found = sorted(self._durations.items())
            return {label: (list(counts), total) for (key, label), (counts, total) in found if key == name}

    def snapshot(self) -> dict[tuple[str, str], int]:
        """A copy of all counters."""
        with self._lock:
            return dict(self._counts)

    def total(self, name: str) -> int:
        """The sum of a counter over its labels."""
        return sum(n for (key, _), n in self.snapshot().items() if key == name)

    def labels(self, name: str) -> dict[str, int]:
        """A counter by label."""
        return {label: n for (key, label), n in sorted(self.snapshot().items()) if key == name}
