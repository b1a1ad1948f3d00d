"""What a sink has confirmed and the spool does not know yet: quick requests share one synced write.

A synced write takes as long as a request on a fast network does. On a slow one each request has its own.
"""

from __future__ import annotations

from collections.abc import Sequence, Set

from lora_post.model import Batch, Lane


class Unsettled:
    """Confirmed batches that are still queued, by lane, in the order in which they were sent."""

    def __init__(self, share_write_for_s: float) -> None:
        self._share_write_for_s = share_write_for_s
        self._batches: dict[int, list[Batch]] = {}
        self._times: dict[int, set[int]] = {}
        self._since = 0.0

    def __bool__(self) -> bool:
        return bool(self._batches)

    def add(self, batch: Batch, sent: float) -> None:
        """sent: when its request was begun, monotonic time."""
        if not self._batches:
            self._since = sent
        self._batches.setdefault(batch.lane.id, []).append(batch)
        self._times.setdefault(batch.lane.id, set()).update(batch.times_us)

    def times_of(self, lane: Lane) -> Set[int]:
        """The times of a lane's readings that must not be sent again."""
        return self._times.get(lane.id, frozenset())

    def is_due(self, now: float) -> bool:
        """Whether the first of them has waited long enough."""
        return bool(self._batches) and now - self._since >= self._share_write_for_s

    def batches(self) -> list[Batch]:
        """All of it, one batch for each lane."""
        return [joined(batches) for batches in self._batches.values()]

    def clear(self) -> None:
        """They are settled, or in doubt."""
        self._batches.clear()
        self._times.clear()


def joined(batches: Sequence[Batch]) -> Batch:
    """Batches of one lane, each later than the one before it, as one."""
    times = tuple(time for batch in batches for time in batch.times_us)
    values = tuple(value for batch in batches for value in batch.values)
    return Batch(batches[0].lane, times, values)
