"""Choose the uploader of each entry: the one whose turn it was when it was logged.

A turn begins with a message in the log itself, which all read in one order. So each entry is taken by one uploader,
whatever stops or goes on late; clocks only tell when another one begins a turn.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Final

import msgspec
from msgspec import Struct

from lora_post.fleet.errors import UNREADABLE, LogUnavailable
from lora_post.fleet.hub.subjects import token
from lora_post.fleet.log.log import Log, Logged

SUBJECT: Final = "log.uploader"
SILENT_S: Final = 120.0
"""An uploader that has said nothing for so long loses its turn."""


class Turn(Struct, frozen=True):
    """The beginning of a turn. name: of the lora-post. store: of its spool in the fleet; a new spool is another."""

    name: str
    store: str


class Turns:
    """The turns that were read so far. mine: of the uploader that asks."""

    def __init__(self, mine: Turn) -> None:
        self._mine = mine
        self._begun: list[tuple[int, Turn]] = []

    def begin_first(self, log: Log) -> None:
        """Read all turns; begin the first one where there is none. Raises LogUnavailable."""
        self.read(log)
        if not self._begun:
            self.begin(log)
            self.read(log)
        if not self._begun:
            raise LogUnavailable("the log does not tell who uploads")

    def read(self, log: Log) -> None:
        """Read all turns. Raises LogUnavailable."""
        self._begun.clear()
        after = 0
        while found := log.read(SUBJECT, after):
            self.follow(found)
            after = found[-1].position

    def follow(self, found: Iterable[Logged]) -> None:
        """Note entries that were read."""
        for each in found:
            if each.subject == SUBJECT and (not self._begun or each.position > self._begun[-1][0]):
                try:
                    self._begun.append((each.position, _decode(each.data)))
                except UNREADABLE:
                    continue  # who can write there may write anything

    def begin(self, log: Log) -> None:
        """Begin a turn; it has begun when it was read. Raises LogUnavailable."""
        log.append([(SUBJECT, msgspec.json.encode(self._mine))])

    @property
    def last(self) -> Turn:
        """Return the turn that goes on, as far as the log was read."""
        return self._begun[-1][1] if self._begun else self._mine

    @property
    def is_mine(self) -> bool:
        """Whether that turn is of this uploader."""
        return self.last == self._mine

    def has(self, position: int) -> bool:
        """Tell whether this uploader takes an entry; those before all turns belong to the first."""
        if not self._begun:
            return False
        number = bisect_left(self._begun, position, key=lambda begun: begun[0])
        return self._begun[max(number - 1, 0)][1] == self._mine

    def unread_from(self, read: Mapping[str, int]) -> int | None:
        """Return the lowest position still to be read in a turn that is over; None: all is read.

        read: the positions that uploaders told, by `token` of their names.
        """
        turns = pairwise(self._begun)
        behind = (at for (begun, turn), (over, _) in turns if (at := read.get(token(turn.name), begun)) < over)
        return min(behind, default=None)


class Silence:
    """How long another uploader has said nothing; its clock is not believed."""

    def __init__(self) -> None:
        self._seen: tuple[str, int] | None = None
        self._since = 0.0

    def is_over(self, name: str, position: int, now: float) -> bool:
        """Take in what it said last; tell whether it may lose its turn. position: of that at the hub, 0: nothing."""
        if self._seen != (name, position):
            self._seen, self._since = (name, position), now
        return now - self._since >= SILENT_S


_decode: Final = msgspec.json.Decoder(Turn).decode
