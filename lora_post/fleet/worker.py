"""The worker's part: frames of its partitions are collected, opened, decoded, and accepted in the log."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from queue import Empty, SimpleQueue
from threading import Event
from typing import Any, Final

import msgspec
import nats.errors
from msgspec import Struct

from lora_post.downlink.transmit import Transmission
from lora_post.errors import SpoolError, defect
from lora_post.fleet import hub_state
from lora_post.fleet.acceptance import Acceptance, Proposal
from lora_post.fleet.desk import Sent
from lora_post.fleet.downlinks import Request, RequestFate, decode_fate, decode_reply
from lora_post.fleet.downlinks import encode as encode_downlink
from lora_post.fleet.entry import Entry, Reception, State
from lora_post.fleet.errands import decode_errand
from lora_post.fleet.inheritance import MOVED, hand_down, moved, moved_of, moved_text
from lora_post.fleet.judge import Chore, Copied, Judge, StateOf
from lora_post.fleet.leases import STEP_S, LeaseBook, Sign
from lora_post.fleet.link import Link, describe
from lora_post.fleet.log import FleetError, Log, LogReplaced
from lora_post.fleet.place import WORKER, Place
from lora_post.fleet.raw import OfferAgain, Raw, Settled, decode_raw, encode
from lora_post.fleet.status import WorkerState
from lora_post.fleet.streams import RAW, SET_ASIDE_AFTER, consumer_name, ensure_streams
from lora_post.fleet.subjects import ALL_SENT, TO_ALL, down_subject, hub_subject, id_of, log_prefix, token
from lora_post.fleet.view import Read, View
from lora_post.metrics import Metrics
from lora_post.model import Device
from lora_post.spool import log_places
from lora_post.spool.spool_file import SpoolFile
from lora_post.times import WallUs
from lora_post.uplink.join_state import Join
from lora_post.uplink.model import Copy, Decode, Refusal, Report
from lora_post.uplink.outcome import Outcome

log = logging.getLogger(__name__)

COLLECT_S: Final = 0.2
"""So long after the first copy of a live frame others are waited for."""
MAX_TOGETHER: Final = 64
FETCH: Final = 64
FETCH_S: Final = 2.0
"""So long the hub may give frames to a worker whose machine has lost its power; longer, they come later to another."""
PAUSE_S: Final = 0.5
SAVE_S: Final = 5.0
TICK_S: Final = 1.0
MAX_UNDER_WAY: Final = 1000
PUBLISHED: Final = "LP-Published"
LEAD_S: Final = 0.05
"""So long before a window a gateway must have what it sends in it."""


class _Arrived(Struct, frozen=True):
    """A raw frame with its message. gateway: as its subject says, which its key allows it to write."""

    part: int
    gateway: str
    raw: Raw
    message: Any


class _Part:
    """A partition that this worker holds."""

    def __init__(
        self, number: int, place: Place, acceptance: Acceptance[Copied | Chore], feeding: Future[None]
    ) -> None:
        self.number = number
        self.place = place
        self.acceptance = acceptance
        self.feeding = feeding
        self.copied: dict[bytes, Copied] = {}
        self.chores: list[Chore] = []
        self.tick_at = 0.0

    def take(self, arrived: _Arrived, now: float) -> None:
        """Add a copy to those of its frame."""
        raw = arrived.raw
        wait_s = 0.0 if raw.kept else COLLECT_S
        copied = self.copied.get(raw.phy_payload)
        if copied is None:
            copied = self.copied[raw.phy_payload] = Copied(
                raw.phy_payload, now + wait_s, {}, {}, since=now, deliveries=1
            )
        rx = raw.frame(arrived.gateway, published_us(arrived.message))
        reception = Reception(arrived.gateway, raw.store, raw.number, rx.rx.rssi_dbm, rx.rx.snr_db)
        copied.frames[reception] = rx
        copied.deliveries = max(copied.deliveries, arrived.message.metadata.num_delivered)
        copied.is_live |= not raw.kept and arrived.message.metadata.num_delivered == 1
        copied.is_offered_again |= raw.kept or arrived.message.metadata.num_delivered > 1
        copied.messages[arrived.gateway, raw.store, raw.number] = arrived.message

    def due(self, now: float) -> list[Copied]:
        """Return frames that wait for no more copies, oldest first."""
        ready = [copied for copied in self.copied.values() if copied.due <= now]
        ready.sort(key=lambda copied: copied.best.time_us)
        return ready[:MAX_TOGETHER]


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
    ) -> None:
        """spool_file: a connection that only this thread uses. name: of this process, no other has it.

        inherited: what this box had accepted before there was a log, by the logs of devices.
        """
        self._link = link
        self._log = source
        self._spool_file = spool_file
        self._judge = judge
        self._name = name
        self._replicas = replicas
        self._metrics = metrics
        self._listener = listener
        self._inherited = inherited
        self._moved = moved(inherited)
        self._leases = LeaseBook(name)
        self._parts: dict[int, _Part] = {}
        self._arrived: SimpleQueue[_Arrived | tuple[int, Chore]] = SimpleQueue()
        self._fates: SimpleQueue[tuple[str, RequestFate]] = SimpleQueue()
        self._under_way: dict[str, tuple[str, int, frozenset[str]]] = {}
        self._accepted = self._void = 0
        self._changes: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._trips_ms: dict[str, float] = {}
        self._settled: dict[tuple[str, str], list[int]] = {}
        self._has_streams = False
        self._step_at = self._save_at = 0.0
        self._reconnects = 0

    def use(self, devices: Sequence[Device], decode: Decode) -> None:
        """Work on these devices from the next frame on; for any thread."""
        self._changes.put(lambda: self._use(devices, decode))

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
        while not stop.is_set():
            beat()
            try:
                if not self._link.is_up:
                    stop.wait(PAUSE_S)
                    continue
                self._look_after()
                self._collect()
                self._take_fates()
                self._take_changes()
                for part in list(self._parts.values()):
                    self._work(part)
                self._settle()
            except (FleetError, SpoolError) as error:
                log.warning("%s", error)
                stop.wait(PAUSE_S)
        self._end()

    def _look_after(self) -> None:
        if not self._has_streams:
            with self._spool_file.transaction() as db:
                knows = log_places.knows_any(db)
            ensure_streams(self._link, self._replicas, may_make_log=not knows)
            self._link.listen(ALL_SENT, self._hear_fate)
            self._has_streams = True
        if self._reconnects != self._link.reconnects:
            self._reconnects = self._link.reconnects
            self._drop(list(self._parts))  # what is at the hub now may be older than what was read
        now = time.monotonic()
        if now >= self._step_at:
            self._step_at = now + STEP_S
            self._lease(now)
        if now >= self._save_at:
            self._save_at = now + SAVE_S
            self._save(self._parts.values())

    def _lease(self, now: float) -> None:
        signs = {each.subject: Sign(each.position, each.data.decode()) for each in self._signs()}
        leases = {int(name[6:]): sign for name, sign in signs.items() if name.startswith("lease.")}
        workers = {name[7:]: sign for name, sign in signs.items() if name.startswith("worker.")}
        writes = self._leases.step(leases, workers, now)
        states = {f"lease.{part}": holder.encode() for part, holder in writes.items()}
        if MOVED in signs:
            self._moved = moved_of(signs[MOVED].holder) | self._moved
        if self._moved and (MOVED not in signs or moved_of(signs[MOVED].holder) != self._moved):
            states[MOVED] = moved_text(self._moved)
        hub_state.write_state(self._link, states | {f"worker.{self._name}": msgspec.json.encode(self._state())})
        for name in self._leases.gone(now):
            hub_state.forget_state(self._link, f"worker.{name}")
        self._drop(self._parts.keys() - self._leases.held)
        for part in sorted(self._leases.held - self._parts.keys()):
            self._take(part)

    def _state(self) -> WorkerState:
        void = self._void + sum(part.acceptance.void for part in self._parts.values())
        return WorkerState(self._name, self._accepted, void, dict(self._trips_ms))

    def _signs(self) -> Iterator[Any]:
        for subjects in ("lease.*", "worker.*", MOVED):
            yield from hub_state.read_state(self._link, subjects)

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

        acceptance = Acceptance(self._log, view, self._judged, on_read)
        self._parts[number] = _Part(number, place, acceptance, self._link.start(self._feed(number)))

    def _drop(self, numbers: Iterable[int]) -> None:
        dropped = [self._parts.pop(number) for number in list(numbers)]
        for part in dropped:
            part.feeding.cancel()
            self._void += part.acceptance.void
        self._save(dropped)

    async def _feed(self, part: int) -> None:
        """Fetch frames of a partition, for as long as it is held."""
        while True:
            try:
                stream = self._link.client.jetstream()
                subscription = await stream.pull_subscribe_bind(consumer=consumer_name(part), stream=RAW)
                try:
                    while True:
                        try:
                            messages = await subscription.fetch(FETCH, FETCH_S)
                        except (TimeoutError, nats.errors.TimeoutError):
                            continue
                        for message in messages:
                            await self._hear(part, message)
                finally:
                    await subscription.unsubscribe()
            except (nats.errors.Error, OSError) as error:
                log.debug("partition %d: %s", part, error)
                await asyncio.sleep(PAUSE_S)

    async def _hear(self, part: int, message: Any) -> None:
        try:
            if message.subject.startswith("cmd."):
                self._arrived.put((part, Chore(decode_errand(message.data), message)))
                return
            raw = decode_raw(message.data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            await message.term()  # a gateway may publish what it likes
            return
        _, _, address, gateway = message.subject.split(".")
        home = self._moved.get(address, part)
        if home != part:
            await self._pass_on(home, message)
            return
        self._arrived.put(_Arrived(part, id_of(gateway), raw, message))

    async def _pass_on(self, part: int, message: Any) -> None:
        """Give a frame to the partition where the log of its device is."""
        kind, _, address, gateway = message.subject.split(".")
        headers = {
            PUBLISHED: str(published_us(message)),
            "Nats-Msg-Id": f"passed on:{message.metadata.sequence.stream}",
        }
        stream = self._link.client.jetstream()
        await stream.publish(f"{kind}.{part}.{address}.{gateway}", message.data, headers=headers)
        await message.ack()

    def _collect(self) -> None:
        """Take in what has arrived; wait a little where nothing is due."""
        now = time.monotonic()
        waits = [copied.due - now for part in self._parts.values() for copied in part.copied.values()]
        try:
            arrived = self._arrived.get(timeout=max(0.001, min([*waits, COLLECT_S])))
            while True:
                if isinstance(arrived, _Arrived):
                    if part := self._parts.get(arrived.part):
                        part.take(arrived, time.monotonic())
                elif part := self._parts.get(arrived[0]):
                    part.chores.append(arrived[1])
                arrived = self._arrived.get_nowait()
        except Empty:
            pass

    def _work(self, part: _Part) -> None:
        now = time.monotonic()
        if now >= part.tick_at:
            part.tick_at = now + TICK_S
            part.chores += self._judge.due(fold.state for fold in part.acceptance.view.folds.values())
        due: list[Copied | Chore] = list(part.chores)
        due += part.due(now)
        if not due:
            return
        try:
            for copied, entry in part.acceptance.accept(due):
                self._send(copied, entry)
                if isinstance(copied, Chore):
                    part.chores.remove(copied)
                    if copied.message:
                        self._link.start(_acknowledge(copied.message))
                    continue
                part.copied.pop(copied.phy_payload, None)
                if copied.is_doubted:
                    continue  # not acknowledged, so it comes again
                self._tell(copied, is_accepted=entry is not None)
                self._acknowledge(copied, is_settled=entry is None or entry.up is None)
        except LogReplaced:
            self._drop([part.number])
            raise

    def _send(self, item: Copied | Chore, entry: Entry | None) -> None:
        """Have gateways asked to send what is in a valid entry: nobody else has taken its counter."""
        reply = item.reply
        if reply is None:
            return
        id_ = entry.id if entry else reply.phy_payload.hex()
        requests = []
        for way in reply.ways:
            request = Request(id_, way.station, reply.phy_payload, way.windows, bool(reply.command))
            requests.append((down_subject(way.gateway), encode_downlink(request)))
        since = item.since if isinstance(item, Copied) else time.monotonic()
        fail = None
        if reply.command:
            asked = frozenset({"", *(token(way.gateway) for way in reply.ways)})
            self._under_way[id_] = reply.device, reply.command, asked
            while len(self._under_way) > MAX_UNDER_WAY:
                del self._under_way[next(iter(self._under_way))]
            fail = partial(self._told, id_, reply.ways[0].gateway if reply.ways else "")
        until = since + reply.within_s - LEAD_S
        self._link.start(_ask(self._link, requests, until, reply.about, fail, self._trips_ms))

    def _told(self, id_: str, gateway: str, why: str) -> None:
        """Take in that no gateway sends a frame; for any thread."""
        self._fates.put(("", RequestFate(id_, Transmission(gateway, "", False, why))))

    def _hear_fate(self, subject: str, data: bytes) -> None:
        try:
            self._fates.put((subject.split(".")[1], decode_fate(data)))
        except (msgspec.DecodeError, UnicodeDecodeError):
            log.debug("%s: it cannot be read", subject)  # a gateway may publish what it likes

    def _take_changes(self) -> None:
        while not self._changes.empty():
            self._changes.get()()

    def _take_fates(self) -> None:
        """Give what gateways told to the partitions of the devices."""
        while True:
            try:
                teller, fate = self._fates.get_nowait()
            except Empty:
                return
            device, command, asked = self._under_way.get(fate.id, ("", 0, frozenset[str]()))
            if teller not in asked:
                continue
            del self._under_way[fate.id]
            part = self._parts.get(self._judge.part_of(device))
            if part is not None:
                part.chores.append(Chore(Sent(device, command, fate.transmission)))

    def _judged(self, copied: Copied | Chore, state_of: StateOf) -> Proposal | None:
        if isinstance(copied, Copied):
            copied.is_defect = False
        try:
            if isinstance(copied, Chore):
                return self._judge.look_after(copied, state_of)
            return self._judge.judge(copied, state_of)
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
            self._metrics.count("copies")
        if outcome is None or copied.is_defect:
            return
        if isinstance(outcome, Report):
            if not is_accepted:
                return  # decoded, and then another worker was first
            self._judge.accepted(outcome)
            self._accepted += 1
            self._metrics.count("uplinks")
            self._metrics.count("readings", amount=len(outcome.readings))
        elif isinstance(outcome, Refusal):
            self._metrics.count("refused", outcome.check)
        elif isinstance(outcome, Join):
            self._metrics.count("joins", outcome.message)
        elif isinstance(outcome, Copy):
            self._metrics.count("copies")
        self._listener(outcome)

    def _acknowledge(self, copied: Copied, *, is_settled: bool) -> None:
        """Tell the hub that a frame is decided. is_settled: its gateways, too; else an uploader will."""
        for (gateway, store, number), message in copied.messages.items():
            if copied.is_defect:
                if message.metadata.num_delivered < SET_ASIDE_AFTER:
                    continue  # delivered again, perhaps to one that can
                log.error("set aside after %d attempts: %s", SET_ASIDE_AFTER, copied.phy_payload.hex())
            self._link.start(_acknowledge(message))
            if is_settled:
                self._settled.setdefault((gateway, store), []).append(number)

    def _settle(self) -> None:
        settle(self._link, self._settled)
        self._settled.clear()

    def _save(self, parts: Iterable[_Part]) -> None:
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
        except (FleetError, SpoolError) as error:
            log.warning("%s", error)


async def _ask(
    link: Link,
    requests: Sequence[tuple[str, bytes]],
    until: float,
    about: str,
    fail: Callable[[str], None] | None,
    trips_ms: dict[str, float],
) -> None:
    """Ask gateways to send something, the best first, until one does.

    fail: told why none does. trips_ms: how long a gateway takes to reply is noted there.

    One that does not reply may send all the same; another one at that moment would disturb it.
    """
    why = "no gateway that heard it can send"
    for subject, data in requests:
        left_s = until - time.monotonic()
        if left_s <= 0:
            why = "it came too late for its device"
            break
        began = time.monotonic()
        try:
            reply = decode_reply((await link.client.request(subject, data, timeout=left_s)).data)
            trips_ms[subject.partition(".")[2]] = round((time.monotonic() - began) * 1000, 1)
        except nats.errors.NoRespondersError:
            continue
        except (nats.errors.Error, TimeoutError, msgspec.DecodeError) as error:
            log.info("%s: %s", about, describe(error))
            return
        if not reply.why:
            return
        why = reply.why
    log.info("not sent, %s: %s", about, why)
    if fail:
        fail(why)


def published_us(message: Any) -> WallUs:
    """Return when the hub got a frame first, by its clock."""
    passed_on = (message.headers or {}).get(PUBLISHED, "")
    return WallUs(int(passed_on) if passed_on.isdigit() else int(message.metadata.timestamp.timestamp() * 1e6))


async def _acknowledge(message: Any) -> None:
    await message.ack()


def settle(link: Link, settled: dict[tuple[str, str], list[int]]) -> None:
    """Tell gateways which of their frames the hub is done with; by gateway and store. Raises FleetError."""
    for (gateway, store), numbers in settled.items():
        link.say(hub_subject(gateway), encode(Settled(store, tuple(numbers))))
