"""Copy what a home gateway has decided to the hub, and follow the hub where they differ.

The hub's order is the truth. Entries go there in their order and are looked for behind it: what is valid there is no
longer provisional here. Where somebody else was first, everything of the own behind it is void; one `own` entry then
takes over what was used and told in it, and its frames are offered again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Protocol

from msgspec import Struct, field

from lora_post.fleet.errors import UNREADABLE
from lora_post.fleet.home.book import ALL, Adoption, chain, lost_behind
from lora_post.fleet.home.heads import Asked, Seen
from lora_post.fleet.log.entry import FIRST, Entry, State, decode, encode, new_id
from lora_post.fleet.log.log import Log, Logged
from lora_post.fleet.log.ownership import given_back
from lora_post.text import plural

log = logging.getLogger(__name__)

MAX_TOGETHER: Final = 32
"""Entries of a device that are under way to the hub at one time."""
MAX_IN_ALL: Final = 128


class Hub(Protocol):
    """The hub, as a home gateway reaches it."""

    def append(self, entries: Sequence[tuple[str, bytes]]) -> Sequence[int | None]:
        """Append entries as `Log.append` does."""
        ...

    def look(self, asked: Sequence[Asked]) -> Sequence[Seen]:
        """Return which entries are valid. Raises LogUnavailable."""
        ...


class Book(Protocol):
    """What follows; see `HomeBook`."""

    def adopt(self, adoption: Adoption) -> bool:
        """Continue from the hub's state; return False when that could not be done yet."""
        ...

    def confirm(self, subject: str, number: int) -> None:
        """Note that the hub has entries up to this number."""
        ...


class _Row(Struct, frozen=True, gc=False):
    """An entry as it stands here."""

    position: int
    id: str
    number: int


class _Device(Struct):
    """A device. rows: its entries here; the first one is what the hub had last. is_unsure: the hub is to be asked.

    own: the last `own` entry that was given to the hub. is_strange: workers say that it does not belong here.
    empty: names a log without entries, as a new card has it: it is not the log of the card before.
    """

    rows: list[_Row] = []
    own: Entry | None = None
    is_unsure: bool = True
    is_strange: bool = False
    empty: str = field(default_factory=new_id)

    @property
    def newest(self) -> str:
        """Return the id of the newest entry here."""
        return self.rows[-1].id if self.rows else self.empty


class Mirror:
    """Mirrors. For one thread, with a connection of its own to the log of the home gateway."""

    def __init__(
        self,
        source: Log,
        hub: Hub,
        book: Book,
        gateway: str,
        subjects: Iterable[str],
        inherited: Mapping[str, State] | None = None,
    ) -> None:
        """subjects: of the logs of its devices. inherited: what it knows of devices of which the hub knows nothing."""
        self._log = source
        self._hub = hub
        self._book = book
        self._gateway = gateway
        self._inherited = inherited or {}
        self._position = 0
        self._devices: dict[str, _Device] = {}
        self.use(subjects)

    def use(self, subjects: Iterable[str]) -> None:
        """Mirror the logs of these devices from now on."""
        self._devices = {each: _Device() for each in subjects}
        self._position = 0

    def doubt(self) -> None:
        """Look at all devices: something may have happened at the hub."""
        for device in self._devices.values():
            device.is_unsure = True

    @property
    def waiting(self) -> int:
        """How many entries the hub is not known to have."""
        return sum(max(0, len(device.rows) - 1) for device in self._devices.values())

    def step(self) -> bool:
        """Do what is to be done next; tell whether that was something. Raises LogUnavailable."""
        self._read()
        given = self._append()
        busy = {**given, **{subject: device for subject, device in self._devices.items() if device.is_unsure}}
        asked = [_asked(subject, device) for subject, device in list(busy.items())[:MAX_IN_ALL]]
        if not asked:
            return False
        for device in given.values():
            device.is_unsure = True  # until the hub has said something
        answers = {seen.subject: seen for seen in self._hub.look(asked) if seen.subject in busy}
        for subject, seen in answers.items():
            self._answered(seen, busy[subject])
        return bool(answers)

    def _answered(self, seen: Seen, device: _Device) -> None:
        if seen.is_yours:
            device.is_strange = False
            self._follow(seen, device)
            return
        if not device.is_strange:
            name = seen.subject.rpartition(".")[2]
            log.error(
                "%s: workers do not have it as a device of this gateway; add home = %r there", name, self._gateway
            )
        device.is_strange, device.is_unsure = True, False

    def _read(self) -> None:
        while found := self._log.read(ALL, self._position):
            for logged in found:
                self._take(logged)

    def _take(self, logged: Logged) -> None:
        self._position = logged.position
        device = self._devices.get(logged.subject)
        if device is None:
            return
        try:
            entry = decode(logged.data)
        except UNREADABLE:  # after a lost bit; the next start mends it
            return
        if device.rows and entry.prev != device.newest:
            device.rows = []  # it has begun anew
        device.rows.append(_Row(logged.position, entry.id, entry.number))

    def _append(self) -> dict[str, _Device]:
        """Give the hub what it does not have; return whose that was."""
        given: dict[str, _Device] = {}
        entries: list[tuple[str, bytes]] = []
        for subject, device in self._devices.items():
            is_ready = not device.is_unsure and not device.is_strange
            if is_ready and len(device.rows) > 1 and len(entries) < MAX_IN_ALL:
                rows = device.rows[1 : 1 + MAX_TOGETHER]
                found = self._data(subject, rows)
                if len(found) < len(rows):  # the log was shortened: read it once more
                    self.use(self._devices)
                    self._read()
                    return self._devices
                given[subject] = device
                entries += found
        if entries:
            self._hub.append(entries)
        return given

    def _data(self, subject: str, rows: Sequence[_Row]) -> list[tuple[str, bytes]]:
        wanted = {row.position for row in rows}
        found = self._log.read(subject, rows[0].position - 1)
        return [(subject, each.data) for each in found if each.position in wanted]

    def _follow(self, seen: Seen, device: _Device) -> None:
        """Handle what the hub says of a device."""
        ids = [row.id for row in device.rows]
        if seen.valid in ids and not seen.newest:
            self._confirm(seen.subject, device, ids.index(seen.valid))
            return
        newest = decode(seen.newest) if seen.newest else None
        valid = seen.valid if seen.valid in ids else ""
        known = _known(newest, device)
        # Where it is not to be taken back, and nothing of the own is lost, there is nothing to say.
        has_lost = ids[-1:] not in ([], [valid])
        if newest and (device.newest == known or (newest.state.is_held and not has_lost)):
            if self._book.adopt(Adoption(seen.subject, newest, valid, device.newest)):
                device.own, device.is_unsure = None, False
            return
        self._give(seen.subject, newest, device, known if known in ids else valid)

    def _confirm(self, subject: str, device: _Device, index: int) -> None:
        """Keep what is behind the last entry that the hub has, and that one."""
        device.rows = device.rows[index:]
        device.own, device.is_unsure = None, False
        if index:
            self._log.trim(subject, device.rows[0].position)
            self._book.confirm(subject, device.rows[0].number)

    def _give(self, subject: str, newest: Entry | None, device: _Device, told: str) -> None:
        """Give the hub the entry by which this gateway decides, and that knows of all that was void.

        told: the last entry of which the hub knows.
        """
        own = device.own
        if own and own.state.knows_until == device.newest and own.prev == (newest.id if newest else FIRST):
            self._hub.append([(subject, encode(own))])  # once more: the first time it did not arrive
            return
        lost = lost_behind(chain(self._log, subject), told)
        entry = given_back(newest, lost, self._gateway, device.newest, self._inherited.get(subject))
        device.own, device.is_unsure = entry, True
        log.info("%s: %s", subject.rpartition(".")[2], _what(entry, len(lost)))
        self._hub.append([(subject, encode(entry))])


def _known(newest: Entry | None, device: _Device) -> str:
    """Return the last entry of the own of which the hub knows, "" for none."""
    if newest and device.own and newest.id == device.own.id:
        return device.own.state.knows_until  # older workers leave it out when they send the entry
    return newest.state.knows_until if newest else ""


def _asked(subject: str, device: _Device) -> Asked:
    ids = [row.id for row in device.rows[: 1 + MAX_TOGETHER]]
    return Asked(subject, tuple(ids))


def _what(entry: Entry, lost: int) -> str:
    who = f"{entry.state.owner} decides about it" if entry.state.owner else "workers decide about it"
    again = f"; void at the hub: {plural(lost, 'entry')}, offered again with their frames" if lost else ""
    return f"{who} from epoch {entry.epoch} on{again}"
