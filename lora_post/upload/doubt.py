"""When readings are in doubt, when the sink is asked about them, and when the doubt is over.

No IO and no clock: times are monotonic, in seconds, and given.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from lora_post.spool.model import Batch
from lora_post.upload.policy import UploadPolicy


class Doubt(Struct, frozen=True):
    """Some of a lane's oldest readings may have arrived.

    ask_at: when to ask. batch: which readings; None after a kill, when any of the oldest may be meant.
    among: how many of the sensor's last readings at the sink to search.
    seen: how many the last look found, None before the first one.
    final: the server is done with the batch, so one look is enough.
    """

    ask_at: float
    batch: Batch | None
    among: int
    seen: int | None = None
    final: bool = False

    def depth(self, size: int) -> int:
        """Return among how many of the sensor's last readings to search for these `size`."""
        return min(size, self.among)


class DoubtRules:
    """How doubts begin at one sink, and how they end."""

    def __init__(self, policy: UploadPolicy, looks_back: int) -> None:
        """looks_back: see `Sink.looks_back`."""
        self._policy = policy
        self._looks_back = looks_back

    def after_kill(self, now: float) -> Doubt:
        """Return the doubt over what the last process may have had under way in a lane."""
        return Doubt(now + self._policy.ask_after_s, None, self._policy.max_batch)

    def under_way(self, batch: Batch) -> Doubt:
        """Return the doubt over a batch while it is sent; it stays if that ends in a defect."""
        return Doubt(0.0, batch, self._policy.max_batch)

    def unanswered(self, batch: Batch, now: float) -> Doubt:
        """Return the doubt over a batch that the server may still be storing."""
        wait_s = self._policy.ask_after_s + self._policy.ask_after_per_reading_s * len(batch.times_us)
        return Doubt(now + wait_s, batch, self._policy.max_batch)

    def refused(self, batch: Batch) -> Doubt:
        """Return the doubt over a batch that was refused, perhaps after a part of it was stored."""
        return Doubt(0.0, batch, self._policy.max_batch, final=True)

    def after_look(self, doubt: Doubt, size: int, found: int, now: float) -> Doubt | None:
        """Return the doubt that is left after a look; None when it is over.

        size: how many readings are in doubt. found: how many of them the sink has.
        It is over when two looks find the same, or the first one finds everything.
        """
        depth = doubt.depth(size)
        if depth <= found < size and depth < self._looks_back:
            return replace(doubt, among=self._looks_back, seen=None)  # there may be more of them
        if doubt.final or found in (doubt.seen, size):
            return None
        return replace(doubt, seen=found, ask_at=now + self._policy.ask_after_s)
