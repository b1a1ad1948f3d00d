"""The table `frame`: what a gateway of a fleet has heard, until the hub is done with it, and a day longer.

A hub that was restored from a backup, or has lost its disks, gets that day once more.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from lora_post.model import Frame
from lora_post.spool.lanes import WhenFull
from lora_post.spool.spool_file import SpoolFile
from lora_post.spool.tallies import add_tally
from lora_post.times import BootUs, StampUs, WallUs

KEEP_US: Final = 86_400_000_000
LOST: Final = "frames-evicted"
EVICT_AT_ONCE: Final = 256
FOR_HUB, SETTLED, FOR_HOME = range(3)
"""What a frame waits for: the hub, nothing any more, or what a home gateway decides about it."""

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Frame).decode


class HeardFrame(Struct, frozen=True):
    """A frame with its number here. boot, boot_us: when it was heard, by the clock that is never set."""

    number: int
    boot: str
    boot_us: BootUs
    frame: Frame


class FrameCounts(Struct, frozen=True):
    """How many frames wait for the hub, and of how many it is done with. oldest_us: of those that wait."""

    waiting: int
    settled: int
    oldest_us: StampUs | None


def put(db: sqlite3.Connection, heard: Iterable[tuple[Frame, str, BootUs]], waits_for: int = FOR_HUB) -> list[int]:
    """Keep frames, each with its boot and its moment there, inside the caller's transaction; return their numbers."""
    numbers = []
    for frame, boot, boot_us in heard:
        row = (boot, boot_us, frame.time_us, _encode(frame), waits_for)
        cursor = db.execute("INSERT INTO frame (boot, boot_us, time_us, frame, settled) VALUES (?, ?, ?, ?, ?)", row)
        numbers.append(cursor.lastrowid or 0)
    return numbers


def for_home(spool_file: SpoolFile, after: int, limit: int) -> list[HeardFrame]:
    """Return frames about which a home gateway has not decided, oldest first. Raises SpoolError."""
    query = "SELECT number, boot, boot_us, time_us, frame FROM frame WHERE settled = ? AND number > ?"
    return _read(spool_file.rows(f"{query} ORDER BY number LIMIT ?", (FOR_HOME, after, limit)))


def decided(db: sqlite3.Connection, own: Collection[int], others: Collection[int]) -> None:
    """Note what a home gateway has decided about, and what is for the hub."""
    rows = [(SETTLED, number) for number in own] + [(FOR_HUB, number) for number in others]
    db.executemany("UPDATE frame SET settled = ? WHERE number = ?", rows)


def waiting(spool_file: SpoolFile, after: int, limit: int) -> list[HeardFrame]:
    """Return frames that the hub has not settled, oldest first. Raises SpoolError."""
    return _read(
        spool_file.rows(
            "SELECT number, boot, boot_us, time_us, frame FROM frame WHERE settled = 0 AND number > ?"
            " ORDER BY number LIMIT ?",
            (after, limit),
        )
    )


def load(spool_file: SpoolFile, number: int) -> HeardFrame | None:
    """Return one frame that the hub has not settled. Raises SpoolError."""
    query = "SELECT number, boot, boot_us, time_us, frame FROM frame WHERE number = ? AND settled = 0"
    return next(iter(_read(spool_file.rows(query, (number,)))), None)


def _read(rows: Iterable[tuple[int, str, BootUs, StampUs, bytes]]) -> list[HeardFrame]:
    found = []
    for number, boot, boot_us, time_us, data in rows:
        try:
            frame = replace(_decode(data), time_us=time_us)
        except (msgspec.DecodeError, UnicodeDecodeError):  # after a lost bit
            continue
        found.append(HeardFrame(number, boot, boot_us, frame))
    return found


def settle(db: sqlite3.Connection, numbers: Collection[int]) -> None:
    """Note that the hub is done with frames."""
    db.executemany("UPDATE frame SET settled = 1 WHERE number = ?", [(number,) for number in numbers])


def offer_again(db: sqlite3.Connection) -> int:
    """Have everything that is kept wait for the hub once more; return how much of it was settled."""
    return db.execute("UPDATE frame SET settled = 0 WHERE settled = 1").rowcount


def forget_old(db: sqlite3.Connection, now_us: WallUs) -> None:
    """Delete settled frames that are older than a day; never the newest, whose number must not be given out again."""
    db.execute(
        "DELETE FROM frame WHERE settled = 1 AND time_us < ? AND number < (SELECT max(number) FROM frame)",
        (now_us - KEEP_US,),
    )


def make_room(
    db: sqlite3.Connection, spool_file: SpoolFile, max_bytes: int, when_full: WhenFull, new: Collection[int]
) -> int:
    """Keep the file within its bound; return how many frames that were not settled are lost, which is tallied.

    new: numbers of this transaction. The newest of the others stays: its number must not be given out again.
    """
    lost = 0
    newest = min(new, default=1 << 62)
    while spool_file.used_bytes() > max_bytes:
        query = "DELETE FROM frame WHERE number IN (SELECT number FROM frame WHERE {} ORDER BY number LIMIT ?)"
        if db.execute(query.format("settled = 1 AND number < ?"), (newest, EVICT_AT_ONCE)).rowcount:
            continue
        where = "number >= ?" if when_full == "drop-newest" else "number < ?"
        gone = db.execute(query.format(where), (newest, EVICT_AT_ONCE)).rowcount
        if not gone:
            break
        lost += gone
    if lost:
        add_tally(db, LOST, lost)
    return lost


def counts(spool_file: SpoolFile) -> FrameCounts:
    """Return what is kept. Raises SpoolError."""
    ((kept, settled, oldest_us),) = spool_file.rows(
        "SELECT count(*), coalesce(sum(settled = 1), 0), min(CASE WHEN settled <> 1 THEN time_us END) FROM frame"
    )
    return FrameCounts(kept - settled, settled, oldest_us)


def shift(db: sqlite3.Connection, first_us: StampUs, last_us: StampUs, by_us: int) -> None:
    """Move the times within a range."""
    db.execute("UPDATE frame SET time_us = time_us + ? WHERE time_us BETWEEN ? AND ?", (by_us, first_us, last_us))
