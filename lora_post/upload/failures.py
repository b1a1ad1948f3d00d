"""Why a destination takes nothing, and how long it is left alone for it."""

from __future__ import annotations

import logging

from lora_post.errors import Problem, SinkError, SpoolError
from lora_post.metrics import Metrics
from lora_post.net.backoff import Backoff
from lora_post.spool.model import Lane
from lora_post.upload.policy import UploadPolicy

log = logging.getLogger(__name__)


class Failures:
    """Failures since the destination last answered; each cause is told once. last_error: None for none."""

    def __init__(self, sink: str, metrics: Metrics, policy: UploadPolicy) -> None:
        self._sink = sink
        self._metrics = metrics
        self._policy = policy
        self._backoff = Backoff(policy.max_sink_pause_s, policy.first_pause_s)
        self._lanes: set[tuple[str, str]] = set()
        self._spool_error: Problem | None = None
        self.last_error: Problem | None = None

    @property
    def until(self) -> float:
        """The monotonic time until which nothing is sent."""
        return self._backoff.until

    def of_destination(self, error: SinkError, now: float) -> None:
        """Back off from the destination, for as long as it asks."""
        asked_s = min(error.retry_after_s or 0.0, self._policy.max_retry_after_s)
        self._backoff.fail(now, at_least_s=asked_s)
        self._tell(error)

    def of_lane(self, lane: Lane, error: SinkError, now: float) -> None:
        """Back off from the destination if a second lane fails and nothing has arrived in between."""
        self._lanes.add((lane.device, lane.name))
        if len(self._lanes) > 1 or error.retry_after_s is not None:
            self.of_destination(error, now)
        else:
            self._tell(error)

    def of_spool(self, error: SpoolError, now: float) -> None:
        """Back off: what arrives could not leave the queue."""
        self._backoff.fail(now)
        if error.problem != self._spool_error:
            log.error("%s: waiting to send: %s", self._sink, error)
        self._spool_error = self.last_error = error.problem

    def spool_works(self) -> None:
        """Note that the spool could be used."""
        if self._spool_error and self._spool_error == self.last_error:
            self.answered()
        self._spool_error = None

    def answered(self) -> None:
        """Note that the destination has answered as it should."""
        if self.last_error:
            log.info("%s: sending again", self._sink)
        self._backoff.succeed()
        self._lanes.clear()
        self.last_error = None

    def _tell(self, error: SinkError) -> None:
        self._metrics.count("retries", type(error).__name__)
        if self.last_error is None or _cause(error.problem) != _cause(self.last_error):
            log.warning("%s: waiting to send: %s", self._sink, error)
        self.last_error = error.problem


def _cause(problem: Problem) -> str:
    """Return what is wrong, without the part before the first colon, which names the sensor."""
    return problem.what.partition(": ")[2] or problem.what
