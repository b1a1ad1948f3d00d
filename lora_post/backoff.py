"""Waiting longer after each failure."""

from __future__ import annotations

import random


class Backoff:
    """When something that failed may be tried again, in monotonic seconds."""

    __slots__ = ("_most_s", "failures", "until")

    def __init__(self, most_s: float) -> None:
        self._most_s = most_s
        self.failures = 0
        self.until = 0.0

    def fail(self, now: float, at_least_s: float = 0.0) -> None:
        """One more failure in a row."""
        self.failures += 1
        self.until = now + max(pause_s(self.failures, self._most_s), at_least_s)

    def succeed(self) -> None:
        """Start anew."""
        self.failures = 0
        self.until = 0.0


def pause_s(failures: int, most_s: float) -> float:
    """1 s, 2 s, 4 s … with jitter, so that many gateways do not come back at once."""
    return min(most_s, 2.0 ** min(failures - 1, 16)) * random.uniform(0.5, 1.0)  # noqa: S311 - not a secret
