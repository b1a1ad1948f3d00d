"""The tables `lane`, `reading`, `refused`: sensors at sinks, queued and refused readings.

A reading is one row, keyed by its lane and its time. Two readings of one sensor at the same
microsecond are told apart by moving the later one 1 ms on: the server has no other key by
which a reading could be found again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence, Set
from itertools import chain
from typing import Final, Literal, TypeGuard

import msgspec

from lora_post.clocks.scale import BOOT_SLOTS, UNKNOWN_FROM_US, is_time
from lora_post.errors import Problem
from lora_post.spool.facts import note_change
from lora_post.spool.model import Batch, Lane, Parked, SensorState, Waiting
from lora_post.spool.spool_file import SpoolFile
from lora_post.times import StampUs, WallUs

WhenFull = Literal["drop-oldest", "drop-newest"]
"""Which readings of the sensor with the most of them are given up when the spool is full."""

Row = tuple[int, StampUs, bytes | bytearray]
"""Lane, time and JSON of a reading. A bytearray takes a third less time: of bytes, sqlite3 looks for an adapter."""

COLLISION_STEP_US: Final = 1000

_LANE: Final = "SELECT id, device, name, unit, quantity, channel FROM lane"
# The lanes with readings, found with one look-up each: empty lanes, which most are, cost nothing.
_QUEUED: Final = (
    "WITH RECURSIVE queued (number) AS (SELECT min(lane) FROM reading UNION ALL"
    " SELECT (SELECT min(lane) FROM reading WHERE lane > number) FROM queued WHERE number IS NOT NULL)"
    " SELECT id, device, name, unit, quantity, channel,"
    " (SELECT min(time_us) FROM reading WHERE lane = id) AS oldest_us"
    " FROM queued CROSS JOIN lane ON id = number WHERE sink = ?"
)
_INSERT: Final = "INSERT INTO reading VALUES (?, ?, ?)"
# One statement for many rows takes two thirds of the time.
_TOGETHER: Final = 64
_INSERTS: Final = ["", *(_INSERT + ", (?, ?, ?)" * more for more in range(_TOGETHER))]
_EVICT: Final[dict[WhenFull, str]] = {
    "drop-oldest": "DELETE FROM reading WHERE lane = ?1 AND time_us <="
    " (SELECT time_us FROM reading WHERE lane = ?1 ORDER BY time_us LIMIT 1 OFFSET ?2)",
    "drop-newest": "DELETE FROM reading WHERE lane = ?1 AND time_us >="
    " (SELECT time_us FROM reading WHERE lane = ?1 ORDER BY time_us DESC LIMIT 1 OFFSET ?2)",
}


# What is there. Raises SpoolError.


def waiting(spool_file: SpoolFile, sink: str) -> list[Waiting]:
    """Return the lanes with readings of known time that are not parked, each with its oldest."""
    rows = spool_file.rows(_QUEUED + " AND parked IS NULL AND oldest_us < ?", (sink, UNKNOWN_FROM_US))
    return [Waiting(Lane(*row[:-1]), row[-1]) for row in rows]


def waiting_of(spool_file: SpoolFile, sink: str, number: int, after_us: WallUs) -> Waiting | None:
    """Return a lane with its oldest reading after a time; None when it has none of known time, or is parked."""
    rows = spool_file.rows(
        "SELECT id, device, name, unit, quantity, channel,"
        " (SELECT min(time_us) FROM reading WHERE lane = id AND time_us > ? AND time_us < ?)"
        " FROM lane WHERE id = ? AND sink = ? AND parked IS NULL",
        (after_us, UNKNOWN_FROM_US, number, sink),
    )
    return Waiting(Lane(*rows[0][:-1]), rows[0][-1]) if rows and rows[0][-1] is not None else None


def numbered(spool_file: SpoolFile, sink: str, number: int) -> Lane | None:
    """Return the lane of a sink with this number, None when there is none."""
    rows = spool_file.rows(_LANE + " WHERE id = ? AND sink = ?", (number, sink))
    return Lane(*rows[0]) if rows else None


def queued(spool_file: SpoolFile, sink: str) -> list[Lane]:
    """Return the lanes with readings, parked ones too."""
    return [Lane(*row[:-1]) for row in spool_file.rows(_QUEUED, (sink,))]


def is_owing(spool_file: SpoolFile, sink: str) -> bool:
    """Tell whether a lane that is not parked has readings, of whatever time."""
    return bool(spool_file.rows(_QUEUED + " AND parked IS NULL LIMIT 1", (sink,)))


def of_device(spool_file: SpoolFile, sink: str, device: str) -> list[Lane]:
    """Return all lanes of a device."""
    rows = spool_file.rows(_LANE + " WHERE sink = ? AND device = ? ORDER BY id", (sink, device))
    return [Lane(*row) for row in rows]


def has_batch_of(spool_file: SpoolFile, number: int, size: int) -> bool:
    """Tell whether a lane has so many readings whose time is known."""
    rows = spool_file.rows(
        "SELECT 1 FROM reading WHERE lane = ? AND time_us < ? LIMIT 1 OFFSET ?", (number, UNKNOWN_FROM_US, size - 1)
    )
    return bool(rows)


def awaits_time(spool_file: SpoolFile, sink: str) -> bool:
    """Tell whether a lane that is not parked has readings whose time is not known."""
    unknown = " AND parked IS NULL AND EXISTS (SELECT 1 FROM reading WHERE lane = id AND time_us >= ?) LIMIT 1"
    return bool(spool_file.rows(_QUEUED + unknown, (sink, UNKNOWN_FROM_US)))


def has_parked_before(spool_file: SpoolFile, sink: str, time_us: WallUs, now_us: WallUs) -> bool:
    """Tell whether a lane has been parked since before a time, or by a clock that was ahead."""
    query = "SELECT 1 FROM lane WHERE sink = ? AND (parked_us < ? OR parked_us > ?) LIMIT 1"
    return bool(spool_file.rows(query, (sink, time_us, now_us)))


def oldest(spool_file: SpoolFile, lane: Lane, after_us: WallUs, limit: int) -> list[tuple[object, object]]:
    """Return (time, value) of the oldest readings after a time; damaged ones may be anything."""
    return spool_file.rows(
        "SELECT time_us, value FROM reading WHERE lane = ? AND time_us > ? AND time_us < ? ORDER BY time_us LIMIT ?",
        (lane.id, after_us, UNKNOWN_FROM_US, limit),
    )


def is_reading(row: tuple[object, object]) -> TypeGuard[tuple[StampUs, bytes]]:
    """Tell whether a row has a time, and a value that is JSON.

    A bit that a card has lost may change them without SQLite seeing it.
    """
    time, value = row
    if not is_time(time) or not isinstance(value, bytes):
        return False
    try:
        msgspec.json.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return True


def count_until(spool_file: SpoolFile, lane: Lane, time_us: WallUs) -> int:
    """Return how many readings a lane has up to a time."""
    rows = spool_file.rows("SELECT count(*) FROM reading WHERE lane = ? AND time_us <= ?", (lane.id, time_us))
    return int(rows[0][0])


def counts(spool_file: SpoolFile, sink: str) -> tuple[int, int, int]:
    """Return how many readings of a sink are to be sent, are of parked lanes, and are refused."""
    ((queued, parked),) = spool_file.rows(
        "SELECT count(*) FILTER (WHERE parked IS NULL), count(*) FILTER (WHERE parked IS NOT NULL)"
        " FROM reading JOIN lane ON lane.id = lane WHERE sink = ?",
        (sink,),
    )
    ((refused,),) = spool_file.rows("SELECT count(*) FROM refused JOIN lane ON lane.id = lane WHERE sink = ?", (sink,))
    return queued, parked, refused


def sensor_states(spool_file: SpoolFile) -> list[SensorState]:
    """Return every sensor that something was ever queued for, by device and name."""
    rows = spool_file.rows(
        "SELECT device, name, parked IS NOT NULL, (SELECT count(*) FROM reading WHERE lane = lane.id),"
        " (SELECT count(*) FROM refused WHERE lane = lane.id),"
        " (SELECT min(time_us) FROM (SELECT min(time_us) AS time_us FROM reading WHERE lane = lane.id"
        " UNION ALL SELECT min(time_us) FROM refused WHERE lane = lane.id))"
        ", sink FROM lane ORDER BY device, name, sink"
    )
    return [
        SensorState(device, name, bool(is_parked), waiting, refused, oldest, sink)
        for device, name, is_parked, waiting, refused, oldest, sink in rows
    ]


def parked(spool_file: SpoolFile) -> list[Parked]:
    """Return what needs a person: parked lanes and refused readings, by device and sensor."""
    rows = spool_file.rows(
        "SELECT device, name, parked, parked_fix,"
        " (SELECT count(*) FROM reading WHERE lane = lane.id), parked_us, sink, NULL FROM lane WHERE parked IS NOT NULL"
        " UNION ALL SELECT device, name, reason, '', count(*), min(time_us), sink, value"
        " FROM refused JOIN lane ON lane.id = refused.lane GROUP BY lane.id, reason ORDER BY 1, 2, 7"
    )
    return [Parked(device, name, Problem(what, fix), *rest) for device, name, what, fix, *rest in rows]


# What changes it, inside the caller's transaction.


def find(db: sqlite3.Connection, sink: str, device: str, name: str) -> Lane | None:
    """Return a lane, None when it does not exist."""
    found = db.execute(_LANE + " WHERE sink = ? AND device = ? AND name = ?", (sink, device, name)).fetchone()
    return Lane(*found) if found else None


def relabel(db: sqlite3.Connection, lane: Lane) -> None:
    """Give a lane another unit and quantity; its queued values stay as they are."""
    db.execute("UPDATE lane SET unit = ?, quantity = ? WHERE id = ?", (lane.unit, lane.quantity, lane.id))
    note_change(db, "lanes")


def count_of(db: sqlite3.Connection, sink: str, device: str) -> int:
    """Return how many lanes a device has."""
    return int(db.execute("SELECT count(*) FROM lane WHERE sink = ? AND device = ?", (sink, device)).fetchone()[0])


def add(
    db: sqlite3.Connection, sink: str, lane: Lane, why: Problem | None = None, parked_us: WallUs | None = None
) -> int:
    """Make a lane like this one, parked if why is given; returns its number."""
    parked, fix = (why.what, why.fix) if why is not None else (None, "")
    (number,) = db.execute(
        "INSERT INTO lane (sink, device, name, unit, quantity, channel, parked, parked_fix, parked_us)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
        (sink, lane.device, lane.name, lane.unit, lane.quantity, lane.channel, parked, fix, parked_us),
    ).fetchone()
    return int(number)


def put(db: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Queue rows, moving those apart that would share a time."""
    cells = list(chain.from_iterable(rows))
    for at in range(0, len(rows), _TOGETHER):
        part = cells[3 * at : 3 * (at + _TOGETHER)]
        try:
            db.execute(_INSERTS[len(part) // 3], part)
        except sqlite3.IntegrityError:  # nothing of this part is there
            for row in rows[at : at + _TOGETHER]:
                _put_apart(db, *row)


def _put_apart(db: sqlite3.Connection, lane: int, time_us: StampUs, value: bytes | bytearray) -> None:
    steps = 0
    if _is_taken(db, lane, time_us):
        steps = _first_free(lambda steps: _is_taken(db, lane, time_us + steps * COLLISION_STEP_US))
    db.execute(_INSERT, (lane, time_us + steps * COLLISION_STEP_US, value))


def _is_taken(db: sqlite3.Connection, lane: int, time_us: StampUs) -> bool:
    return db.execute("SELECT 1 FROM reading WHERE lane = ? AND time_us = ?", (lane, time_us)).fetchone() is not None


def _first_free(is_taken: Callable[[int], bool]) -> int:
    """Return a free place right behind a taken one, where the first, 0, is taken.

    A clock that stands still gives thousands of readings one time: they are not gone through one by one.
    """
    taken, free = 0, 1
    while is_taken(free):
        taken, free = free, 2 * free
    while free - taken > 1:
        middle = (taken + free) // 2
        taken, free = (middle, free) if is_taken(middle) else (taken, middle)
    return free


def take(db: sqlite3.Connection, readings: Iterable[tuple[int, object]]) -> None:
    """Delete readings by (lane, time), as far as they are there."""
    db.executemany("DELETE FROM reading WHERE lane = ? AND time_us = ?", readings)


def lengths(db: sqlite3.Connection) -> dict[int, int]:
    """Return how many readings each lane has; empty lanes are left out."""
    return dict(db.execute("SELECT lane, count(*) FROM reading GROUP BY lane"))


def evict(db: sqlite3.Connection, lane: int, count: int, which: WhenFull) -> int:
    """Delete the oldest or the newest readings of a lane; returns how many."""
    return db.execute(_EVICT[which], (lane, count - 1)).rowcount


def park(db: sqlite3.Connection, lane: Lane, why: Problem, now_us: WallUs) -> None:
    """Send nothing of a lane until it is released."""
    row = (why.what, why.fix, now_us, lane.id)
    db.execute("UPDATE lane SET parked = ?, parked_fix = ?, parked_us = ? WHERE id = ?", row)


def refuse(db: sqlite3.Connection, batch: Batch, reason: str) -> None:
    """Set the readings of a batch aside, so that those behind them go on."""
    lane = batch.lane.id
    rows = [(lane, time, value, reason) for time, value in zip(batch.times_us, batch.values, strict=True)]
    db.executemany("INSERT OR REPLACE INTO refused VALUES (?, ?, ?, ?)", rows)
    take(db, [(lane, time) for time in batch.times_us])


def add_refused(db: sqlite3.Connection, lane: int, time_us: StampUs, value: bytes, reason: str) -> int:
    """Add a refused reading of another file; returns 0 when it is here already, else 1."""
    row = (lane, time_us, value, reason)
    return db.execute("INSERT OR IGNORE INTO refused VALUES (?, ?, ?, ?)", row).rowcount


def has(db: sqlite3.Connection, lane: int, time_us: StampUs, value: bytes) -> bool:
    """Tell whether a reading is here, queued or refused."""
    found = db.execute(
        "SELECT 1 FROM reading WHERE lane = ?1 AND time_us = ?2 AND value = ?3"
        " UNION ALL SELECT 1 FROM refused WHERE lane = ?1 AND time_us = ?2 AND value = ?3",
        (lane, time_us, value),
    )
    return found.fetchone() is not None


def matching(db: sqlite3.Connection, device: str | None, name: str | None) -> list[int]:
    """Return the numbers of the lanes of a device and sensor at all sinks. None: of any."""
    rows = db.execute(
        "SELECT id FROM lane WHERE (?1 IS NULL OR device = ?1) AND (?2 IS NULL OR name = ?2)", (device, name)
    )
    return [lane for (lane,) in rows.fetchall()]


def release(db: sqlite3.Connection, lane: int) -> int:
    """Let a parked lane and its refused readings go out again; returns how many readings."""
    (held,) = db.execute(
        "SELECT count(*) FROM reading JOIN lane ON lane.id = lane WHERE lane = ? AND parked IS NOT NULL", (lane,)
    ).fetchone()
    rows = db.execute("SELECT lane, time_us, value FROM refused WHERE lane = ?", (lane,)).fetchall()
    put(db, rows)
    db.execute("DELETE FROM refused WHERE lane = ?", (lane,))
    db.execute("UPDATE lane SET parked = NULL, parked_fix = '', parked_us = NULL WHERE id = ?", (lane,))
    return len(rows) + int(held)


def release_parked_before(db: sqlite3.Connection, sink: str, time_us: WallUs, now_us: WallUs) -> int:
    """Release the lanes of a sink that were parked before a time, or by a clock that was ahead; returns how many."""
    return db.execute(
        "UPDATE lane SET parked = NULL, parked_fix = '', parked_us = NULL"
        " WHERE sink = ? AND (parked_us < ? OR parked_us > ?)",
        (sink, time_us, now_us),
    ).rowcount


def drop_held(db: sqlite3.Connection, lane: int) -> int:
    """Delete parked and refused readings of a lane, which stays parked; returns how many."""
    dropped = db.execute("DELETE FROM refused WHERE lane = ?", (lane,)).rowcount
    dropped += db.execute(
        "DELETE FROM reading WHERE lane = ? AND EXISTS (SELECT 1 FROM lane WHERE id = ? AND parked IS NOT NULL)",
        (lane, lane),
    ).rowcount
    return dropped


def drop_sink(db: sqlite3.Connection, sink: str) -> int:
    """Delete all lanes of a sink, and their readings; returns the number of readings."""
    dropped = db.execute("DELETE FROM reading WHERE lane IN (SELECT id FROM lane WHERE sink = ?)", (sink,)).rowcount
    dropped += db.execute("DELETE FROM refused WHERE lane IN (SELECT id FROM lane WHERE sink = ?)", (sink,)).rowcount
    db.execute("DELETE FROM lane WHERE sink = ?", (sink,))
    note_change(db, "lanes")
    return dropped


def forget_devices(db: sqlite3.Connection, keep: Set[str]) -> int:
    """Delete the lanes of all other devices as far as nothing is held of them; returns how many.

    The lane with the highest number stays, so that no number is given out again.
    """
    if all(device in keep for (device,) in db.execute("SELECT DISTINCT device FROM lane")):
        return 0
    rows = db.execute(
        "SELECT id, device FROM lane WHERE parked IS NULL AND id < (SELECT max(id) FROM lane)"
        " AND NOT EXISTS (SELECT 1 FROM reading WHERE lane = id) AND NOT EXISTS (SELECT 1 FROM refused WHERE lane = id)"
    )
    empty = [(number,) for number, device in rows if device not in keep]
    db.executemany("DELETE FROM lane WHERE id = ?", empty)
    if empty:
        note_change(db, "lanes")
    return len(empty)


def move(db: sqlite3.Connection, lane: int, new_device: str) -> int:
    """Queue everything that is held of a lane for another device; returns how many readings."""
    db.execute(
        "INSERT OR IGNORE INTO lane (sink, device, name, unit, quantity, channel)"
        " SELECT sink, ?, name, unit, quantity, channel FROM lane WHERE id = ?",
        (new_device, lane),
    )
    (target,) = db.execute(
        "SELECT new.id FROM lane AS new JOIN lane AS old USING (sink, name) WHERE old.id = ? AND new.device = ?",
        (lane, new_device),
    ).fetchone()
    release(db, lane)
    rows = db.execute("SELECT ?, time_us, value FROM reading WHERE lane = ?", (target, lane)).fetchall()
    db.execute("DELETE FROM reading WHERE lane = ?", (lane,))
    put(db, rows)
    return len(rows)


def unknown_slots(db: sqlite3.Connection) -> list[int]:
    """Return the slots of all boots that have readings with unknown times."""
    rows = db.execute(
        "SELECT DISTINCT (time_us >> 48) & ? FROM lane JOIN reading ON reading.lane = lane.id AND time_us >= ?",
        (BOOT_SLOTS - 1, UNKNOWN_FROM_US),
    )
    return [slot for (slot,) in rows.fetchall()]


def shift(db: sqlite3.Connection, first_us: StampUs, last_us: StampUs, by_us: int) -> int:
    """Move the times of readings within a range; returns how many."""
    moved = 0
    for (lane,) in db.execute("SELECT id FROM lane").fetchall():
        place = (lane, first_us, last_us)
        rows = db.execute(
            "SELECT lane, time_us + ?, value FROM reading WHERE lane = ? AND time_us BETWEEN ? AND ?", (by_us, *place)
        ).fetchall()
        put(db, rows)
        db.execute("DELETE FROM reading WHERE lane = ? AND time_us BETWEEN ? AND ?", place)
        moved += len(rows)
    return moved
