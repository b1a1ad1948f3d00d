"""What an uploader has learned about each lane; none of it outlives the process."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lora_post.net.backoff import Backoff
from lora_post.spool.model import Lane
from lora_post.upload.doubt import Doubt
from lora_post.upload.policy import UploadPolicy


@dataclass(slots=True)
class LaneState:
    """What is known of one lane.

    limit: how many readings the next batch may hold. refusals: single readings refused in a row.
    """

    backoff: Backoff
    limit: int
    refusals: int = 0
    doubt: Doubt | None = None

    def ready_at(self) -> float:
        """Return the monotonic time from which on there is something to do."""
        return max(self.backoff.until, self.doubt.ask_at if self.doubt else 0.0)

    def is_blank(self, policy: UploadPolicy) -> bool:
        """Return whether nothing was learned, or it is over."""
        troubles = self.doubt or self.refusals or self.backoff.failures
        return not troubles and self.limit == policy.max_batch


class Lanes:
    """The lanes of one sink, by number."""

    def __init__(self, policy: UploadPolicy) -> None:
        self._policy = policy
        self._states: dict[int, LaneState] = {}

    def state(self, lane: Lane) -> LaneState:
        """Return what is known of a lane, which may be nothing."""
        if lane.id not in self._states:
            backoff = Backoff(self._policy.max_lane_pause_s, self._policy.first_pause_s)
            self._states[lane.id] = LaneState(backoff, self._policy.max_batch)
        return self._states[lane.id]

    def ready_at(self, lane: Lane) -> float:
        """Return the monotonic time from which on there is something to do for a lane."""
        state = self._states.get(lane.id)
        return state.ready_at() if state else 0.0

    def tidy(self, lane: Lane) -> None:
        """Forget a lane of which nothing is known but that all is well."""
        state = self._states.get(lane.id)
        if state and state.is_blank(self._policy):
            del self._states[lane.id]

    def start_anew(self, doubts: Iterable[tuple[Lane, Doubt]]) -> None:
        """Forget everything; these lanes are in doubt."""
        self._states.clear()
        for lane, doubt in doubts:
            self.state(lane).doubt = doubt

    def forget(self, lane: Lane) -> None:
        """Forget what was learned about a lane, unless it is in doubt."""
        if self._states[lane.id].doubt is None:
            del self._states[lane.id]

    def doubts(self) -> dict[int, Doubt]:
        """Return the doubts, by the numbers of their lanes."""
        return {number: state.doubt for number, state in self._states.items() if state.doubt}
