"""What a sink has confirmed and the queue still holds.

Quick requests share one synced write, which takes as long as a request on a fast network does. On a slow network
each request has its own.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Set

from lora_post.spool.model import Lane
from lora_post.spool.queue import Queue
from lora_post.times import WallUs


class Confirmed:
    """Readings of one queue that must not be sent again, until they have left it."""

    def __init__(self, queue: Queue, share_write_for_s: float) -> None:
        self._queue = queue
        self._share_write_for_s = share_write_for_s
        self._times: dict[int, set[WallUs]] = {}
        self._since = 0.0

    def add(self, lane: Lane, times_us: Collection[WallUs], since: float) -> None:
        """Note that these readings of a lane have arrived.

        since: when their request was begun, in monotonic seconds.
        """
        if not times_us:
            return
        if not self._times:
            self._since = since
        self._times.setdefault(lane.id, set()).update(times_us)

    def times_of(self, lane: Lane) -> Set[WallUs]:
        """Return the times of a lane's readings that have arrived and are still queued."""
        return self._times.get(lane.id, frozenset())

    def is_due(self, now: float) -> bool:
        """Return whether the first of them has waited long enough for others."""
        return bool(self._times) and self.due_in(now) <= 0

    def due_in(self, now: float) -> float:
        """Return for how many seconds the first of them may wait for others; 0 or less for not at all, or none."""
        return self._since + self._share_write_for_s - now if self._times else 0.0

    def __len__(self) -> int:
        return sum(map(len, self._times.values()))

    def settle(self, since_us: WallUs | None = None) -> int:
        """Take all of them out of the queue; return how many. since_us: see `Queue.settle`.

        Raises SpoolError; they stay confirmed then, and are due until it succeeds.
        """
        count = len(self)
        if count:
            self._since = -math.inf
            self._queue.settle(self._times, since_us)
            self._times.clear()
        return count

    def clear(self) -> None:
        """Forget all: another file is the spool now, and its lanes have other numbers."""
        self._times.clear()
