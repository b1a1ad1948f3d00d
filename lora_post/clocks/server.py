"""A server's clock, as the Date of its answers tells it.

Source: RFC 9110, section 6.6.1.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Final

from lora_post.clocks.scale import now_us
from lora_post.clocks.system import SET_FROM_US, SET_UNTIL_US
from lora_post.times import WallUs

SECOND_US: Final = 1_000_000
_DAY_US: Final = 86_400_000_000


def read_date(date: str) -> WallUs | None:
    """Return the instant of an HTTP Date header in µs since 1970 UTC.

    None when it is not a date, or one that cannot be today's.
    """
    try:
        date_us = WallUs(int(parsedate_to_datetime(date).timestamp()) * SECOND_US)
    except (ValueError, TypeError, OverflowError):
        return None
    return date_us if SET_FROM_US <= date_us < SET_UNTIL_US else None


class ServerClock:
    """The clock of one server, whatever this machine's says. For one thread."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._ahead_us: WallUs | None = None

    @property
    def is_known(self) -> bool:
        """Whether an answer has told it."""
        return self._ahead_us is not None

    def hear(self, date: str) -> None:
        """Take the Date of an answer that came just now; one that is not a date tells nothing."""
        date_us = read_date(date)
        if date_us is None:
            return
        ahead_us = WallUs(date_us - int(self._monotonic() * 1e6))
        # Each date cuts off the rest of its second: what was known better stays, and this clock does not go back.
        if self._ahead_us is None or not 0 <= self._ahead_us - ahead_us <= SECOND_US:
            self._ahead_us = ahead_us

    def now_us(self) -> WallUs:
        """Return the server's time, at most a second and the way of the answer too early; this machine's until then."""
        return now_us() if self._ahead_us is None else self._ahead_us + int(self._monotonic() * 1e6)

    def reached_us(self) -> WallUs:
        """Return a time that the server has reached, also where a proxy that is ahead dates its answers.

        This machine's time if that is behind the server's; by more than a day, it is not set.
        """
        told_us, own_us = self.now_us(), now_us()
        return own_us if 0 < told_us - own_us < _DAY_US else told_us
