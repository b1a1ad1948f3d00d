"""The loop that empties the spool into one sink: claim, send, settle; back-off per lane and per sink.

A reading is delivered once. Before anything is sent again whose outcome is not known (no answer, a
5xx, a process that was killed), the sink is asked what it has. So nothing needs to be written
before a request goes out: after a stop that was not clean, everything that was queued is in doubt.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event

from lora_post.backoff import Backoff
from lora_post.clocks.steady import SteadyClock
from lora_post.errors import BatchRefused, OutcomeUnknown, Rejected, SinkError, SpoolError, Unavailable
from lora_post.metrics import Metrics
from lora_post.model import Batch, Lane
from lora_post.spool.queue import Queue
from lora_post.upload.allowance import Closed, UploadAllowance
from lora_post.upload.fairness import Fairness
from lora_post.upload.lane_state import Doubt, LaneState, new_state
from lora_post.upload.policy import UploadPolicy
from lora_post.upload.settling import Settling
from lora_post.upload.sink import Sink

log = logging.getLogger(__name__)

HOLDING = "[upload] hold: more readings may share the request"


class Uploader:
    """Delivers one sink's readings; `step` does one piece of work."""

    def __init__(
        self,
        spool: Queue,
        sink: Sink,
        metrics: Metrics,
        allowance: UploadAllowance | None = None,
        clock: SteadyClock | None = None,
        policy: UploadPolicy | None = None,
    ) -> None:
        """allowance None: everything may be sent at any time."""
        self._policy = policy or UploadPolicy()
        self._clock = clock or SteadyClock()
        self._monotonic = self._clock.monotonic
        self._spool = spool
        self._sink = sink
        self._allowance = allowance
        self._closed_because = self._held_because = ""
        self._metrics = metrics
        self._lanes: dict[int, LaneState] = {}
        self._settling = Settling(spool, metrics, self._clock, self._policy, self._lanes)
        self._fairness = Fairness(self._policy.fresh_for_s)
        self._backoff = Backoff(self._policy.max_sink_pause_s, self._policy.first_pause_s)
        self._in_trouble: set[int] = set()
        self._serving: tuple[Lane, LaneState] | None = None
        self._look_for_parked_at = 0.0
        self._is_prepared = True
        self.last_error = ""
        self._is_ours = self._take_over()
        if not self._is_ours:
            log.info("%s: another lora-post sends what is in this spool; leaving that to it", spool.sink)

    def run(self, stop: Event, wake: Event, alive: Callable[[float], object] = lambda wait_s: None) -> None:
        """Work until `stop`; `wake` tells that there is something new.

        alive: told each time round, and how many seconds are only waited.
        """
        while not stop.is_set():
            wake.clear()
            alive(0.0)
            try:
                wait_s = self.step()
            except Exception as error:
                log.exception("uploader: a defect")
                wait_s = self._after_defect(error)
            # `stop` is set before `wake`, which may have been cleared since.
            if wait_s > 0 and not stop.is_set():
                alive(wait_s)
                wake.wait(wait_s)
        self._finish()

    def _take_over(self) -> bool:
        """Become the one who empties the spool: two would send everything twice. False while another does it."""
        if not self._spool.reserve():
            return False
        if self._spool.mark_running():
            self._doubt_all()
        return True

    def _wall_us(self) -> int:
        return self._clock.now_us() + self._clock.ahead_us()

    def _doubt_all(self) -> None:
        # Parked ones too: what was under way of them may have been stored, and they may be released.
        ask_at = self._monotonic() + self._policy.ask_after_s
        for lane in self._spool.queued_lanes():
            self._lanes[lane.id] = new_state(self._policy, Doubt(ask_at, None, self._policy.max_batch))

    def _follow_spool(self) -> None:
        """After another file has taken the place of a damaged one, what was learned is of other sensors."""
        if self._spool.go_on():
            self._lanes.clear()
            self._settling.unsettled.clear()
            self._in_trouble.clear()
            self._spool.mark_running()
            self._doubt_all()

    def _after_defect(self, error: Exception) -> float:
        """Leave the sensor alone over which it happened, everything if there was none; seconds to wait.

        It is tried with fewer and fewer readings, and parked when it happens over a single one.
        """
        serving, self._serving = self._serving, None
        if serving is None:
            return self._policy.max_sink_pause_s
        lane, state = serving
        if state.limit > 1:
            state.limit //= 2
            state.backoff.fail(self._monotonic())
            return 0.0
        try:
            self._park(lane, state, f"a defect of lora-post, please report it: {type(error).__name__}: {error}")
        except SpoolError as trouble:
            log.error("%s", trouble)
            return self._policy.max_sink_pause_s
        return 0.0

    def _finish(self) -> None:
        """Without doubts, the next start need not ask the server about anything."""
        if not self._is_ours:
            return
        try:
            self._settling.settle_all()
            if self._allowance:
                self._allowance.save()
            if not any(state.doubt for state in self._lanes.values()):
                self._spool.mark_stopped()
        except SpoolError as error:
            log.error("%s", error)

    def is_done(self) -> bool:
        """Nothing is left that could go out: the queue is empty but for what is parked."""
        return not self._spool.ready_lanes()

    def step(self) -> float:
        """Do one piece of work; returns how many seconds there is nothing to do (0: go on)."""
        now = self._monotonic()
        try:
            wait_s = self._backoff.until - now if now < self._backoff.until else self._work(now)
            if wait_s > 0 or self._settling.unsettled.is_due(self._monotonic()):
                self._settling.settle_all()
            return wait_s
        except SinkError as error:
            self._pause(error)
        except SpoolError as error:
            if not self._backoff.failures:
                log.error("%s", error)
            self._backoff.fail(now)
        return 0.0

    def _work(self, now: float) -> float:
        self._is_ours = self._is_ours or self._take_over()
        if not self._is_ours:
            return self._policy.idle_s
        self._follow_spool()
        if self._allowance and (closed := self._allowance.closed()):
            return self._wait_at(closed)
        self._closed_because = ""
        self._release_parked(now)
        self._prepare()
        return self._serve_next(now)

    def _prepare(self) -> None:
        """Tells of a server that is back even when no reading waits for it."""
        try:
            self._sink.prepare()
        except SinkError:
            self._is_prepared = False
            raise
        if not self._is_prepared:
            self._is_prepared = True
            self._answered()

    def _wait_at(self, closed: Closed) -> float:
        if closed.reason != self._closed_because:
            log.info("%s; readings are kept", closed.reason)
        self._closed_because = closed.reason
        return min(closed.wait_s, self._policy.look_again_s)

    @property
    def delivered_us(self) -> int:
        """The latest delivery by the steady clock, 0 for none."""
        return self._settling.delivered_us

    def is_closed(self) -> bool:
        """Whether the configuration forbids sending for now."""
        return bool(self._closed_because)

    @property
    def held(self) -> str:
        """Why the configuration keeps readings back for now, "" when it does not."""
        return self._closed_because or self._held_because

    def _release_parked(self, now: float) -> None:
        if now >= self._look_for_parked_at:
            self._look_for_parked_at = now + self._policy.look_for_parked_every_s
            self._spool.release_parked_before(self._wall_us() - int(self._policy.parked_for_s * 1e6))

    def _serve_next(self, now: float) -> float:
        wall_us = self._wall_us()
        queue = self._spool.waiting()
        waits = [self._policy.idle_s]
        held_s = self._allowance.held_s(queue, self._has_full_batch) if self._allowance else 0.0
        self._held_because = HOLDING if held_s else ""
        if held_s:
            return min(held_s, self._policy.idle_s)
        for waiting in self._fairness.order(queue, wall_us):
            lane = waiting.lane
            state = self._lanes.setdefault(lane.id, new_state(self._policy))
            if state.ready_at() <= now:
                self._fairness.took(waiting, wall_us)
                self._serving = lane, state
                self._serve(lane, state)
                self._serving = None
                return 0.0
            waits.append(state.ready_at() - now)
        return min(waits)

    def _has_full_batch(self) -> bool:
        return self._spool.has_batch_of(self._policy.max_batch)

    def _serve(self, lane: Lane, state: LaneState) -> None:
        began = self._monotonic()
        try:
            if state.doubt:
                self._settling.settle_all()
                self._resolve(lane, state, state.doubt)
            else:
                self._send(lane, state)
        except Unavailable:
            raise
        except Rejected as error:
            self._park(lane, state, str(error))
        except SinkError as error:
            now = self._monotonic()
            state.backoff.fail(now, at_least_s=(now - began) * self._policy.rest_after_trouble)
            self._in_trouble.add(lane.id)
            # It may be this sensor alone; two of them, and nothing that went well between, are the server.
            if len(self._in_trouble) > 1 or error.retry_after_s is not None:
                self._pause(error)
            else:
                self._note(error)

    def _park(self, lane: Lane, state: LaneState, reason: str) -> None:
        self._spool.park(lane, reason, self._wall_us())
        if state.doubt is None:
            del self._lanes[lane.id]
        self._metrics.count("parked", self._spool.sink)
        log.error("%s: parked device=%s sensor=%s: %s", self._spool.sink, lane.device, lane.name, reason)

    def _send(self, lane: Lane, state: LaneState) -> None:
        batch = self._spool.claim(lane, state.limit, but=self._settling.unsettled.times_of(lane))
        if batch is None:
            self._settling.settle_all()
            return
        sent = self._monotonic()
        # In doubt until told otherwise, whatever goes wrong.
        state.doubt = doubt = Doubt(0.0, batch, self._policy.max_batch)
        try:
            self._sink.send(batch)
        except OutcomeUnknown:
            doubt.ask_at = self._monotonic() + self._policy.ask_after(len(batch.times_us))
            raise
        except BatchRefused as error:
            state.doubt = None
            self._narrow_down(batch, state, error)
            return
        except (Unavailable, Rejected):
            state.doubt = None
            raise
        self._observe(batch, sent)
        state.doubt = None
        self._answered()
        state.backoff.succeed()
        state.limit = min(self._policy.max_batch, state.limit * 2)
        state.refusals = 0
        self._settling.unsettled.add(batch, sent)
        # With the next batch under way, all of it must be found again after an unclean stop.
        if len(self._settling.unsettled.times_of(lane)) + self._policy.max_batch > self._sink.looks_back:
            self._settling.settle_all()

    def _observe(self, batch: Batch, sent: float) -> None:
        sink, wall_us = self._spool.sink, self._wall_us()
        self._metrics.observe("delivery_duration", self._monotonic() - sent, sink)
        self._metrics.observe("delivery_age", max(0.0, (wall_us - max(batch.times_us)) / 1e6), sink)

    def _narrow_down(self, batch: Batch, state: LaneState, error: BatchRefused) -> None:
        """Find the reading that is refused; set it aside alone, and park the lane if it is not alone."""
        if len(batch.times_us) > 1:
            state.limit = len(batch.times_us) // 2
            state.doubt = Doubt(0.0, batch, self._policy.max_batch, final=True)
            return
        state.refusals += 1
        if state.refusals >= self._policy.refusals_before_parking:
            raise error
        self._spool.refuse(batch, str(error))
        self._metrics.count("rejected", self._spool.sink)
        log.error(
            "%s: refused reading device=%s sensor=%s: %s", self._spool.sink, batch.lane.device, batch.lane.name, error
        )

    def _resolve(self, lane: Lane, state: LaneState, doubt: Doubt) -> None:
        batch = doubt.batch or self._spool.claim(lane, self._policy.doubted_after_kill)
        if batch is None:
            state.doubt = None
            return
        recent = min(len(batch.times_us), doubt.recent)
        stored = self._sink.stored(batch, recent)
        self._answered()
        if stored:
            state.backoff.succeed()  # otherwise pushing may fail as before, and must be tried less and less often
        if recent <= len(stored) < len(batch.times_us) and recent < self._sink.looks_back:
            doubt.recent, doubt.seen = self._sink.looks_back, None  # there may be more of them
        elif doubt.final or len(stored) in (doubt.seen, len(batch.times_us)):
            state.doubt = None
            self._settling.settle(batch, stored, state)
        else:
            doubt.seen = len(stored)
            doubt.ask_at = self._monotonic() + self._policy.ask_after_s

    def _answered(self) -> None:
        if self.last_error:
            log.info("%s: sending again", self._spool.sink)
        self._backoff.succeed()
        self._in_trouble.clear()
        self.last_error = ""

    def _pause(self, error: SinkError) -> None:
        """Trouble with the server as a whole: wait, longer each time."""
        asked_s = min(error.retry_after_s or 0.0, self._policy.max_retry_after_s)
        self._backoff.fail(self._monotonic(), at_least_s=asked_s)
        self._note(error)

    def _note(self, error: SinkError) -> None:
        """Say so, once per cause."""
        self._metrics.count("retries", type(error).__name__)
        if _cause(str(error)) != _cause(self.last_error):
            log.warning("%s: waiting to send: %s", self._spool.sink, error)
        self.last_error = str(error)


def _cause(text: str) -> str:
    """What is wrong, without the sensor for which it was noticed: that is told before the first colon."""
    return text.partition(": ")[2] or text
