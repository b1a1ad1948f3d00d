"""Telling the spool what a sink has confirmed, and what is in doubt when it cannot be told."""

from __future__ import annotations

from collections.abc import Sequence

from lora_post.clocks.steady import SteadyClock
from lora_post.errors import SpoolError
from lora_post.metrics import Metrics
from lora_post.model import Batch
from lora_post.spool.queue import Queue
from lora_post.upload.lane_state import Doubt, LaneState, new_state
from lora_post.upload.policy import UploadPolicy
from lora_post.upload.unsettled import Unsettled, joined


class Settling:
    """Of one sink. lanes: their doubts, by id; delivered_us: the latest delivery by the steady clock, 0 for none."""

    def __init__(
        self, spool: Queue, metrics: Metrics, clock: SteadyClock, policy: UploadPolicy, lanes: dict[int, LaneState]
    ) -> None:
        self._policy = policy
        self._spool = spool
        self._metrics = metrics
        self._clock = clock
        self._lanes = lanes
        self.unsettled = Unsettled(policy.share_write_for_s)
        self.delivered_us = 0

    def settle(self, batch: Batch, times_us: Sequence[int], state: LaneState) -> None:
        """These of a batch have arrived. Raises SpoolError; the sink is then asked again."""
        try:
            self._spool.settle(batch, times_us)
        except SpoolError:
            state.doubt = Doubt(0.0, batch, self._policy.max_batch, final=True)
            raise
        self._delivered(len(times_us))

    def settle_all(self) -> None:
        """Everything that is confirmed. Raises SpoolError; the sink is then asked again."""
        if not self.unsettled:
            return
        batches = self.unsettled.batches()
        try:
            self._spool.settle_all(batches)
        except SpoolError:
            self.unsettled.clear()
            for batch in batches:
                state = self._lanes.setdefault(batch.lane.id, new_state(self._policy))
                state.doubt = _with_earlier(batch, state.doubt)
            raise
        self.unsettled.clear()
        self._delivered(sum(len(batch.times_us) for batch in batches))

    def _delivered(self, amount: int) -> None:
        self._metrics.count("delivered", self._spool.sink, amount=amount)
        self.delivered_us = self._clock.now_us()


def _with_earlier(confirmed: Batch, doubt: Doubt | None) -> Doubt:
    """The doubt over a batch that could not be settled, and over the one that was sent after it."""
    if doubt is None or doubt.batch is None:
        return Doubt(0.0, confirmed, len(confirmed.times_us), final=True)
    both = joined([confirmed, doubt.batch])
    return Doubt(doubt.ask_at, both, len(both.times_us), final=doubt.final)
