"""Remember what this process has delivered, for destinations that cannot be asked."""

from __future__ import annotations

from collections.abc import Iterable

from lora_post.spool.model import Batch
from lora_post.times import WallUs


class LastSent:
    """The last delivered readings of each lane; a doubt is never about older ones."""

    def __init__(self) -> None:
        # Not by the lane's number, which another spool gives to another sensor.
        self._times: dict[tuple[str, str], frozenset[WallUs]] = {}

    def note(self, batch: Batch, times_us: Iterable[WallUs]) -> None:
        """Note that these times of a batch have arrived, and no others of it."""
        self._times[batch.lane.device, batch.lane.name] = frozenset(times_us)

    def of(self, batch: Batch) -> list[WallUs]:
        """Return the times of a batch that have arrived."""
        known = self._times.get((batch.lane.device, batch.lane.name), frozenset())
        return [time for time in batch.times_us if time in known]
