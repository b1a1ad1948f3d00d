"""Queue the readings of valid entries in the spool, each once."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from threading import Event
from typing import Final

from lora_post.clocks.scale import now_us
from lora_post.clocks.system import SET_FROM_US
from lora_post.errors import SpoolError
from lora_post.fleet.errors import FleetError
from lora_post.fleet.hub.link import Link
from lora_post.fleet.hub.raw import OfferAgain, encode
from lora_post.fleet.hub.settling import Settling
from lora_post.fleet.hub.subjects import TO_ALL, token
from lora_post.fleet.judging.judge import report_of
from lora_post.fleet.log import hub_state
from lora_post.fleet.log.entry import Accepted, Entry, State
from lora_post.fleet.log.fold import Fold
from lora_post.fleet.log.log import Log
from lora_post.fleet.log.place import UPLOADER, Place, known_of
from lora_post.fleet.log.recent import is_recent
from lora_post.fleet.log.streams import LOG_BYTES, log_bytes, refuse_newer_log
from lora_post.fleet.log.trim import Trimmer, keep_us
from lora_post.fleet.log.view import Read, View
from lora_post.fleet.uploader.errands import Errands
from lora_post.fleet.uploader.turns import SILENT_S, Silence, Turn, Turns
from lora_post.lorawan.phy_payload import parse_data_frame
from lora_post.model import Device
from lora_post.spool.ledger import Group, SpoolLedger
from lora_post.spool.spool_file import SpoolFile
from lora_post.times import WallUs
from lora_post.uplink.model import Report
from lora_post.uplink.window import Standing, Window, standing_of

log = logging.getLogger(__name__)

BEFORE_LOSS: Final = "uploader before a loss"
PREFIX: Final = "log."
TAIL_S: Final = 1.0
PAUSE_S: Final = 0.5
TELL_S: Final = 30.0
TRIM_S: Final = 3600.0


class Feed:
    """Reads the log into the queues. `run` is its thread."""

    def __init__(
        self,
        link: Link,
        source: Log,
        ledger: SpoolLedger,
        spool_file: SpoolFile,
        device: Callable[[str], Device | None],
        me: Turn,
        listener: Callable[[Report], None],
        errands: Errands,
    ) -> None:
        """spool_file: a connection to the ledger's spool. device: returns one of the configuration by its id.

        me: this lora-post as an uploader. errands: the commands that were given to it.
        """
        self._link = link
        self._log = source
        self._ledger = ledger
        self._spool_file = spool_file
        self._device = device
        self._me = me
        self._turns = Turns(me)
        self._silence = Silence()
        self._listener = listener
        self._errands = errands
        self._place = Place(UPLOADER, PREFIX)
        self._old = Place(BEFORE_LOSS, PREFIX)
        self._view: View | None = None
        self._fed: dict[str, Entry] = {}
        self._reconnects = 0
        self._trimmer = Trimmer(source)
        self._settling = Settling(link)
        self._tell_at = self._trim_at = 0.0

    def run(self, stop: Event, beat: Callable[[], None]) -> None:
        """Read on until `stop`. beat: called at least once in a minute."""
        said = ""
        while not stop.is_set():
            beat()
            try:
                if self._link.is_up:
                    self.step()
                    said = ""
                    continue
            except (FleetError, SpoolError) as error:
                if str(error) != said:
                    said = str(error)
                    log.warning("%s", error)
            stop.wait(PAUSE_S)
        try:
            self._settling.tell(is_all=True)
        except FleetError as error:
            log.debug("%s", error)

    def step(self) -> int:
        """Read the next entries, wait for them a little; return how many readings were queued."""
        if self._view is None or self._reconnects != self._link.reconnects:
            self._view, reconnects = None, self._link.reconnects
            self._view, self._reconnects = self._open(), reconnects
        view = self._view
        self._view = None  # whatever goes wrong: what is in the spool is true
        logged = self._log.tail(view.prefix, view.position, TAIL_S)
        self._turns.follow(logged)
        reports = self._take(list(view.take_all(logged)), view)
        self._view = view
        self._errands.step()
        self._look_after(view)
        return sum(len(report.readings) for report in reports)

    def _look_after(self, view: View) -> None:
        self._settling.tell()
        now = time.monotonic()
        if now >= self._tell_at:
            self._tell_at = now + TELL_S
            hub_state.write_state(self._link, {f"pos.{token(self._me.name)}": str(view.position).encode()})
            if not self._turns.is_mine:
                self._look_at(self._turns.last, now)
        wall_us = now_us()
        if self._turns.is_mine and now >= self._trim_at and wall_us >= SET_FROM_US:
            self._trim_at = now + TRIM_S
            size = log_bytes(self._link)
            self._trimmer.step(self._read_by_all(view.position, size), wall_us, keep_us(size))

    def _read_by_all(self, position: int, size: int) -> int:
        """Return how far uploaders have read what is theirs; one that never comes back must not fill the log."""
        if size > LOG_BYTES // 2:
            return position
        found = hub_state.read_state(self._link, "pos.*")
        read = {each.subject.removeprefix("pos."): int(each.data) for each in found if each.data.isdigit()}
        behind = self._turns.unread_from(read)
        return position if behind is None else min(position, behind)

    def _look_at(self, other: Turn, now: float) -> None:
        """Begin a turn where the uploader that has it says nothing any more."""
        said = hub_state.read_state(self._link, f"pos.{token(other.name)}")
        if self._silence.is_over(other.name, said[0].position if said else 0, now):
            log.warning("this uploader takes over: uploader %s has said nothing for %d s", other.name, SILENT_S)
            self._turns.begin(self._log)

    def _open(self) -> View:
        refuse_newer_log(self._link)
        with self._spool_file.transaction() as db:
            view, old = self._place.load(db), self._old.load(db)
        before = known_of(old)
        found, lost = self._place.went_on(self._log, view)
        if found is not view:
            # What was queued before is not queued again, when gateways offer it again.
            for subject, entry in known_of(view).items():
                if subject not in before or before[subject].number < entry.number:
                    before[subject] = entry
            old.folds = {subject: Fold(entry) for subject, entry in before.items()}
            self._old.note_all(old)
            with self._spool_file.transaction() as db:
                self._old.save(db, old)
                self._place.save(db, View(PREFIX))  # from the beginning, once more
            self._old.saved()
            if lost:
                self._link.say(TO_ALL, encode(OfferAgain()))
            found = View(PREFIX)
        self._trimmer = Trimmer(self._log)
        self._fed = before
        self._silence = Silence()  # nobody could say anything while there was no hub
        self._turns.begin_first(self._log)
        if not self._turns.is_mine:
            log.info("waiting: it is the turn of uploader %s", self._turns.last.name)
        return found

    def _take(self, found: Sequence[Read], view: View) -> list[Report]:
        if not found:
            return []
        mine = [read for read in found if self._turns.has(read.logged.position)]
        accepted = [read.entry for read in mine if read.is_valid]
        new = [read.entry.up for read in mine if self._is_new(read)]
        reports = [report_of(up, self._device(up.device)) for up in new if up]
        for read in found:
            self._place.note(read)

        def note(db: sqlite3.Connection) -> None:
            self._place.save(db, view)

        with self._ledger.group() as group:
            group.reports.extend(reports)
            for read in found:
                self._note_commands(group, read)
            group.notes.append(note)
        self._place.saved()
        for report in reports:
            self._listener(report)
        self._settle(accepted)
        return reports

    def _note_commands(self, group: Group, read: Read) -> None:
        """Note how commands ended by an entry."""
        entry, fed = read.entry, self._fed.get(read.logged.subject)
        if not read.is_valid or (fed and entry.number <= fed.number):
            return
        for queued in entry.commands:
            if self._errands.is_mine(queued):
                group.note(queued.command)
        for told in entry.told if self._turns.has(read.logged.position) else ():
            group.tell(told.device, told.row.reading, told.time_us)

    def _is_new(self, read: Read) -> bool:
        """Tell whether this is accepted, and was not queued before the log lost it."""
        up = read.entry.up
        if not read.is_valid or up is None:
            return False
        fed = self._fed.get(read.logged.subject)
        return fed is None or not _is_in(fed.state, up)

    def _settle(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            for each in entry.up.heard_by if entry.up else ():
                if each.gateway != entry.state.owner:  # a home gateway knows what it has decided
                    self._settling.add(each.gateway, each.store, each.number)


def _is_in(fed: State, up: Accepted) -> bool:
    """Tell whether a state is from after this frame."""
    if up.counter is None:
        return is_recent(fed.recent, up.print, up.frame.time_us, 0)
    window = fed.own.window
    if fed.joins:
        dev_addr = parse_data_frame(up.frame.phy_payload).dev_addr
        window = next((each.counters.window for each in fed.joins.sessions if each.dev_addr == dev_addr), Window())
    return standing_of(window, up.counter, WallUs(up.frame.time_us)) is Standing.SEEN
