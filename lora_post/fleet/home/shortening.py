"""Keep the log of a home gateway within its bound while it has no link.

Readings are given up, as in a full spool: the oldest of the device with the most entries. Several entries become one
that stands between the same two: counters, sessions and what became of commands are in it, so the hub takes what is
behind it as if nothing were left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from lora_post.fleet.log.entry import Entry, encode
from lora_post.fleet.log.log import Logged
from lora_post.fleet.log.view import View
from lora_post.spool.lanes import WhenFull

AT_ONCE: Final = 256


class ShortLog(Protocol):
    """A log in which several entries may become one."""

    def used_bytes(self) -> int:
        """Return how much it holds. Raises LogUnavailable."""
        ...

    def longest(self, limit: int, *, newest: bool) -> Sequence[Logged]:
        """Return entries of the subject with the most of them, at most half: the first or last.

        Raises LogUnavailable.
        """
        ...

    def join(self, entries: Sequence[Logged], data: bytes) -> None:
        """Replace some entries of a subject by this one. Raises LogUnavailable."""
        ...


def shorten(log: ShortLog, max_bytes: int, when_full: WhenFull) -> int:
    """Shorten a log to this size; return how many readings are given up. Raises LogUnavailable."""
    lost = 0
    is_newest = when_full == "drop-newest"
    while log.used_bytes() > max_bytes:
        found = log.longest(3 if is_newest else AT_ONCE, newest=is_newest)
        valid = _valid(found)
        run = [entry for _, entry in valid[1:]]  # the first one stays: the hub has it, or the one before
        if len(run) < 2:
            break
        log.join([logged for logged, _ in valid[1:]], encode(joined(run)))
        lost += sum(max(1, len(entry.up.readings)) for entry in run if entry.up)
    return lost


def _valid(found: Sequence[Logged]) -> list[tuple[Logged, Entry]]:
    """Return the entries that follow each other."""
    view = View("")
    reads = [view.take(logged) for logged in found]
    return [(read.logged, read.entry) for read in reads if read and read.is_valid]


def joined(entries: Sequence[Entry]) -> Entry:
    """Return one entry in the place of several that follow each other."""
    first, last = entries[0], entries[-1]
    commands = {each.key: each for entry in entries for each in entry.commands}
    told = tuple(each for entry in entries for each in entry.told)
    answers = sum(map(answers_of, entries))
    return Entry(
        last.id,
        first.prev,
        last.number,
        last.state,
        "short",
        last.epoch,
        commands=tuple(commands.values()),
        told=told,
        answers=answers,
    )


def answers_of(entry: Entry) -> int:
    """Return how many answers to its device an entry has, or stands for."""
    return entry.answers + (entry.down is not None or entry.kind == "join")
