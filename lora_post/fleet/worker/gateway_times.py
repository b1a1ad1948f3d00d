"""Compute when frames were heard: by the clock of their gateway, or by their age.

A frame's age tells when it was heard, later by what it took to the hub; on a link that stood still that is a minute.
The frame of the last minutes that took the least time shows how far a gateway's clock is off.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from msgspec import Struct

from lora_post.fleet.hub.raw import Raw
from lora_post.times import StampUs, WallUs

DOUBT_US: Final = 5_000_000
"""A clock that is further from the hub's is wrong."""
STOOD_STILL_US: Final = 120_000_000
"""A link that stands still for longer is given up, and what was on it is handed in with another age."""
MAX_GATEWAYS: Final = 10_000


class _Clock(Struct):
    """How far a clock seems to be behind, at least. since_us: from when on. before: in the time before that."""

    since_us: int
    now: int
    before: int | None = None

    def take(self, behind_us: int, published_us: int) -> None:
        """Note how far it seems to be behind by a frame."""
        if abs(behind_us - self.least_us) > STOOD_STILL_US:  # it was set
            self.since_us, self.now, self.before = published_us, behind_us, None
        elif abs(published_us - self.since_us) > STOOD_STILL_US:
            self.since_us, self.now, self.before = published_us, behind_us, self.now
        else:
            self.now = min(self.now, behind_us)

    @property
    def least_us(self) -> int:
        """Return how far it is behind at the most."""
        return self.now if self.before is None else min(self.now, self.before)


class GatewayTimes:
    """How far the clocks of gateways are behind the hub's, by gateway and store; a negative one is ahead."""

    def __init__(self) -> None:
        self._behind: OrderedDict[tuple[str, str], _Clock] = OrderedDict()

    def heard_us(self, gateway: str, store: str, raw: Raw, published_us: WallUs) -> WallUs:
        """Return when a frame was heard, no later than it can be. published_us: when the hub got it, by its clock."""
        heard_us = self._heard_us((gateway, store), raw, published_us)
        return WallUs(max(0, min(heard_us, published_us + DOUBT_US)))

    def _heard_us(self, key: tuple[str, str], raw: Raw, published_us: WallUs) -> StampUs:
        if raw.age_ms is None:
            return published_us if raw.time_us is None else raw.time_us
        by_age_us = WallUs(published_us - raw.age_ms * 1000)
        if raw.time_us is None:
            return by_age_us
        behind_us = by_age_us - raw.time_us
        clock = self._behind.setdefault(key, _Clock(published_us, behind_us))
        self._behind.move_to_end(key)
        if len(self._behind) > MAX_GATEWAYS:
            self._behind.popitem(last=False)
        clock.take(behind_us, published_us)
        may_be_link = clock.before is None and 0 < behind_us <= STOOD_STILL_US
        if abs(behind_us) <= DOUBT_US or abs(clock.least_us) <= DOUBT_US or may_be_link:
            return raw.time_us  # it knows the way's delay
        return WallUs(raw.time_us + clock.least_us)
