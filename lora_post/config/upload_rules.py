"""When, how much and how soon may be sent."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

DAY_S = 86_400
# What the request may cost that is under way when the rest of the day is closed: a new TLS connection, a login,
# and a full batch or the question which of its readings have arrived.
RESERVE_BYTES = 32 << 10


class Window(Struct, frozen=True):
    """Part of every day, in seconds since local midnight; one that ends before it starts goes over midnight."""

    start_s: int
    end_s: int

    def holds(self, second: int) -> bool:
        """Whether a second of the day is inside."""
        if self.start_s <= self.end_s:
            return self.start_s <= second < self.end_s
        return second >= self.start_s or second < self.end_s


def closed_s(windows: Iterable[Window], second: int) -> int:
    """Seconds until the next window opens; 0 inside of one, and without any."""
    windows = tuple(windows)
    if not windows or any(window.holds(second) for window in windows):
        return 0
    return min((window.start_s - second) % DAY_S for window in windows)


class UploadRules(Struct, frozen=True):
    """What the configuration allows. max_bytes_per_day: 0 for no limit. hold_s: 0 to send at once."""

    windows: tuple[Window, ...] = ()
    max_bytes_per_day: int = 0
    hold_s: float = 0.0
