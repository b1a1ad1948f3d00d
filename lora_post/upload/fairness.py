"""Whose turn it is: devices take turns, and the sensors of each device.

Fresh readings do not wait behind a backlog.

The readings of one sensor leave in the order of their times, always: the server shows as a sensor's
value what it received last. So fresh and old are told apart between sensors. One whose oldest queued
reading is young has no backlog; while there are sensors of both kinds, every other
turn belongs to each.
"""

from __future__ import annotations

from collections.abc import Sequence

from lora_post.spool.model import Lane, Waiting
from lora_post.times import WallUs


class Fairness:
    """The order in which lanes are served; remembers which were."""

    def __init__(self, fresh_for_s: float) -> None:
        self._fresh_for_us = int(fresh_for_s * 1e6)
        self._fresh_is_next = True
        self._rotations = {True: _Rotation(), False: _Rotation()}

    def is_fresh(self, waiting: Waiting, now_us: WallUs) -> bool:
        """Return whether nothing of this lane is old; what is dated in the future is not old either."""
        return waiting.oldest_us > now_us - self._fresh_for_us

    def order(self, queue: Sequence[Waiting], now_us: WallUs) -> list[Waiting]:
        """Return the lanes in the order of their turns."""
        return sorted(queue, key=lambda waiting: self._turn(waiting, self.is_fresh(waiting, now_us)))

    def _turn(self, waiting: Waiting, fresh: bool) -> tuple[bool, bool, str, bool, int]:
        return fresh is not self._fresh_is_next, *self._rotations[fresh].turn(waiting.lane)

    def took(self, waiting: Waiting, now_us: WallUs) -> None:
        """Note that a lane is served now."""
        fresh = self.is_fresh(waiting, now_us)
        self._fresh_is_next = not fresh
        self._rotations[fresh].took(waiting.lane)


class _Rotation:
    """The turns of devices: one with a thousand sensors does not hold up the others."""

    def __init__(self) -> None:
        self._last_device = ""
        self._last_lanes: dict[str, int] = {}

    def turn(self, lane: Lane) -> tuple[bool, str, bool, int]:
        last = self._last_lanes.get(lane.device, 0)
        return lane.device <= self._last_device, lane.device, lane.id <= last, lane.id

    def took(self, lane: Lane) -> None:
        self._last_device = lane.device
        self._last_lanes[lane.device] = lane.id
