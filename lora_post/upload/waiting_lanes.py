"""Which lanes have something to send, kept up to date by what changes: a look at all of them is seldom needed.

What this process queues is told by `Arrivals`, and what was sent is looked after lane by lane. Only what others have
queued has to be searched for: when something was committed, and as often as a small share of the time allows.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush

from lora_post.clocks.scale import is_unknown
from lora_post.spool.model import Lane, Waiting
from lora_post.spool.queue import Queue
from lora_post.times import WallUs
from lora_post.upload.confirmed import Confirmed
from lora_post.upload.fairness import Fairness
from lora_post.upload.lanes import Lanes
from lora_post.upload.policy import UploadPolicy


class WaitingLanes:
    """The lanes of one queue that have readings. Times called `now` are monotonic, in seconds."""

    def __init__(
        self,
        queue: Queue,
        lanes: Lanes,
        confirmed: Confirmed,
        policy: UploadPolicy,
        monotonic: Callable[[], float],
    ) -> None:
        self._queue = queue
        self._lanes = lanes
        self._confirmed = confirmed
        self._policy = policy
        self._monotonic = monotonic
        self.forget()

    def forget(self) -> None:
        """Begin anew: another file is the spool now."""
        self._waiting: dict[int, Waiting] = {}
        self._turns = Fairness(self._policy.fresh_for_s)
        self._resting: list[tuple[float, int]] = []
        self._rests: set[int] = set()
        self._grown: set[int] = set()
        self._oldest_us: WallUs | None = None
        self._taken: Lane | None = None
        self._version: tuple[int, int, int] | None = None
        self._is_outdated = True
        self._search_at = 0.0

    def __len__(self) -> int:
        return len(self._waiting)

    def look(self, now: float, wall_us: WallUs) -> None:
        """Take in what has come, and what is left of the lane that was taken. Raises SpoolError."""
        self._give_back(now, wall_us)
        for lane, time_us in self._queue.arrived():
            known = self._waiting.get(lane.id)
            if not is_unknown(time_us):
                at_us = WallUs(time_us)
                self._put(Waiting(lane, at_us if known is None else min(at_us, known.oldest_us)), now, wall_us)
        self._search_if_due(now, wall_us)
        while self._resting and self._resting[0][0] <= now:
            _, number = heappop(self._resting)
            if number in self._rests:
                self._rests.discard(number)
                self._turns.put(self._waiting[number], wall_us)

    def take(self, wall_us: WallUs) -> Waiting | None:
        """Take out the lane whose turn it is, None when none is ready; the next look finds out what is left of it."""
        waiting = self._turns.take(wall_us)
        if waiting is not None:
            self._taken = waiting.lane
            self._remove(waiting.lane.id)
        return waiting

    def took_all(self) -> None:
        """Note that the lane that was taken had nothing else; what has come since is told as that of others is."""
        if self._taken is not None:
            self._lanes.tidy(self._taken)
            self._taken = None

    def wait_s(self, now: float) -> float:
        """Return for how many seconds none is going to be ready, as far as it is known."""
        moments = [self._resting[0][0]] if self._resting else []
        if self._is_outdated:
            moments.append(self._search_at)
        return max(0.0, min(moments) - now) if moments else self._policy.idle_s

    def oldest_us(self) -> WallUs:
        """Return the time of the oldest reading; there must be one."""
        if self._oldest_us is None:
            self._oldest_us = min(waiting.oldest_us for waiting in self._waiting.values())
        return self._oldest_us

    def has_full_batch(self) -> bool:
        """Tell whether a lane has readings for a whole batch; one that had not is looked at when it has more."""
        while self._grown:
            number = self._grown.pop()
            if self._queue.has_batch_of(number, self._policy.max_batch):
                self._grown.add(number)
                return True
        return False

    def _give_back(self, now: float, wall_us: WallUs) -> None:
        lane = self._taken
        if lane is not None:
            left = self._queue.waiting_of(lane, self._confirmed.times_of(lane))
            self._taken = None
            self._lanes.tidy(lane)
            if left is not None:
                self._put(left, now, wall_us)

    def _search_if_due(self, now: float, wall_us: WallUs) -> None:
        if self._version is not None and now < self._search_at:
            self._is_outdated = True  # as far as it is known
            return
        version = self._queue.version()
        if version == self._version:
            self._is_outdated = False
            return
        began = self._monotonic()
        found = {waiting.lane.id: waiting for waiting in self._queue.waiting()}
        for number in self._waiting.keys() - found.keys():
            self._remove(number)
        for waiting in found.values():
            confirmed = self._confirmed.times_of(waiting.lane)
            left = self._queue.waiting_of(waiting.lane, confirmed) if confirmed else waiting
            if left is not None:
                self._put(left, now, wall_us)
        self._version, self._is_outdated = version, False
        self._search_at = now + (self._monotonic() - began) / self._policy.search_share

    def _put(self, waiting: Waiting, now: float, wall_us: WallUs) -> None:
        number = waiting.lane.id
        self._grown.add(number)
        known = self._waiting.get(number)
        if known == waiting:
            return
        if known is not None and known.oldest_us == self._oldest_us:
            self._oldest_us = None
        self._waiting[number] = waiting
        if self._oldest_us is not None:
            self._oldest_us = min(self._oldest_us, waiting.oldest_us)
        if number in self._rests:
            return
        ready_at = self._lanes.ready_at(waiting.lane)
        if ready_at <= now:
            self._turns.put(waiting, wall_us)
        else:
            self._turns.discard(number)
            self._rests.add(number)
            heappush(self._resting, (ready_at, number))

    def _remove(self, number: int) -> None:
        waiting = self._waiting.pop(number)
        if waiting.oldest_us == self._oldest_us:
            self._oldest_us = None
        self._grown.discard(number)
        self._rests.discard(number)
        self._turns.discard(number)
