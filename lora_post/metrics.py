"""Counters and durations, handed to whoever counts."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from threading import Lock
from typing import Final

BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the buckets in which durations are counted; one more is above them all."""


class Metrics:
    """Named counters with one label each, and durations; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._durations: dict[str, tuple[list[int], float]] = {}

    def count(self, name: str, label: str = "", amount: int = 1) -> None:
        """Add to one counter: `count("refused", "mic")`."""
        with self._lock:
            self._counts[name, label] += amount

    def observe(self, name: str, seconds: float) -> None:
        """Add one duration: `observe("request", 0.21)`."""
        with self._lock:
            counts, total = self._durations.get(name) or ([0] * (len(BUCKETS_S) + 1), 0.0)
            counts[bisect_left(BUCKETS_S, seconds)] += 1
            self._durations[name] = counts, total + seconds

    def durations(self) -> dict[str, tuple[list[int], float]]:
        """Of each duration how often it fell into each bucket, and the sum in seconds."""
        with self._lock:
            return {name: (list(counts), total) for name, (counts, total) in self._durations.items()}

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
