"""Read a part of the log: a fold for each device, and how far it was read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from msgspec import Struct

from lora_post.fleet.errors import UNREADABLE
from lora_post.fleet.hub.subjects import token
from lora_post.fleet.log.entry import Entry, decode
from lora_post.fleet.log.fold import Fold
from lora_post.fleet.log.log import Log, Logged

READ_AGAIN_S: Final = 0.1
EMPTY_READS: Final = 20
"""A server that has acknowledged an entry shows it soon. If not, the entry is lost, and its frame is tried again."""


class Read(Struct, frozen=True, gc=False):
    """An entry that was read, and whether it is valid."""

    logged: Logged
    entry: Entry
    is_valid: bool


class View:
    """Folds of all devices whose subjects have this prefix.

    position, anchor: of the entry read last, whatever it was worth; its id.
    """

    def __init__(
        self, prefix: str, position: int = 0, anchor: str = "", last: Mapping[str, Entry] | None = None
    ) -> None:
        """last: the newest valid entries up to that position, by subject."""
        self.prefix = prefix
        self.position = position
        self.anchor = anchor
        self.folds = {subject: Fold(entry) for subject, entry in (last or {}).items()}

    def fold(self, subject: str) -> Fold:
        """Return the fold of a device; it is empty for a new one."""
        fold = self.folds.get(subject)
        if fold is None:
            fold = self.folds[subject] = Fold()
        return fold

    def take(self, logged: Logged) -> Read | None:
        """Read the next entry of the log; None when it is not an entry: who can write there may write anything."""
        self.position, self.anchor = logged.position, ""
        try:
            entry = decode(logged.data)
        except UNREADABLE:
            return None
        if not _is_of(entry, logged.subject):
            return None
        self.anchor = entry.id
        return Read(logged, entry, self.fold(logged.subject).take(entry))

    def catch_up(self, log: Log, until: int | None = None) -> Iterator[Read]:
        """Read on to a position that must be there, and wait a little for it; to the end when that is None.

        Raises LogUnavailable.
        """
        while (until is None or self.position < until) and (found := log.read(self.prefix, self.position)):
            yield from self.take_all(found)
        patience = EMPTY_READS
        while until is not None and self.position < until and patience:
            patience -= 1
            yield from self.take_all(log.tail(self.prefix, self.position, READ_AGAIN_S))

    def take_all(self, found: Iterable[Logged]) -> Iterator[Read]:
        """Read the next entries of the log, without what are not entries."""
        return (read for read in map(self.take, found) if read is not None)


def _is_of(entry: Entry, subject: str) -> bool:
    """Tell whether an entry is of the device of this log: a home gateway may write only in those of its own."""
    named = {each.device for each in (entry.up, *entry.told) if each}
    named |= {each.command.device for each in (*entry.commands, *entry.state.waiting)}
    mine = subject.rpartition(".")[2]
    return all(token(device) == mine for device in named)
