"""Collect, open, decode and accept the frames of the partitions of a worker."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from queue import Empty
from threading import Event
from typing import Final

import msgspec
from msgspec import Struct
from nats.aio.msg import Msg

from lora_post.downlink.choice import collect_s
from lora_post.errors import SpoolError, defect
from lora_post.fleet.errors import FleetError, LogReplaced
from lora_post.fleet.home.leaving import Leaving
from lora_post.fleet.hub.link import Link
from lora_post.fleet.hub.raw import OfferAgain, encode
from lora_post.fleet.hub.settling import Settling
from lora_post.fleet.hub.subjects import TO_ALL, log_prefix
from lora_post.fleet.judging.copied import Copied
from lora_post.fleet.judging.judge import Chore, Judge
from lora_post.fleet.judging.known_devices import StateOf
from lora_post.fleet.log import hub_state
from lora_post.fleet.log.acceptance import Acceptance, Proposal
from lora_post.fleet.log.entry import Entry, State
from lora_post.fleet.log.inheritance import MOVED, hand_down, moved, moved_of, moved_text
from lora_post.fleet.log.log import Log, Logged
from lora_post.fleet.log.place import WORKER, Place
from lora_post.fleet.log.streams import SET_ASIDE_AFTER, ensure_streams, refuse_newer_log
from lora_post.fleet.log.view import Read, View
from lora_post.fleet.mailbox import Mailbox
from lora_post.fleet.worker.asking import LEAD_S, Asking
from lora_post.fleet.worker.intake import Arrived, Intake
from lora_post.fleet.worker.leases import STEP_S, LeaseBook, Sign
from lora_post.fleet.worker.partition import Partition
from lora_post.metrics import Metrics
from lora_post.model import Device
from lora_post.spool import log_places
from lora_post.spool.spool_file import SpoolFile
from lora_post.text import plural
from lora_post.uplink.model import Decode, Report
from lora_post.uplink.outcome import Outcome
from lora_post.uplink.telling import Telling

log = logging.getLogger(__name__)

PAUSE_S: Final = 0.5
LOOK_S: Final = 0.2
SAVE_S: Final = 5.0
TICK_S: Final = 1.0
WINDOW_S: Final = 1.0 - LEAD_S
"""So long after an uplink a gateway must have the answer, where a device listens soonest."""


class WorkerState(Struct, frozen=True, omit_defaults=True):
    """What a worker says of itself.

    accepted: frames since its start. void: entries that others were faster with. trips_ms: from a request to the
    reply of a gateway, the last one, by gateway. refused: how often a gateway did not send an answer or a command.
    """

    name: str
    accepted: int = 0
    void: int = 0
    trips_ms: dict[str, float] = {}
    refused: int = 0


class Worker:
    """Works on the partitions that it has leased. `run` is its thread."""

    def __init__(
        self,
        link: Link,
        source: Log,
        spool_file: SpoolFile,
        judge: Judge,
        name: str,
        replicas: int,
        metrics: Metrics,
        listener: Callable[[Outcome], None],
        inherited: Mapping[str, State],
        leaving: Leaving | None = None,
    ) -> None:
        """spool_file: a connection that only this thread uses. name: of this process, no other has it.

        inherited: what this box had accepted before there was a log, by the logs of devices. leaving: takes what home
        gateways decide about.
        """
        self._link = link
        self._log = source
        self._spool_file = spool_file
        self._judge = judge
        self._name = name
        self._replicas = replicas
        self._telling = Telling(metrics, listener)
        self._inherited = inherited
        self._leaving = leaving
        self._intake = Intake(link, moved(inherited))
        self._asking = Asking(link, metrics)
        self._settling = Settling(link)
        self._leases = LeaseBook(name)
        self._parts: dict[int, Partition] = {}
        self._signs: Future[Sequence[Logged]] | None = None
        self._accepted = self._void = 0
        self._mailbox = Mailbox()
        self._has_streams = False
        self._step_at = self._save_at = 0.0
        self._reconnects = 0

    def use(self, devices: Sequence[Device], decode: Decode) -> None:
        """Work on these devices from the next frame on; for any thread."""
        self._mailbox.put(lambda: self._use(devices, decode))

    def _use(self, devices: Sequence[Device], decode: Decode) -> None:
        self._judge.use(devices, decode)
        for part in self._parts.values():
            self._follow_all(part.acceptance.view)

    def _follow_all(self, view: View) -> None:
        for subject, fold in view.folds.items():
            self._judge.follow(subject, fold.state)

    @property
    def parts(self) -> list[int]:
        """Return the partitions that this worker holds."""
        return sorted(self._parts)

    def run(self, stop: Event, beat: Callable[[], None]) -> None:
        """Work until `stop`. beat: called at least once in a minute."""
        said = ""
        while not stop.is_set():
            beat()
            try:
                if not self._link.is_up:
                    stop.wait(PAUSE_S)
                    continue
                self._look_after()
                self._collect()
                self._take_fates()
                self._mailbox.do()
                for part in list(self._parts.values()):
                    self._work(part)
                self._settling.tell()
                said = ""
            except (FleetError, SpoolError) as error:
                if str(error) != said:
                    said = str(error)
                    log.warning("%s", error)
                stop.wait(PAUSE_S)
        self._end()

    def _look_after(self) -> None:
        if not self._has_streams:
            with self._spool_file.transaction() as db:
                knows = log_places.knows_any(db)
            ensure_streams(self._link, self._replicas, may_make_log=not knows)
            self._asking.listen()
            self._has_streams = True
        if self._reconnects != (reconnects := self._link.reconnects):
            self._drop(list(self._parts))  # what is at the hub now may be older than what was read
            refuse_newer_log(self._link)
            self._reconnects = reconnects
        now = time.monotonic()
        if self._signs is None and now >= self._step_at:
            self._step_at = now + STEP_S
            self._signs = hub_state.look(self._link, "lease.*", "worker.*", MOVED)
        if self._signs is not None and self._signs.done():
            signs, self._signs = self._signs, None
            self._lease(self._link.result(signs), now)
        if now >= self._save_at:
            self._save_at = now + SAVE_S
            self._save(self._parts.values())

    def _lease(self, found: Sequence[Logged], now: float) -> None:
        self._look_at_disk()
        signs = {each.subject: Sign(each.position, each.data.decode()) for each in found}
        leases = {int(name[6:]): sign for name, sign in signs.items() if name.startswith("lease.")}
        workers = {name[7:]: sign for name, sign in signs.items() if name.startswith("worker.")}
        writes = self._leases.step(leases, workers, now)
        states = {f"lease.{part}": holder.encode() for part, holder in writes.items()}
        before = moved_of(signs[MOVED].holder) if MOVED in signs else {}
        self._intake.moved = {**before, **self._intake.moved}
        if self._intake.moved != before:
            states[MOVED] = moved_text(self._intake.moved)
        hub_state.start_writing(self._link, states | {f"worker.{self._name}": msgspec.json.encode(self._state())})
        for name in self._leases.gone(now):
            hub_state.forget_state(self._link, f"worker.{name}")
        self._drop(self._parts.keys() - self._leases.held)
        for part in sorted(self._leases.held - self._parts.keys()):
            self._take(part)

    def _look_at_disk(self) -> None:
        """Raise SpoolError, and leave all to other workers, where nothing can be written any more."""
        try:
            with self._spool_file.transaction():
                pass
        except SpoolError:
            self._drop(list(self._parts))
            raise

    def _state(self) -> WorkerState:
        void = self._void + sum(part.acceptance.void for part in self._parts.values())
        return WorkerState(self._name, self._accepted, void, dict(self._asking.trips_ms), self._asking.refused)

    def _take(self, number: int) -> None:
        place = Place(WORKER, log_prefix(number))
        with self._spool_file.transaction() as db:
            remembered = place.load(db)
        view, lost = place.went_on(self._log, remembered)
        if lost:
            self._link.say(TO_ALL, encode(OfferAgain()))
        hand_down(self._log, view, self._inherited)
        place.note_all(view)
        self._follow_all(view)

        def on_read(read: Read) -> None:
            place.note(read)
            if read.is_valid:
                self._judge.follow(read.logged.subject, read.entry.state)

        acceptance = Acceptance(self._log, view, partial(self._judged, view.prefix), on_read)
        self._parts[number] = Partition(number, place, acceptance, self._link.start(self._intake.feed(number)))

    def _drop(self, numbers: Iterable[int]) -> None:
        dropped = [self._parts.pop(number) for number in list(numbers)]
        for part in dropped:
            part.feeding.cancel()
            self._void += part.acceptance.void
        self._save(dropped)

    def _collect(self) -> None:
        """Collect what has arrived; wait a little where nothing is due."""
        now = time.monotonic()
        waits = [copied.due - now for part in self._parts.values() for copied in part.copied.values()]
        try:
            item = self._intake.arrived.get(timeout=max(0.001, min([*waits, LOOK_S])))
            while True:
                if isinstance(item, Arrived):
                    if part := self._parts.get(item.part):
                        part.take(item, time.monotonic(), collect_s(WINDOW_S, self._asking.slowest_s))
                elif part := self._parts.get(item[0]):
                    part.chores.append(item[1])
                item = self._intake.arrived.get_nowait()
        except Empty:
            pass
        self._intake.held = sum(len(part.copied) for part in self._parts.values())

    def _work(self, part: Partition) -> None:
        now = time.monotonic()
        if now >= part.tick_at:
            part.tick_at = now + TICK_S
            part.chores += self._judge.due(fold.state for fold in part.acceptance.view.folds.values())
        frames = part.due(now)
        due: list[Copied | Chore] = [*part.chores, *frames]
        if not due:
            return
        if len(frames) > 1:
            self._expect(frames, part.acceptance.view)
        try:
            for copied, entry in part.acceptance.accept(due):
                self._send(copied, entry)
                if isinstance(copied, Chore):
                    part.chores.remove(copied)
                    if copied.decider and self._leaving:
                        self._leaving.command(copied)
                    elif copied.message:
                        self._link.start(_acknowledge(copied.message))
                    continue
                part.copied.pop(copied.phy_payload, None)
                if copied.is_doubted:
                    continue  # not acknowledged, so it comes again
                if copied.is_left and self._leaving:
                    self._leaving.frame(copied, part.acceptance.view)
                    self._acknowledge(copied, is_settled=False)
                    continue
                self._tell(copied, is_accepted=entry is not None)
                self._acknowledge(copied, is_settled=entry is None or entry.up is None)
        except LogReplaced:
            self._drop([part.number])
            raise

    def _expect(self, frames: Sequence[Copied], view: View) -> None:
        try:
            self._judge.expect(frames, lambda subject: view.fold(subject).state)
        except Exception as error:  # of one frame; `_judged` tells which
            log.debug("not decoded together, %s", defect(error))

    def _send(self, item: Copied | Chore, entry: Entry | None) -> None:
        """Ask gateways to send the frame of a valid entry: nobody else has its counter."""
        if item.reply:
            since = item.since if isinstance(item, Copied) else time.monotonic()
            self._asking.send(item.reply, entry.id if entry else item.reply.phy_payload.hex(), since)

    def _take_fates(self) -> None:
        """Give what gateways told to the partitions of the devices."""
        for sent in self._asking.fates():
            part = self._parts.get(self._judge.part_of(sent.device))
            if part is not None:
                part.chores.append(Chore(sent))

    def _judged(self, prefix: str, copied: Copied | Chore, state_of: StateOf) -> Proposal | None:
        """Return what a frame or chore changes. prefix: of the logs that are read for it."""
        if isinstance(copied, Copied):
            copied.is_defect = False
        try:
            if isinstance(copied, Chore):
                return self._judge.look_after(copied, state_of)
            proposal = self._judge.judge(copied, state_of)
            if proposal is None or proposal.subject.startswith(prefix):
                return proposal
            # Handed in for a partition that is not its device's: what is in its log is not known here.
            log.debug("%s is not for %s", proposal.subject, prefix)
            copied.is_defect, copied.reply = True, None
            return None
        except (FleetError, SpoolError, OSError):
            raise
        except Exception as error:
            if isinstance(copied, Chore):
                log.error("skipped over a defect, %s: a command for %s", defect(error), copied.task.device)
                return None
            log.error("skipped over a defect, %s: %s", defect(error), copied.phy_payload.hex())
            copied.is_defect = True
            return None

    def _tell(self, copied: Copied, *, is_accepted: bool) -> None:
        outcome = copied.outcome
        if outcome is None and not copied.is_defect:
            self._telling.metrics.count("copies")
        if outcome is None or copied.is_defect:
            return
        if isinstance(outcome, Report):
            if not is_accepted:
                return  # decoded, and then another worker was first
            self._judge.accepted(outcome)
            self._accepted += 1
        self._telling([copied.best], [outcome])

    def _acknowledge(self, copied: Copied, *, is_settled: bool) -> None:
        """Tell the hub that a frame is decided. is_settled: its gateways, too; else an uploader will."""
        for (gateway, store, number), delivery in copied.messages.items():
            if copied.is_defect:
                if delivery.count < SET_ASIDE_AFTER:
                    continue  # delivered again, perhaps to one that can
                log.error("set aside after %s: %s", plural(SET_ASIDE_AFTER, "attempt"), copied.phy_payload.hex())
            if message := delivery.decided(number):
                self._link.start(_acknowledge(message))
            if is_settled:
                self._settling.add(gateway, store, number)

    def _save(self, parts: Iterable[Partition]) -> None:
        parts = list(parts)
        if not parts:
            return
        with self._spool_file.transaction() as db:
            for part in parts:
                part.place.save(db, part.acceptance.view)
        for part in parts:
            part.place.saved()

    def _end(self) -> None:
        try:
            numbers = list(self._parts)
            self._drop(numbers)
            if self._link.is_up:
                states = {f"lease.{number}": b"" for number in numbers}
                hub_state.write_state(self._link, states)
                self._settling.tell(is_all=True)
        except (FleetError, SpoolError) as error:
            log.warning("%s", error)


async def _acknowledge(message: Msg) -> None:
    await message.ack()
