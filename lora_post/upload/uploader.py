"""The loop that empties one queue into one sink.

    claim → send → settle       what the sink confirms leaves the queue
    doubt → ask                 what may have arrived is asked about before it is sent again
    trouble → back off          from one lane, or from the whole destination

A reading is delivered once. It is in doubt when no answer came, an answer was a 5xx, or the process was killed. So
nothing needs to be written before each request: after a kill, everything that was queued is in doubt.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from threading import Event

from lora_post.clocks.steady import SteadyClock
from lora_post.clocks.system import boot_id
from lora_post.errors import BatchRefused, MayBeThere, NotSent, Problem, Rejected, SinkError, SpoolError, Unavailable
from lora_post.metrics import Metrics
from lora_post.sinks.sink import Sink
from lora_post.spool.model import Batch, Lane
from lora_post.spool.queue import LeftBehind, Queue, Unsettled
from lora_post.text import wait_text
from lora_post.times import NEVER, WallUs
from lora_post.upload.allowance import UploadAllowance
from lora_post.upload.confirmed import Confirmed
from lora_post.upload.doubt import Doubt, DoubtRules
from lora_post.upload.failures import Failures
from lora_post.upload.lanes import Lanes, LaneState
from lora_post.upload.parking import Parking
from lora_post.upload.policy import UploadPolicy
from lora_post.upload.sending_note import SendingNote
from lora_post.upload.waiting_lanes import WaitingLanes

log = logging.getLogger(__name__)

HOLDING = "[upload] hold: waiting for more readings to share the request"


class Uploader:
    """Delivers one queue. delivered_us: the latest delivery by the steady clock, 0 for none."""

    def __init__(
        self,
        queue: Queue,
        sink: Sink,
        metrics: Metrics,
        allowance: UploadAllowance | None = None,
        clock: SteadyClock | None = None,
        policy: UploadPolicy | None = None,
    ) -> None:
        """allowance None: everything may be sent at any time."""
        self._queue = queue
        self._sink = sink
        self._metrics = metrics
        self._allowance = allowance
        self._clock = clock or SteadyClock()
        self._monotonic = self._clock.monotonic
        self._policy = policy or UploadPolicy()
        self._lanes = Lanes(self._policy)
        self._doubts = DoubtRules(self._policy, goes_on=sink.goes_on)
        self._note = SendingNote(queue, self._policy)
        self._confirmed = Confirmed(queue, self._policy.share_write_for_s)
        self._waiting = WaitingLanes(queue, self._lanes, self._confirmed, self._policy, self._monotonic)
        self._parking = Parking(queue, metrics, self._policy, self._wall_us)
        self._failures = Failures(queue.sink, metrics, self._policy)
        self._serving: tuple[Lane, LaneState] | None = None
        self._is_prepared = True
        self._comes_back = False
        self._closed_because = self._held_because = ""
        self.delivered_us = NEVER
        self._is_alone = self._take_over()
        if not self._is_alone:
            log.info("%s: not sending: another lora-post sends from this spool", queue.sink)

    # What others ask

    @property
    def last_error(self) -> Problem | None:
        """Why the destination takes nothing, None when it does."""
        return self._failures.last_error

    @property
    def held(self) -> str:
        """Why the configuration keeps readings back for now, "" when it does not."""
        return self._closed_because or self._held_because

    def is_closed(self) -> bool:
        """Return whether the configuration forbids sending for now."""
        return bool(self._closed_because)

    # The loop

    def run(self, stop: Event, wake: Event, alive: Callable[[float], object] = lambda wait_s: None) -> None:
        """Work until `stop` is set; `wake` is set when there is something new.

        alive: called each time round, with the seconds that are only waited.
        """
        self._comes_back = True
        while not stop.is_set():
            wake.clear()
            alive(0.0)
            try:
                wait_s = self.step()
            except Exception as error:
                log.exception("%s: a defect of lora-post, please report it", self._queue.sink)
                wait_s = self._after_defect(error)
            # `stop` is set before `wake`, which may have been cleared since.
            if wait_s > 0 and not stop.is_set():
                alive(wait_s)
                wake.wait(wait_s)
        self._finish()

    def step(self) -> float:
        """Do one piece of work; return for how many seconds there is nothing to do (0: go on)."""
        self._serving = None
        now = self._monotonic()
        if now < self._failures.until:
            return self._failures.until - now
        try:
            wait_s = self._work(now)
            if now < self._failures.until:
                self._settle()
            elif wait_s > 0:
                wait_s = self._settle_or_wait(wait_s)
            self._failures.spool_works()
            return wait_s
        except SpoolError as error:
            self._failures.of_spool(error, now)
            return 0.0

    def _work(self, now: float) -> float:
        self._is_alone = self._is_alone or self._take_over()
        if not self._is_alone:
            return self._policy.idle_s
        self._follow_spool()
        if self._confirmed.is_due(now):
            self._settle()
        if (wait_s := self._closed_s()) > 0:
            return wait_s
        self._parking.release(now)
        try:
            self._prepare()
            return self._serve_next(now)
        except SinkError as error:
            self._failures.of_destination(error, self._monotonic())
            return 0.0

    def _settle_or_wait(self, wait_s: float) -> float:
        """Settle, in a loop not before it is due: a frame that comes meanwhile would wait for the disk."""
        left_s = self._confirmed.due_in(self._monotonic()) if self._comes_back else 0.0
        if left_s > 0:
            return min(wait_s, left_s)
        self._settle()
        return wait_s

    def _closed_s(self) -> float:
        closed = self._allowance.closed() if self._allowance else None
        if closed and closed.reason != self._closed_because:
            log.info("%s: keeping readings: %s", self._queue.sink, closed.reason)
        self._closed_because = closed.reason if closed else ""
        return min(closed.wait_s, self._policy.look_again_s) if closed else 0.0

    def _prepare(self) -> None:
        """Let the sink do what is due; its success tells that a server is back."""
        try:
            self._sink.prepare()
        except SinkError:
            self._is_prepared = False
            raise
        if not self._is_prepared:
            self._is_prepared = True
            self._failures.answered()

    def _serve_next(self, now: float) -> float:
        """Serve the lane whose turn it is, of those that are ready."""
        wall_us, queue = self._wall_us(), self._waiting
        queue.look(now, wall_us)
        held_s = self._allowance.held_s(len(queue), queue.oldest_us, queue.has_full_batch) if self._allowance else 0.0
        self._held_because = HOLDING if held_s else ""
        if held_s:
            return min(held_s, self._policy.idle_s)
        waiting = queue.take(wall_us)
        if waiting is None:
            if not self._comes_back and self._settle():
                return 0.0
            return min(queue.wait_s(now), self._policy.idle_s)
        state = self._lanes.state(waiting.lane)
        self._serving = waiting.lane, state
        self._serve(waiting.lane, state)
        return 0.0

    def _serve(self, lane: Lane, state: LaneState) -> None:
        began = self._monotonic()
        try:
            if state.doubt:
                self._ask(lane, state, state.doubt)
            else:
                self._send(lane, state)
        except Unavailable:
            raise
        except Rejected as error:
            self._park(lane, error.problem)
        except SinkError as error:
            now = self._monotonic()
            state.backoff.fail(now, at_least_s=(now - began) * self._policy.rest_after_trouble)
            self._failures.of_lane(lane, error, now)

    # Claim, send, settle

    def _send(self, lane: Lane, state: LaneState) -> None:
        limit = state.limit
        batch = self._queue.claim(lane, limit, but=self._confirmed.times_of(lane))
        if batch is None:
            self._settle()
            return
        sent, since_us = self._monotonic(), self._sink.clock_us()
        self._note.sending(since_us)
        try:
            self._sink.send(batch)
        except BatchRefused as error:
            self._narrow_down(batch, state, error, since_us)
            return
        except (Unavailable, NotSent, Rejected):
            raise
        except MayBeThere as error:
            state.doubt = self._doubts.elsewhere(WallUs(error.since_us))
            return
        except Exception:  # no answer that tells, or a defect on the way
            state.doubt = self._doubts.unanswered(batch, since_us, self._monotonic())
            raise
        self._observe(batch, sent)
        self._failures.answered()
        state.backoff.succeed()
        state.limit = min(self._policy.max_batch, limit * 2)
        state.refusals = 0
        if len(batch.times_us) < limit:
            self._waiting.took_all()
        self._confirm(lane, batch.times_us, sent)

    def _confirm(self, lane: Lane, times_us: Collection[WallUs], since: float) -> None:
        self._confirmed.add(lane, times_us, since)
        # With the next batch under way, all of it must be found again after a kill.
        if len(self._confirmed.times_of(lane)) + self._policy.max_batch > self._sink.looks_back:
            self._settle()

    def _settle(self) -> int:
        """Take what is confirmed out of the queue; return how many. Raises SpoolError; it is tried again first."""
        count = len(self._confirmed)
        if count:
            doubts = self._lanes.doubts().values()
            noted_us = self._note.due(count, min([self._sink.clock_us(), *(doubt.since_us for doubt in doubts)]))
            self._confirmed.settle(noted_us)
            self._note.settled(count, noted_us)
            self._metrics.count("delivered", self._queue.sink, amount=count)
            self.delivered_us = self._clock.now_us()
        return count

    def _observe(self, batch: Batch, sent: float) -> None:
        age_s = (self._wall_us() - batch.times_us[-1]) / 1e6
        self._metrics.observe("delivery_duration", self._monotonic() - sent, self._queue.sink)
        self._metrics.observe("delivery_age", max(0.0, age_s), self._queue.sink)

    # Doubt, ask

    def _ask(self, lane: Lane, state: LaneState, doubt: Doubt) -> None:
        batch = doubt.batch or self._queue.claim(lane, self._policy.doubted_after_kill)
        if batch is None:
            state.doubt = None
            return
        size, asked = len(batch.times_us), self._monotonic()
        # Readings are not sent before they are measured, if nothing better is known.
        since_us = doubt.since_us or min(batch.times_us[0], self._wall_us())
        stored = self._sink.stored(batch, since_us)
        self._failures.answered()
        if stored:
            state.backoff.succeed()  # otherwise pushing may fail as before, and must be tried less and less often
        state.doubt = self._doubts.after_look(doubt, size, len(stored), self._monotonic())
        if state.doubt is None:
            self._confirm(lane, stored, asked)

    # What a server refuses

    def _narrow_down(self, batch: Batch, state: LaneState, error: BatchRefused, since_us: WallUs) -> None:
        """Halve the batch until the refused reading is alone, and set it aside.

        Raises BatchRefused, which parks the lane, when one after another is refused.
        """
        if len(batch.times_us) > 1:
            state.limit = len(batch.times_us) // 2
            state.doubt = self._doubts.refused(batch, since_us)
            return
        state.refusals += 1
        if state.refusals >= self._policy.refusals_before_parking:
            raise error
        self._parking.set_aside(batch, str(error))

    def _park(self, lane: Lane, why: Problem) -> None:
        self._parking.park(lane, why)
        self._lanes.forget(lane)

    def _after_defect(self, error: Exception) -> float:
        """Back off from the lane that was served, from everything if none was; return how many seconds to wait.

        The lane is tried with fewer and fewer readings, and parked when it happens over a single one.
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
            self._park(lane, Problem(f"a defect of lora-post: {type(error).__name__}: {error}", "please report it"))
        except SpoolError as failure:
            log.error("%s", failure)
            return self._policy.max_sink_pause_s
        return 0.0

    # Beginning and end

    def _take_over(self) -> bool:
        """Become the only one who empties the queue; return False while another process does."""
        if not self._queue.reserve():
            return False
        if left := self._queue.mark_running():
            self._take_up(left)
        return True

    def _follow_spool(self) -> None:
        """Begin anew when another file has taken the place of a damaged one: its lanes are others."""
        if self._queue.go_on():
            self._confirmed.clear()
            self._waiting.forget()
            since_us = self._note.since_us or WallUs(0)
            self._queue.note_sending(since_us)
            self._take_up(LeftBehind(since_us))

    def _take_up(self, left: LeftBehind) -> None:
        """Doubt what was under way when a process ended, or a file gave way to another."""
        now, is_same_boot = self._monotonic(), left.boot_id == boot_id()
        doubts = []
        # Parked ones too: what was under way of them may have been stored, and they may be released.
        for lane in self._queue.queued_lanes():
            if left.lanes is None:
                doubts.append((lane, self._doubts.left_behind(left.since_us, now)))
            elif unsettled := left.lanes.get(lane.id):
                until = unsettled.until if is_same_boot else None
                doubts.append((lane, self._doubts.left_behind(unsettled.since_us, now, until)))
        self._lanes.start_anew(doubts)
        self._note.take_over(left.since_us)
        wait_s = max((doubt.until - now for _, doubt in doubts), default=0.0)
        if wait_s > 0:
            log.info(
                "%s: %s up to %.0f s: the server may still be storing what was under way before",
                *(self._queue.sink, wait_text(len(doubts), "sensor"), wait_s),
            )

    def _finish(self) -> None:
        """Note what is in doubt: the next start need not ask about anything else."""
        if not self._is_alone:
            return
        try:
            self._settle()
            if self._allowance:
                self._allowance.save()
            self._queue.mark_stopped(self._left_behind())
        except SpoolError as error:
            log.error("%s", error)

    def _left_behind(self) -> LeftBehind | None:
        doubts = self._lanes.doubts()
        if not doubts:
            return None
        lanes = {number: Unsettled(doubt.since_us, doubt.until) for number, doubt in doubts.items()}
        return LeftBehind(min(each.since_us for each in lanes.values()), lanes, boot_id())

    def _wall_us(self) -> WallUs:
        return WallUs(self._clock.now_us() + self._clock.ahead_us())
