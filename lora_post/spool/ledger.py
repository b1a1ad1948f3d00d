"""Accept uplinks: frame counters, frames without MIC, readings.

What arrives together is a group: all of it is kept, or nothing. `SpoolLedger` keeps counters and readings in one
transaction of the spool; `MemoryLedger` keeps counters in memory, for dry runs.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from types import MappingProxyType
from typing import Protocol

from lora_post.command import Command
from lora_post.errors import SpoolError
from lora_post.model import Device, FCntPolicy, Frame, Reading, RxInfo
from lora_post.spool import accepted, downlinks, told
from lora_post.spool.boots import BootBook
from lora_post.spool.facts import changes, note_all
from lora_post.spool.gaps import Gaps, forget_gaps, gaps_in_memory
from lora_post.spool.heard import KEEP_HEARD, is_repeat, print_of
from lora_post.spool.joins import load_joins, save_joins
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.sessions import forget_sessions, load_sessions, load_sessions_of, raise_sessions, save_sessions
from lora_post.spool.shelf import Shelf
from lora_post.spool.spool_file import SpoolFile
from lora_post.spool.strangers import StrangerBook
from lora_post.times import StampUs
from lora_post.uplink.counters import MAX_GAP
from lora_post.uplink.join_state import Joiner, JoinState
from lora_post.uplink.model import FindSessions, IsRepeat, Refusal, Report, Session, Uplink
from lora_post.uplink.sessions import SessionBook, downlink_key, downlink_keys, has_app_counter, session_key

NOT_LOADED = -1
AIR_TIME = "air time"
ROUND_TRIPS = "round trips"
"""Subject of the facts about what gateways have sent."""


class Group:
    """Uplinks that arrived together, while their block is open.

    find: returns the sessions of an address, with the counters that the group has advanced. joiners: devices that
    join, by DevEUI. devices: all of the configuration. is_repeat(uplink, window_us): see `heard`. reports: what was
    accepted. held: what was accepted and is to be decoded later, by number. refusals: what was not. taken: counters
    of downlinks, see `take_fcnt_down`. commands: those that changed. air_time, round_trips: of gateways, as facts under
    AIR_TIME and ROUND_TRIPS. is_lazy: whoever opened the group calls `sync`
    before it relies on it.
    """

    def __init__(
        self,
        book: SessionBook,
        is_repeat: IsRepeat,
        gaps: Gaps,
        counters: Mapping[str, int],
        waiting: Iterable[Command] = (),
        last_held: int = 0,
        told_until_now: Mapping[str, bytes] = MappingProxyType({}),
    ) -> None:
        """counters: next FCnts, by `session_key` and `downlink_key`. waiting: commands that are not over.

        last_held: the latest number of a held uplink. told_until_now: what devices were told, by `session_key`.
        """
        self._book = book
        self.find: FindSessions = book.find
        self.joiners: Mapping[int, Joiner] = book.joiners
        self.devices = book.devices
        self.is_repeat = is_repeat
        self.reports: list[Report] = []
        self.held: list[tuple[int, Uplink]] = []
        self.refusals: list[Refusal] = []
        self.taken: dict[str, int] = {}
        self.notes: list[Callable[[sqlite3.Connection], None]] = []
        self.commands: dict[int, Command] = {}
        self.told_readings: list[Report] = []
        self.settings: dict[str, bytes] = {}
        self.air_time: dict[str, str] = {}
        self.round_trips: dict[str, str] = {}
        self.is_lazy = False
        self._gaps = gaps
        self._counters = counters
        self._waiting = _by_id(waiting)
        self._last_held = last_held
        self._told = told_until_now

    def accept(self, uplink: Uplink, session: Session | None) -> None:
        """Accept an uplink and the counter that it advances; what it says follows among `reports`.

        session: None for one that was missed and comes late.
        """
        if session and uplink.authentic:
            before = self._book.advance(session)
            if 0 < before < uplink.fcnt <= before + MAX_GAP and uplink.device.fcnt is FCntPolicy.STRICT:
                self._gaps.open(session_key(uplink.device), before, uplink.fcnt - 1, uplink.frame.time_us)

    def hold(self, uplink: Uplink, session: Session | None) -> int:
        """Accept an uplink that is to be decoded later, as `accept` does; returns its number."""
        self._last_held += 1
        self.held.append((self._last_held, uplink))
        self.accept(uplink, session)
        return self._last_held

    def was_missed(self, uplink: Uplink) -> bool:
        """Tell whether an uplink below the newest one was not heard until now; it is now: accept it."""
        return self._gaps.take(session_key(uplink.device), uplink.fcnt, uplink.frame.time_us)

    def refuse(self, refusal: Refusal) -> None:
        """Take a frame that is not accepted; of strangers the last few are kept."""
        self.refusals.append(refusal)

    def accept_join(self, joiner: Joiner) -> None:
        """Accept what a join said."""
        self._book.join(joiner)

    def is_current(self, device: Device) -> bool:
        """Tell whether a device is in the session of its last uplink, and not in the one before a join."""
        joiner = self.joiners.get(device.root.dev_eui) if device.root else None
        proved = joiner.state.proved if joiner else ()
        return not proved or proved[-1].dev_addr == device.address

    def next_fcnt_down(self, device: Device, *, is_app: bool) -> int:
        """Return the next counter of downlinks in a device's session. is_app: of those with an FPort above 0."""
        key = downlink_key(session_key(device), is_app=is_app and has_app_counter(device))
        return self.taken.get(key, self._counters.get(key, 0))

    def next_app_fcnt_down(self, device: Device) -> int:
        """Return the next counter of downlinks with an FPort above 0."""
        return self.next_fcnt_down(device, is_app=True)

    def take_fcnt_down(self, device: Device, *, is_app: bool) -> int:
        """Return what `next_fcnt_down` does; it is taken once the group is kept."""
        fcnt = self.next_fcnt_down(device, is_app=is_app)
        self.taken[downlink_key(session_key(device), is_app=is_app and has_app_counter(device))] = fcnt + 1
        return fcnt

    def skip_fcnt_down(self, device: Device, by: int, *, is_app: bool) -> None:
        """Leave out so many values of the same counter."""
        fcnt = self.next_fcnt_down(device, is_app=is_app)
        self.taken[downlink_key(session_key(device), is_app=is_app and has_app_counter(device))] = fcnt + by

    def waiting(self, device: str = "") -> list[Command]:
        """Return the commands for a device, or for all, that are not over, in their order."""
        return [each for each in self._waiting.values() if device in ("", each.device) and not each.is_over]

    def note(self, command: Command) -> None:
        """Take what became of a command; it is kept with the group."""
        self._waiting[command.id] = self.commands[command.id] = command

    def tell(self, device: str, reading: Reading, time_us: StampUs) -> None:
        """Take a reading that no uplink gave, of a device that is in the configuration."""
        for each in self.devices:
            if each.id == device:
                uplink = Uplink(Frame("", time_us, b"", RxInfo()), each, 0, None, b"", authentic=False)
                self.told_readings.append(Report(uplink, (reading,)))
                return

    def settings_of(self, device: Device) -> bytes | None:
        """Return what is kept of what a device was told in its session, b"" for nothing."""
        key = session_key(device)
        return self.settings.get(key) or self._told.get(key, b"")

    def keep_settings(self, device: Device, state: bytes) -> None:
        """Keep what a device was told; with the group."""
        self.settings[session_key(device)] = state


class Ledger(Protocol):
    """Keeps accepted uplinks."""

    def group(self) -> AbstractContextManager[Group]:
        """Open a group; what it has accepted is kept when the block ends, or SpoolError is raised."""
        ...

    @property
    def devices(self) -> Sequence[Device]:
        """Return all devices of the configuration."""
        ...

    def waiting(self) -> Sequence[Command]:
        """Return the commands that are not over; outside a group. Raises SpoolError."""
        ...

    def sync(self) -> None:
        """Wait until lazy groups survive a power cut. Raises SpoolError."""
        ...


class SpoolLedger:
    """The ledger of a run: it keeps counters and readings in the spool."""

    def __init__(
        self,
        spool_file: SpoolFile,
        devices: Iterable[Device],
        writer: QueueWriter,
        boots: BootBook | None = None,
        *,
        keep_strangers: bool = False,
    ) -> None:
        """boots: keeps the times in step with the clock; None where frames bring their true time."""
        self._spool_file = spool_file
        self._shelf = Shelf(writer, ())
        self._boots = boots
        self._keep_strangers = keep_strangers
        self._strangers = StrangerBook()
        self._last_held = 0
        self.use(devices)
        # What is in the file, for a new one that takes the place of a file that was removed.
        self._inode: int | None = None
        self._counters: dict[str, int] = {}
        self._joins: dict[str, JoinState] = {}
        self._changes: dict[str, str] = {}
        self._waiting: dict[int, Command] = {}
        self._told: dict[str, bytes] = {}

    def use(self, devices: Iterable[Device]) -> None:
        """Accept frames of these devices from now on; outside a group."""
        devices = tuple(devices)
        with suppress(SpoolError):  # the next group will meet it, and tell
            self._save_strangers()  # some of them may be devices now
        self._book = SessionBook(devices)
        self._shelf.use(devices)
        self._version = NOT_LOADED

    @contextmanager
    def group(self) -> Iterator[Group]:
        """Open a group whose counters and readings are kept in one transaction."""
        try:
            with self._spool_file.unsynced() as db:
                self._spool_file.require_room()
                before = db.total_changes
                self._take_over(db)
                if self._boots and self._boots.follow(db):
                    self._read(db)
                group = Group(
                    self._book,
                    partial(is_repeat, db),
                    Gaps(db),
                    self._counters,
                    self._waiting.values(),
                    self._last_held,
                    self._told,
                )
                yield group
                self._shelf.put(db, group.reports)
                self._shelf.tell(db, group.told_readings)
                accepted.put(db, group.held)
                for note in group.notes:
                    note(db)
                told.save(db, group.settings)
                self._save_sessions(db, group.taken)
                downlinks.save(db, group.commands.values())
                note_all(db, AIR_TIME, group.air_time)
                note_all(db, ROUND_TRIPS, group.round_trips)
                if self._keep_strangers:
                    self._strangers.hear(group.refusals)
                    self._strangers.save(db, is_writing=bool(group.reports or group.held or self._book.joined))
                if self._boots:
                    self._boots.note(db)
                self._shelf.make_room(db)
            if not group.is_lazy and db.total_changes != before:
                self.sync()
            self._note_kept(group)
        except BaseException:
            # Nothing was kept: the counters in the file are the true ones.
            self._version = NOT_LOADED
            self._shelf.forget()
            self._strangers = StrangerBook()
            raise
        finally:
            self._book.clear_changes()

    @property
    def devices(self) -> Sequence[Device]:
        return self._book.devices

    def waiting(self) -> list[Command]:
        """Return the commands that are not over, as the file has them; outside a group. Raises SpoolError."""
        return downlinks.look_for_waiting(self._spool_file)

    def sync(self) -> None:
        self._spool_file.sync()

    def leave_checkpoints(self) -> None:
        """Leave it to others to move the log into the file, see `SpoolFile`."""
        self._spool_file.leave_checkpoints()

    def finish(self) -> None:
        """Keep the history of the quarter of an hour that goes on, and strangers; for the end of a run.

        Raises SpoolError.
        """
        self._save_strangers()
        self._shelf.finish(self._spool_file)

    def _save_strangers(self) -> None:
        if self._keep_strangers:
            with self._spool_file.transaction() as db:
                self._strangers.save(db, is_writing=False, is_last=True)

    def _save_sessions(self, db: sqlite3.Connection, taken: dict[str, int]) -> None:
        book = self._book
        save_sessions(db, {session_key(s.device): s.next_fcnt for s in book.advanced.values()} | taken)
        if book.joined:
            forget_sessions(db, [*book.over, *(down for key in book.over for down in downlink_keys(key))])
            forget_gaps(db, book.over)
            told.forget(db, book.over)
            save_joins(db, {key: joiner.state for key, joiner in book.joined.items()})
            self._changes |= {"joins": changes(db)["joins"]}  # this one is known here

    def _note_kept(self, group: Group) -> None:
        self._shelf.kept()
        if group.held:
            self._last_held = group.held[-1][0]
        book = self._book
        self._counters.update({session_key(s.device): s.next_fcnt for s in book.advanced.values()} | group.taken)
        self._waiting = _by_id(group.waiting())
        self._told.update(group.settings)
        for key in book.over:
            self._told.pop(key, None)
            self._counters.pop(key, None)
            for down in downlink_keys(key):
                self._counters.pop(down, None)
        self._joins.update({key: joiner.state for key, joiner in book.joined.items()})

    def _take_over(self, db: sqlite3.Connection) -> None:
        """Read again what others have changed since the last group."""
        version = self._spool_file.data_version()
        if self._version == NOT_LOADED or self._spool_file.inode != self._inode:
            if self._inode is not None and self._spool_file.inode != self._inode:
                self._carry_over(db)
            self._inode = self._spool_file.inode
            self._read(db)
            self._waiting = _by_id(downlinks.load_waiting(db))
            self._shelf.forget_lanes()
        elif version != self._version:
            self._follow(db)
        self._version = version

    def _follow(self, db: sqlite3.Connection) -> None:
        """Take over what may have changed with the commit of another: most are those of an upload, and change nothing.

        Counters are looked up where they are needed; what changes seldom is noted, see `note_change`.
        """
        now = changes(db)
        changed = {cause for cause, value in now.items() if value != self._changes.get(cause)}
        self._changes = now
        self._shelf.forget_last()
        if "downlinks" in changed:
            self._waiting = _by_id(downlinks.load_waiting(db))
        if "joins" in changed:
            self._read(db)
        else:
            self._book.doubt_counters(partial(load_sessions_of, db))
        if "strangers" in changed:
            self._strangers.load(db)
        if "lanes" in changed:
            # A lane that was removed would take readings with it, and one may have another unit.
            self._shelf.forget_lanes()

    def _carry_over(self, db: sqlite3.Connection) -> None:
        """Give another file, in the place of one that was removed, the counters that are known here."""
        raise_sessions(db, self._counters.items())
        there = load_joins(db)
        save_joins(db, {key: state for key, state in self._joins.items() if key not in there})
        downlinks.save(db, self._waiting.values())
        told.save(db, self._told)

    def _read(self, db: sqlite3.Connection) -> None:
        self._changes = changes(db)
        self._last_held = max(self._last_held, accepted.last_id(db))
        self._counters, self._joins, self._told = load_sessions(db), load_joins(db), told.load(db)
        self._book.load(self._counters, self._joins)
        self._strangers.load(db)
        self._shelf.forget_last()


def _by_id(commands: Iterable[Command]) -> dict[int, Command]:
    return {command.id: command for command in commands}


class MemoryLedger:
    """The ledger of a dry run: it judges as the durable one does, and keeps nothing."""

    def __init__(self, devices: Iterable[Device]) -> None:
        self._book = SessionBook(devices)
        self._heard: dict[int, StampUs] = {}
        self._gaps = gaps_in_memory()

    @contextmanager
    def group(self) -> Iterator[Group]:
        """Open a group of which only the counters are kept, in memory."""
        yield Group(self._book, self._is_repeat, self._gaps, {})
        self._book.clear_changes()

    @property
    def devices(self) -> Sequence[Device]:
        return self._book.devices

    def waiting(self) -> Sequence[Command]:
        """Return nothing: a dry run sends nothing."""
        return ()

    def sync(self) -> None:
        """Do nothing: nothing is on a disk."""

    def _is_repeat(self, uplink: Uplink, window_us: int) -> bool:
        print_, time_us = print_of(uplink), uplink.frame.time_us
        last = self._heard.get(print_)
        if last is not None and abs(time_us - last) <= window_us:
            return True
        self._heard[print_] = time_us
        while len(self._heard) > KEEP_HEARD:
            del self._heard[next(iter(self._heard))]
        return False
