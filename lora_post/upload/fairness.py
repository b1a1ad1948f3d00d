"""Whose turn it is: devices take turns, and the sensors of each device.

Fresh readings do not wait behind a backlog.

The readings of one sensor leave in the order of their times, always: the server shows as a sensor's
value what it received last. So fresh and old are told apart between sensors. One whose oldest queued
reading is young has no backlog; while there are sensors of both kinds, every other
turn belongs to each.
"""

from __future__ import annotations

from collections import OrderedDict

from lora_post.spool.model import Waiting
from lora_post.times import WallUs


class Fairness:
    """The lanes that wait for their turn; whatever their number, to put one in or take one out costs the same."""

    def __init__(self, fresh_for_s: float) -> None:
        self._fresh_for_us = int(fresh_for_s * 1e6)
        self._fresh_is_next = True
        self._rotations = {True: _Rotation(), False: _Rotation()}
        self._places: dict[int, tuple[bool, str]] = {}

    def is_fresh(self, waiting: Waiting, now_us: WallUs) -> bool:
        """Return whether nothing of this lane is old; what is dated in the future is not old either."""
        return waiting.oldest_us > now_us - self._fresh_for_us

    def put(self, waiting: Waiting, now_us: WallUs) -> None:
        """Let a lane wait behind the others; one that waits already keeps its place among those of its kind."""
        number, place = waiting.lane.id, (self.is_fresh(waiting, now_us), waiting.lane.device)
        if self._places.get(number, place) != place:
            self.discard(number)
        self._places[number] = place
        self._rotations[place[0]].put(waiting)

    def discard(self, number: int) -> None:
        """Take a lane out by its number, if it is here."""
        place = self._places.pop(number, None)
        if place is not None:
            fresh, device = place
            self._rotations[fresh].discard(device, number)

    def take(self, now_us: WallUs) -> Waiting | None:
        """Take out the lane whose turn it is, None when there is none."""
        while self._places:
            fresh = self._fresh_is_next if self._rotations[self._fresh_is_next] else not self._fresh_is_next
            waiting = self._rotations[fresh].take()
            del self._places[waiting.lane.id]
            if fresh and not self.is_fresh(waiting, now_us):
                self.put(waiting, now_us)  # it has grown old here
                continue
            self._fresh_is_next = not fresh
            return waiting
        return None


class _Rotation:
    """The turns of devices: one with a thousand sensors does not hold up the others."""

    def __init__(self) -> None:
        # Ordered by links: to take the first of many out of a dict looks past all that were taken before.
        self._devices: OrderedDict[str, OrderedDict[int, Waiting]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._devices)

    def put(self, waiting: Waiting) -> None:
        self._devices.setdefault(waiting.lane.device, OrderedDict())[waiting.lane.id] = waiting

    def discard(self, device: str, number: int) -> None:
        lanes = self._devices[device]
        del lanes[number]
        if not lanes:
            del self._devices[device]

    def take(self) -> Waiting:
        device, lanes = self._devices.popitem(last=False)
        _, waiting = lanes.popitem(last=False)
        if lanes:
            self._devices[device] = lanes
        return waiting
