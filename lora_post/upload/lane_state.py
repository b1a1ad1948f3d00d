"""What the uploader has learned about one sensor's queue; none of it outlives the process."""

from __future__ import annotations

from dataclasses import dataclass, field

from lora_post.backoff import Backoff
from lora_post.model import Batch

MAX_BATCH = 100  # the server stores one by one, so more only risks a time-out
MAX_LANE_PAUSE_S = 600.0


@dataclass(slots=True)
class Doubt:
    """Some of a lane's oldest readings may have arrived.

    ask_at: monotonic time. batch: which ones; None after an unclean stop, then any batch of the oldest.
    seen: how many the last look found, None before the first one.
    recent: among how many of the sensor's last readings to look for them.
    final: the server is done with the batch, so one look is enough.
    """

    ask_at: float
    batch: Batch | None
    seen: int | None = None
    final: bool = False
    recent: int = MAX_BATCH


@dataclass(slots=True)
class LaneState:
    """limit: how many readings the next request may hold. refusals: single readings refused in a row."""

    backoff: Backoff = field(default_factory=lambda: Backoff(MAX_LANE_PAUSE_S))
    refusals: int = 0
    limit: int = MAX_BATCH
    doubt: Doubt | None = None

    def ready_at(self) -> float:
        """Monotonic time from which on there is something to do."""
        return max(self.backoff.until, self.doubt.ask_at if self.doubt else 0.0)
