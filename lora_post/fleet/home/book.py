"""Decide about the devices of a home gateway, in a log of its own.

What stands in that log is provisional until the hub has it. It has the newest entry of each device that the hub has,
and all behind it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, Protocol

from msgspec import Struct

from lora_post.errors import SpoolError, defect
from lora_post.fleet.errors import FleetError
from lora_post.fleet.home.owners import Owned, owners
from lora_post.fleet.home.shortening import ShortLog, answers_of, shorten
from lora_post.fleet.hub.subjects import log_subject
from lora_post.fleet.judging.copied import Copied
from lora_post.fleet.judging.judge import Chore, Judge
from lora_post.fleet.judging.known_devices import StateOf
from lora_post.fleet.log.acceptance import Acceptance, Proposal
from lora_post.fleet.log.entry import Entry, State, encode
from lora_post.fleet.log.joined import Sessions, joins_of
from lora_post.fleet.log.log import Log
from lora_post.fleet.log.sqlite_log import SqliteLog
from lora_post.fleet.log.view import Read, View
from lora_post.model import Device
from lora_post.spool.lanes import WhenFull
from lora_post.uplink.join_state import JoinState

log = logging.getLogger(__name__)

ALL: Final = "log."
MAX_ALONE: Final = 1000
"""Entries with an answer that the hub does not have: one less than workers leave out when they take a device over."""


class HomeLog(Log, ShortLog, Protocol):
    """A log in which a device may begin anew."""

    def begin(self, subject: str, data: bytes) -> None:
        """Replace all entries of a subject by this one. Raises LogUnavailable."""
        ...


class Adoption(Struct, frozen=True):
    """What the hub says of a device. newest: the entry that counts there. valid: the last of the own ones that does.

    until: the newest own one that `newest` knows of; "" where there is none.
    """

    subject: str
    newest: Entry
    valid: str
    until: str


class HomeBook:
    """Decides about the devices of a home gateway. For one thread."""

    def __init__(self, log: HomeLog, judge: Judge, gateway: str, on_entry: Callable[[Entry], None]) -> None:
        """judge: decides as this gateway. on_entry: told of each entry that is made here."""
        self._log = log
        self._judge = judge
        self._gateway = gateway
        self._on_entry = on_entry
        self._alone: dict[str, list[int]] = {}
        self.view = View(ALL)
        for read in self.view.catch_up(log):
            self._on_read(read)
            on_entry(read.entry)  # it may have been stopped before
        self.acceptance: Acceptance[Copied | Chore] = Acceptance(log, self.view, self._judged, self._on_read)

    def follow_all(self) -> None:
        """Tell the judge of all states, after its devices have changed."""
        for subject, fold in self.view.folds.items():
            self._judge.follow(subject, fold.state)

    def decide(self, items: Sequence[Copied | Chore]) -> Iterator[tuple[Copied | Chore, Entry | None]]:
        """Decide, as `Acceptance.accept` does; a frame that others decide about has a `decider`."""
        for item, entry in self.acceptance.accept(items):
            if entry is not None:
                self._on_entry(entry)
            yield item, entry

    def make_room(self, max_bytes: int, when_full: WhenFull) -> int:
        """Keep the log within its bound; return how many readings are given up. Raises LogUnavailable."""
        return shorten(self._log, max_bytes, when_full)

    def state(self, subject: str) -> State | None:
        """Return the state of a device that this gateway decides about, else None."""
        fold = self.view.folds.get(subject)
        return fold.state if fold and fold.state.owner == self._gateway else None

    def owners(self, subjects: Iterable[str]) -> list[Owned]:
        """Return who decides about devices, as far as that is known here; for any thread."""
        folds = ((subject, self.view.folds.get(subject)) for subject in subjects)
        return owners({subject: fold.last for subject, fold in folds if fold and fold.last})

    def due(self) -> list[Chore]:
        """Return the chores that are due by now."""
        return self._judge.due(fold.state for fold in self.view.folds.values())

    def confirm(self, subject: str, number: int) -> None:
        """Note that the hub has entries up to this number."""
        self._alone[subject] = [each for each in self._alone.get(subject, ()) if each > number]

    def adopt(self, adoption: Adoption, keep: Callable[[Sequence[Entry]], None]) -> bool:
        """Continue from the hub's state; return False when the hub lacks the newest entry here.

        keep: given the entries that are void at the hub, so that their frames are offered again; before they go.
        """
        subject, newest = adoption.subject, adoption.newest
        fold = self.view.folds.get(subject)
        if (fold.last.id if fold and fold.last else "") not in ("", adoption.until):
            return False
        keep(lost_behind(chain(self._log, subject), adoption.valid))
        self._log.begin(subject, encode(newest))
        self.view.folds.pop(subject, None)
        for read in self.view.catch_up(self._log):
            self._on_read(read)
        self._alone[subject] = []
        return True

    def _on_read(self, read: Read) -> None:
        if not read.is_valid:
            return
        subject, entry = read.logged.subject, read.entry
        self._judge.follow(subject, entry.state)
        self._alone.setdefault(subject, []).extend([entry.number] * answers_of(entry))

    def _judged(self, item: Copied | Chore, state_of: StateOf) -> Proposal | None:
        proposal = self._judge_once(item, state_of)
        is_answer = proposal is not None and (proposal.down is not None or proposal.kind == "join")
        if proposal is None or not is_answer or len(self._alone.get(proposal.subject, ())) < MAX_ALONE:
            return proposal
        item.reply = None
        if isinstance(item, Chore):
            return None
        item.is_live = False
        return self._judge_once(item, state_of)

    def _judge_once(self, item: Copied | Chore, state_of: StateOf) -> Proposal | None:
        try:
            if isinstance(item, Chore):
                return self._judge.look_after(item, state_of)
            return self._judge.judge(item, state_of)
        except (FleetError, SpoolError, OSError):
            raise
        except Exception as error:
            what = item.task.device if isinstance(item, Chore) else item.phy_payload.hex()
            log.error("skipped over a defect, %s: %s", defect(error), what)
            return None


def is_for_hub(item: Copied, entry: Entry | None) -> bool:
    """Tell whether a decided frame is for the hub: of a device of others, or of which nothing is known."""
    return entry is None and (item.decider is not None or item.device is None)


def chain(log: Log, subject: str, after: int = 0) -> list[Entry]:
    """Return the entries of a device behind a position. Raises LogUnavailable."""
    view = View(subject, after)
    return [read.entry for read in view.catch_up(log) if read.logged.subject == subject]


def opened_log(spool: Path) -> SqliteLog:
    """Open the log of a home gateway, or make it. Raises LogUnavailable."""
    return SqliteLog(log_path(spool))


@contextmanager
def existing_log(spool: Path) -> Iterator[Log | None]:
    """Open the log of a home gateway as long as the block runs, None where there is none. Raises LogUnavailable."""
    path = log_path(spool)
    if not path.exists():  # who makes it owns it
        yield None
        return
    with closing(SqliteLog(path)) as found:
        yield found


def log_path(spool: Path) -> Path:
    """Return where the log of a home gateway is: beside its spool."""
    return spool.with_suffix(".home.db")


def owners_at_home(spool: Path) -> list[Owned]:
    """Return who decides about the devices of a home gateway, as far as that is known there. Raises LogUnavailable."""
    view = View(ALL)
    with existing_log(spool) as source:
        for _ in view.catch_up(source) if source else ():
            pass
    return owners({subject: fold.last for subject, fold in view.folds.items() if fold.last})


def joins_at_home(spool: Path, device: Device) -> JoinState:
    """Return what a home gateway knows of a device's joins. Raises LogUnavailable."""
    with existing_log(spool) as source:
        entries = chain(source, log_subject(device)) if source else []
    if not entries or device.root is None:
        return JoinState()
    return Sessions().join_state(joins_of(entries[-1].state, device), device)


def lost_behind(entries: Iterable[Entry], valid: str) -> list[Entry]:
    """Return the entries behind the last valid one; all where that is not among them."""
    found = list(entries)
    ids = [each.id for each in found]
    return found[ids.index(valid) + 1 :] if valid in ids else found
