"""Run the thread of a home gateway: decide about its devices, and answer them at once."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from threading import Event
from typing import Final

from msgspec.structs import replace

from lora_post.clocks.gateway import GatewayClock
from lora_post.clocks.scale import is_unknown
from lora_post.clocks.system import SET_FROM_US
from lora_post.command import Moment
from lora_post.downlink.transmit import Transmission
from lora_post.errors import SpoolError
from lora_post.fleet.errors import FleetError
from lora_post.fleet.gateway.frame_keeper import TELL_EVERY_S, Room
from lora_post.fleet.home.book import Adoption, HomeBook, HomeLog, is_for_hub
from lora_post.fleet.home.commands import HomeCommands
from lora_post.fleet.home.offers import Offer
from lora_post.fleet.home.owners import Owned
from lora_post.fleet.hub.downlinks import Request, RequestFate, WayBack
from lora_post.fleet.hub.subjects import log_subject
from lora_post.fleet.judging.copied import Copied
from lora_post.fleet.judging.desk import Sent
from lora_post.fleet.judging.judge import Chore, Judge
from lora_post.fleet.judging.reply import Reply
from lora_post.fleet.log.entry import Entry, Reception, State
from lora_post.fleet.mailbox import Mailbox
from lora_post.fleet.seldom import Seldom
from lora_post.metrics import Metrics
from lora_post.model import Device, Frame
from lora_post.spool import frames
from lora_post.spool.frames import HeardFrame
from lora_post.spool.queue_writer import EVICTED
from lora_post.spool.spool_file import SpoolFile
from lora_post.spool.tallies import add_tally
from lora_post.text import plural
from lora_post.times import BootUs, WallUs
from lora_post.uplink.model import Decode, Report
from lora_post.uplink.outcome import Outcome
from lora_post.uplink.telling import Telling

log = logging.getLogger(__name__)

LOOK_S: Final = 0.2
TICK_S: Final = 1.0
AGAIN_S: Final = 60.0
LIVE_S: Final = 10.0
PAUSE_S: Final = 1.0
ADOPT_S: Final = 10.0
MAX_TOGETHER: Final = 64


class HomeService:
    """Decides about the devices of a home gateway. `run` is its thread; all else is for any thread."""

    def __init__(
        self,
        source: HomeLog,
        judge: Judge,
        devices: Sequence[Device],
        spool_file: SpoolFile,
        gateway: str,
        store: str,
        room: Room,
        clock: GatewayClock,
        now: Callable[[], Moment],
        metrics: Metrics,
        listener: Callable[[Outcome], None],
        way_back: WayBack | None,
        to_hub: Callable[[Sequence[int]], None],
    ) -> None:
        """source, spool_file: connections that only this thread uses. store: the name of the spool in the fleet.

        to_hub: told the numbers of frames that others decide about.
        """
        self._judge = judge
        self._spool_file = spool_file
        self._gateway = gateway
        self._store = store
        self._room = room
        self._clock = clock
        self._telling = Telling(metrics, listener)
        self._way_back = way_back
        self._to_hub = to_hub
        self._mailbox = Mailbox()
        self._live: dict[int, float] = {}
        self._offered: list[Copied] = []
        self._chores: list[Chore] = []
        self._fates: list[Chore] = []
        self._cursor = 0
        self._lost = 0
        self._tick_at = self._again_at = self._tell_at = 0.0
        self._devices = {device.id: device for device in devices}
        self._commands = HomeCommands(spool_file, store, now, self._state)
        self._book = HomeBook(source, judge, gateway, self._commands.note)

    def may_be_mine(self, frame: Frame) -> bool:
        """Tell whether a frame is to wait for what is decided here."""
        return self._judge.may_know(frame)

    @property
    def owners(self) -> list[Owned]:
        """Return who decides about its devices, as far as that is known here."""
        return self._book.owners([log_subject(device) for device in list(self._devices.values())])

    def arrived(self, numbers: Sequence[int]) -> None:
        """Add frames that were kept just now."""
        now = time.monotonic()
        self._mailbox.put(lambda: self._live.update(dict.fromkeys(numbers, now)))

    def offered(self, offer: Offer) -> None:
        """Add what the hub offers for a device of this gateway."""
        self._mailbox.put(lambda: self._take(offer))

    def use(self, devices: Sequence[Device], decode: Decode) -> None:
        """Decide about these devices from now on."""
        self._mailbox.put(lambda: self._use(devices, decode))

    def adopt(self, adoption: Adoption) -> bool:
        """Continue from the hub's state; return False when that could not be done yet."""
        done: Future[bool] = Future()
        self._mailbox.put(lambda: self._adopt(adoption, done))
        try:
            return done.result(ADOPT_S)
        except FutureTimeout:
            return False

    def confirm(self, subject: str, number: int) -> None:
        """Note that the hub has entries up to this number."""
        self._mailbox.put(lambda: self._book.confirm(subject, number))

    def decide_again(self, lost: Sequence[Entry]) -> None:
        """Queue the frames of void or damaged entries again; before or in the thread of `run`."""
        again = [(entry.up.frame, "", BootUs(0)) for entry in lost if entry.up]
        if again:
            with self._spool_file.transaction() as db:
                frames.put(db, again, frames.FOR_HOME)

    def run(self, stop: Event, beat: Callable[[], None]) -> None:
        """Decide until `stop`. beat: called at least once in a minute."""
        seldom = Seldom(log)
        while not stop.is_set():
            beat()
            try:
                self._mailbox.do(LOOK_S)
                self._work()
            except (FleetError, SpoolError) as error:
                seldom.error(error)
                stop.wait(PAUSE_S)

    def _use(self, devices: Sequence[Device], decode: Decode) -> None:
        self._devices = {device.id: device for device in devices}
        self._judge.use(devices, decode)
        self._book.follow_all()

    def _take(self, offer: Offer) -> None:
        if offer.errand:
            self._chores.append(Chore(offer.errand))
        if offer.frame and offer.reception:
            heard = {offer.reception: offer.frame}
            self._offered.append(Copied(offer.frame.phy_payload, 0.0, heard, is_offered_again=True))

    def _adopt(self, adoption: Adoption, done: Future[bool]) -> None:
        try:
            done.set_result(self._book.adopt(adoption, self.decide_again))
        except (FleetError, SpoolError) as error:
            log.error("%s", error)
            done.set_result(False)

    def _work(self) -> None:
        now = time.monotonic()
        if now >= self._again_at:
            self._again_at, self._cursor = now + AGAIN_S, 0
            self._live = {number: since for number, since in self._live.items() if now - since < LIVE_S}
            self._clock.look()
            self._clock.believe()
        if now >= self._tick_at:
            self._tick_at = now + TICK_S
            self._chores += [*self._book.due(), *self._commands.errands(list(self._devices))]
        heard = self._heard(now)
        own: list[int] = []
        others: list[int] = []
        offered, self._offered = self._offered, []
        chores, self._chores = self._chores, []
        items: list[Copied | Chore] = [*heard, *offered, *chores, *self._fates]
        for item, entry in self._book.decide(items) if items else ():
            self._send(item, entry)
            if isinstance(item, Chore):
                continue
            mine = [each.number for each in item.frames if (each.gateway, each.store) == (self._gateway, self._store)]
            if is_for_hub(item, entry):
                others += mine
            else:
                own += mine
                self._tell(item, is_accepted=entry is not None)
        self._fates = []  # only now: nobody tells them again
        if own or others:
            with self._spool_file.transaction() as db:
                frames.decided(db, own, others)
            for number in (*own, *others):
                self._live.pop(number, None)
            self._to_hub(others)
        if items:
            self._make_room()

    def _make_room(self) -> None:
        lost = self._book.make_room(self._room.max_bytes, self._room.when_full)
        if lost:
            with self._spool_file.transaction() as db:
                add_tally(db, EVICTED, lost)
        self._lost += lost
        if self._lost and time.monotonic() >= self._tell_at:
            given_up = plural(self._lost, "reading")
            log.error("the log of this home gateway is full: gave up %s that the hub did not get", given_up)
            self._lost, self._tell_at = 0, time.monotonic() + TELL_EVERY_S

    def _heard(self, now: float) -> list[Copied]:
        """Return frames that were not decided about, with their copies by other packet forwarders here."""
        found: dict[bytes, Copied] = {}
        for each in frames.for_home(self._spool_file, self._cursor, MAX_TOGETHER):
            self._cursor = each.number
            frame, since = self._timed(each), self._live.get(each.number, 0.0)
            if frame is None:
                continue
            copied = found.setdefault(frame.phy_payload, Copied(frame.phy_payload, 0.0, {}, since=since))
            rx = frame.rx
            copied.frames[Reception(self._gateway, self._store, each.number, rx.rssi_dbm, rx.snr_db)] = frame
            copied.is_live |= now - since < LIVE_S
            copied.is_offered_again |= now - since >= LIVE_S
        return list(found.values())

    def _timed(self, heard: HeardFrame) -> Frame | None:
        """Return a frame with its time: an answer cannot wait until the clock is confirmed.

        None for one of an earlier boot of which the time is not known, and while the clock was never set.
        """
        frame, now_us = heard.frame, self._clock.wall_us()
        if not is_unknown(frame.time_us):
            return frame
        if heard.boot != self._clock.boot_id or now_us < SET_FROM_US:
            return None
        return replace(frame, time_us=WallUs(now_us - (self._clock.boot_us() - heard.boot_us)))

    def _state(self, device: str) -> State | None:
        known = self._devices.get(device)
        return self._book.state(log_subject(known)) if known else None

    def _send(self, item: Copied | Chore, entry: Entry | None) -> None:
        """Send the answer that stands in the log."""
        reply = item.reply
        if reply is None:
            return
        why = "there is no [network]" if self._way_back is None else "no packet forwarder that heard it can send"
        for way in reply.ways if self._way_back else ():
            id_ = entry.id if entry else reply.phy_payload.hex()
            request = Request(id_, way.station, reply.phy_payload, way.windows, bool(reply.command))
            why = self._way_back.ask(request, lambda fate: self._hear(reply, fate)) if self._way_back else ""
            if not why:
                return
        log.info("not sent, %s: %s", reply.about, why)
        if reply.command:
            self._hear(reply, RequestFate("", Transmission(self._gateway, "", False, why)))

    def _hear(self, reply: Reply, fate: RequestFate) -> None:
        chore = Chore(Sent(reply.device, reply.command, fate.transmission))
        self._mailbox.put(lambda: self._fates.append(chore))

    def _tell(self, item: Copied, *, is_accepted: bool) -> None:
        outcome = item.outcome
        if outcome is None:
            self._telling.metrics.count("copies")
            return
        if isinstance(outcome, Report):
            if not is_accepted:
                return
            self._judge.accepted(outcome)
        self._telling([item.best], [outcome])
