"""What the uploader has learned about one sensor's queue; none of it outlives the process."""

from __future__ import annotations

from dataclasses import dataclass

from lora_post.backoff import Backoff
from lora_post.model import Batch
from lora_post.upload.policy import UploadPolicy


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
    recent: int
    seen: int | None = None
    final: bool = False


@dataclass(slots=True)
class LaneState:
    """limit: how many readings the next request may hold. refusals: single readings refused in a row."""

    backoff: Backoff
    limit: int
    refusals: int = 0
    doubt: Doubt | None = None

    def ready_at(self) -> float:
        """Monotonic time from which on there is something to do."""
        return max(self.backoff.until, self.doubt.ask_at if self.doubt else 0.0)


def new_state(policy: UploadPolicy, doubt: Doubt | None = None) -> LaneState:
    """Return the state of a lane of which nothing has been learned."""
    return LaneState(Backoff(policy.max_lane_pause_s, policy.first_pause_s), policy.max_batch, doubt=doubt)
