"""When readings are in doubt, when the sink is asked about them, and when the doubt is over.

A server may act on a request long after the connection to it was cut: it waits in front of it, or in it. So what is
not found is not missing until the server can no longer be at work on it; what is found is there, at once.

No IO and no clock: times are monotonic, in seconds, and given; those called `since_us` are by the sink's clock.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from lora_post.spool.model import Batch
from lora_post.times import WallUs
from lora_post.upload.policy import UploadPolicy


class Doubt(Struct, frozen=True):
    """Some of a lane's oldest readings may have arrived, or may still arrive.

    batch: which readings; None when any of the oldest may be meant. since_us: none of them was sent before; 0 when
    that is not known. ask_at: when to ask. until: from then on the sink is done with them.
    seen: how many the last look found, None before the first one.
    """

    batch: Batch | None
    since_us: WallUs
    ask_at: float
    until: float
    seen: int | None = None


class DoubtRules:
    """How doubts begin at one sink, and how they end."""

    def __init__(self, policy: UploadPolicy, *, goes_on: bool) -> None:
        """goes_on: see `Sink.goes_on`."""
        self._policy = policy
        self._goes_on = goes_on

    def left_behind(self, since_us: WallUs, now: float, until: float | None = None) -> Doubt:
        """Return the doubt over what the last process may have had under way in a lane.

        until: as that process has noted it, None when it did not. One look, and late: that is half of the data that
        two would cost, for every sensor of the site.
        """
        latest = self._until(self._policy.max_batch, now)
        until = latest if until is None else min(until, latest)
        return Doubt(None, since_us, until, until)

    def unanswered(self, batch: Batch, since_us: WallUs, now: float) -> Doubt:
        """Return the doubt over a batch that the server may still be storing."""
        count, policy = len(batch.times_us), self._policy
        until = self._until(count, now)
        soon = now + policy.ask_after_s + policy.ask_after_per_reading_s * count
        return Doubt(batch, since_us, min(soon, until), until)

    def refused(self, batch: Batch, since_us: WallUs) -> Doubt:
        """Return the doubt over a batch that was refused, perhaps after a part of it was stored."""
        return Doubt(batch, since_us, 0.0, 0.0)

    def elsewhere(self, since_us: WallUs) -> Doubt:
        """Return the doubt over readings that another writer may have sent, and is done with."""
        return Doubt(None, since_us, 0.0, 0.0)

    def after_look(self, doubt: Doubt, size: int, found: int, now: float) -> Doubt | None:
        """Return the doubt that is left after a look; None when it is over.

        size: how many readings are in doubt. found: how many of them the sink has.
        It is over when everything is found, and when the sink is done; one that was still adding readings is not.
        """
        if found == size:
            return None
        if now < doubt.until:
            return replace(doubt, seen=found, ask_at=doubt.until)
        if doubt.seen in (None, found):
            return None
        return replace(doubt, seen=found, ask_at=now + self._policy.pace_s)

    def _until(self, count: int, now: float) -> float:
        return now + self._policy.late_s + self._policy.late_per_reading_s * count if self._goes_on else now
