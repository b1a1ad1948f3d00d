"""What a sink refuses: readings are set aside, lanes are parked and tried again after a day."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable

from lora_post.errors import Problem
from lora_post.metrics import Metrics
from lora_post.spool.model import Batch, Lane
from lora_post.spool.queue import Queue
from lora_post.times import WallUs
from lora_post.upload.policy import UploadPolicy

log = logging.getLogger(__name__)

MAX_TOLD = 8  # reasons of one device


class Parking:
    """What one queue holds that others do not wait for. All methods raise SpoolError."""

    def __init__(self, queue: Queue, metrics: Metrics, policy: UploadPolicy, wall_us: Callable[[], WallUs]) -> None:
        self._queue = queue
        self._metrics = metrics
        self._policy = policy
        self._wall_us = wall_us
        self._look_at = 0.0
        self._told: dict[str, deque[Problem]] = {}

    def park(self, lane: Lane, why: Problem) -> None:
        """Send nothing more of a lane until a person releases it, or a day has passed."""
        self._queue.park(lane, why, self._wall_us())
        self._metrics.count("parked", self._queue.sink)
        told = self._told.setdefault(lane.device, deque(maxlen=MAX_TOLD))
        # Not for each sensor of somebody else's device, and not each day anew.
        level = logging.DEBUG if why in told else logging.ERROR
        log.log(level, "%s: parked device=%s sensor=%s: %s", self._queue.sink, lane.device, lane.name, why)
        if why not in told:
            told.append(why)

    def set_aside(self, batch: Batch, reason: str) -> None:
        """Take a reading that is refused out of the way of those behind it."""
        self._queue.refuse(batch, reason)
        self._metrics.count("rejected", self._queue.sink)
        lane = batch.lane
        log.error("%s: refused reading device=%s sensor=%s: %s", self._queue.sink, lane.device, lane.name, reason)

    def release(self, now: float) -> None:
        """Let lanes go that were parked a day ago; look for them once an hour. now: monotonic."""
        if now >= self._look_at:
            self._look_at = now + self._policy.look_for_parked_every_s
            now_us = self._wall_us()
            self._queue.release_parked_before(WallUs(now_us - int(self._policy.parked_for_s * 1e6)), now_us)
