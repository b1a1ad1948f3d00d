"""Waiting longer after each failure."""

from __future__ import annotations

import random


class Backoff:
    """When something that failed may be tried again, in monotonic seconds."""

    __slots__ = ("_first_s", "_most_s", "failures", "until")

    def __init__(self, most_s: float, first_s: float = 1.0) -> None:
        """first_s: the pause after the first failure. most_s: the longest one."""
        self._first_s = first_s
        self._most_s = most_s
        self.failures = 0
        self.until = 0.0

    def fail(self, now: float, at_least_s: float = 0.0) -> None:
        """Count one more failure in a row."""
        self.failures += 1
        self.until = now + max(pause_s(self.failures, self._most_s, self._first_s), at_least_s)

    def succeed(self) -> None:
        """Start anew."""
        self.failures = 0
        self.until = 0.0


def pause_s(failures: int, most_s: float, first_s: float = 1.0) -> float:
    """Return 1 s, 2 s, 4 s … with jitter, so that many gateways do not come back at once."""
    return min(most_s, first_s * 2.0 ** min(failures - 1, 16)) * random.uniform(0.5, 1.0)  # noqa: S311 - not a secret
