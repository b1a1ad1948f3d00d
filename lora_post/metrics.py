"""Counters, handed to whoever counts."""

from __future__ import annotations

from collections import Counter
from threading import Lock


class Metrics:
    """Named counters with one label each, safe to share between threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: Counter[tuple[str, str]] = Counter()

    def count(self, name: str, label: str = "", amount: int = 1) -> None:
        """Add to one counter: `count("refused", "mic")`."""
        with self._lock:
            self._counts[name, label] += amount

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
