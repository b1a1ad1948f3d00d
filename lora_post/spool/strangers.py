"""The table `stranger`: the last frames of senders that no device accounts for, so that keys can be tried on them.

Anybody can send under any address, so senders and frames are bounded, and to write them costs little: with what is
written anyway, else once a minute at most; of a sender with all its frames once an hour.
"""

from __future__ import annotations

import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec
from msgspec import Struct

from lora_post.errors import BadMIC, NoKey, NotEncrypted, UnknownDevice
from lora_post.model import Frame, Link, RxInfo
from lora_post.spool.facts import note_change
from lora_post.spool.spool_file import SpoolFile
from lora_post.times import StampUs
from lora_post.uplink.model import Refusal
from lora_post.uplink.senders import claimed_sender

KEPT_CHECKS: Final = frozenset(each.check for each in (UnknownDevice, NoKey, NotEncrypted, BadMIC))
"""Refusals that another table in the configuration may end."""
MAX_SENDERS: Final = 64
KEEP_FRAMES: Final = 4
"""Of a sender. With all senders about 100 kB."""
MAX_GATEWAY: Final = 128
WRITE_EVERY_S: Final = 60.0
REFRESH_S: Final = 3600.0

_decode_rx: Final = msgspec.json.Decoder(RxInfo).decode


class Stranger(Struct, frozen=True):
    """What was heard of one sender.

    sender: the address that it claims, see `claimed_sender`. heard: how many frames, as far as it was counted.
    check: why the newest was refused. frames: the last ones, oldest first.
    """

    sender: str
    heard: int
    check: str
    frames: tuple[Frame, ...]

    @property
    def last(self) -> Frame:
        """The newest frame that is kept."""
        return self.frames[-1]


@dataclass(slots=True)
class _Heard:
    """A sender in memory. new: frames that are not in the file yet. stored: how many are. saved_at: when, monotonic."""

    count: int = 0
    stored: int = 0
    saved_at: float | None = None
    new: deque[tuple[int, Refusal]] = field(default_factory=lambda: deque(maxlen=KEEP_FRAMES))

    def is_due(self, now: float) -> bool:
        return self.saved_at is None or self.stored < KEEP_FRAMES or now - self.saved_at >= REFRESH_S


class StrangerBook:
    """What a run has heard of strangers, and when it writes that down."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._senders: dict[str, _Heard] = {}
        self._gone: set[str] = set()
        self._wrote_at: float | None = None

    def load(self, db: sqlite3.Connection) -> None:
        """Take over what is in the file; another process may have changed it."""
        rows = db.execute("SELECT sender, max(heard), count(*) FROM stranger GROUP BY sender").fetchall()
        for known in self._senders.values():
            known.stored = 0
        for sender, count, stored in rows:
            known = self._senders.setdefault(sender, _Heard())
            known.count, known.stored = max(known.count, count), stored

    def hear(self, refusals: Iterable[Refusal]) -> None:
        """Take in refused frames; those that no other configuration would accept are left out."""
        for refusal in refusals:
            sender = claimed_sender(refusal.frame) if refusal.check in KEPT_CHECKS else ""
            if sender:
                known = self._senders.get(sender) or self._add(sender)
                known.count += 1
                known.new.append((known.count, refusal))

    def _add(self, sender: str) -> _Heard:
        """Make place for a sender: of those heard least often, the one that was first goes."""
        if len(self._senders) >= MAX_SENDERS:
            rarest = min(self._senders, key=lambda each: self._senders[each].count)
            if self._senders.pop(rarest).stored:
                self._gone.add(rarest)
        self._gone.discard(sender)
        return self._senders.setdefault(sender, _Heard())

    def save(self, db: sqlite3.Connection, *, is_writing: bool, is_last: bool = False) -> None:
        """Write what is due, inside a transaction. is_writing: it writes something else too. is_last: all is due."""
        now = self._monotonic()
        if not is_writing and not is_last and self._wrote_at is not None and now - self._wrote_at < WRITE_EVERY_S:
            return
        due = {sender: known for sender, known in self._senders.items() if known.new and (is_last or known.is_due(now))}
        if not due:
            return
        self._wrote_at = now
        db.executemany("DELETE FROM stranger WHERE sender = ?", [(sender,) for sender in self._gone])
        self._gone.clear()
        for sender, known in due.items():
            db.executemany(
                "INSERT INTO stranger (sender, heard, refused, time_us, gateway, link, phy_payload, rx)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [_row(sender, count, refusal) for count, refusal in known.new],
            )
            db.execute(
                "DELETE FROM stranger WHERE sender = ?1 AND id NOT IN"
                " (SELECT id FROM stranger WHERE sender = ?1 ORDER BY id DESC LIMIT ?2)",
                (sender, KEEP_FRAMES),
            )
            known.stored = min(KEEP_FRAMES, known.stored + len(known.new))
            known.saved_at = now
            known.new.clear()


def _row(sender: str, count: int, refusal: Refusal) -> tuple[object, ...]:
    frame = refusal.frame
    link = None if frame.link is None else frame.link.value
    rx = msgspec.json.encode(frame.rx)
    return sender, count, refusal.check, frame.time_us, frame.gateway[:MAX_GATEWAY], link, frame.phy_payload, rx


def load(spool_file: SpoolFile) -> list[Stranger]:
    """Return the strangers whose frames are kept, the one heard last first."""
    found: dict[str, list[tuple[int, str, Frame]]] = {}
    rows = spool_file.rows(
        "SELECT sender, heard, refused, time_us, gateway, link, phy_payload, rx FROM stranger ORDER BY id DESC"
    )
    for sender, heard, refused, *row in rows:
        try:
            frame = _frame(*row)
        except (ValueError, TypeError, msgspec.DecodeError):  # after a lost bit
            continue
        found.setdefault(sender, []).append((heard, refused, frame))
    return [
        Stranger(sender, max(heard for heard, _, _ in kept), kept[0][1], tuple(frame for _, _, frame in reversed(kept)))
        for sender, kept in found.items()
    ]


def _frame(time_us: StampUs, gateway: str, link: str | None, phy_payload: bytes, rx: bytes) -> Frame:
    return Frame(gateway, time_us, phy_payload, _decode_rx(rx), None if link is None else Link(link))


def forget(db: sqlite3.Connection, senders: Sequence[str]) -> None:
    """Delete the frames of these senders."""
    db.executemany("DELETE FROM stranger WHERE sender = ?", [(sender,) for sender in senders])
    note_change(db, "strangers")


def forget_all(db: sqlite3.Connection) -> None:
    """Delete all frames, in a spool that is full or is not to keep them."""
    if db.execute("DELETE FROM stranger").rowcount:
        note_change(db, "strangers")


def shift(db: sqlite3.Connection, first_us: StampUs, last_us: StampUs, by_us: int) -> None:
    """Move the times within a range."""
    db.execute("UPDATE stranger SET time_us = time_us + ? WHERE time_us BETWEEN ? AND ?", (by_us, first_us, last_us))
