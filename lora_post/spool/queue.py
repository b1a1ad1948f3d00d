"""The queue in the store: `put`, `claim`, `settle`, and what is set aside.

A reading is one row, keyed by its lane and its time. Two readings of one sensor at the same
microsecond are told apart by moving the later one 1 ms on: the server has no other key by
which a reading could be found again.

When the spool is full, the sensor with the most queued readings gives up its oldest ones, or its newest.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Mapping, Sequence, Set

import msgspec
from msgspec import Struct

from lora_post.clocks.scale import UNKNOWN_FROM_US
from lora_post.config.tables import WhenFull
from lora_post.errors import SpoolError
from lora_post.model import Batch, Lane, Reading, Report, Waiting
from lora_post.spool.facts import Facts
from lora_post.spool.row_check import is_reading
from lora_post.spool.spool_file import SpoolFile, add_tally

COLLISION_STEP_US = 1000
KEEP_UNDECODED = 10_000  # at 51 bytes a payload about 1 MB
EVICT_SHARE = 200  # when full, at least one in so many readings goes
EVICTED = "evicted"
DAMAGED = "damaged"
TOO_MANY_SENSORS = "too-many-sensors"
RUNNING = "running"  # a fact about a sink whose readings may be under way, see Queue.mark_running
# A device without MIC can be imitated; invented sensor names must not fill the spool and the server.
MAX_SENSORS = 256

log = logging.getLogger(__name__)

_encode = msgspec.json.Encoder().encode
_FIRST_US = -(1 << 63)
_INSERT = "INSERT INTO reading VALUES (?, ?, ?)"
_EVICT: dict[WhenFull, str] = {
    "drop-oldest": "DELETE FROM reading WHERE lane = ?1 AND time_us <="
    " (SELECT time_us FROM reading WHERE lane = ?1 ORDER BY time_us LIMIT 1 OFFSET ?2)",
    "drop-newest": "DELETE FROM reading WHERE lane = ?1 AND time_us >="
    " (SELECT time_us FROM reading WHERE lane = ?1 ORDER BY time_us DESC LIMIT 1 OFFSET ?2)",
}


class QueueWriter:
    """Puts readings into the queue of each sink, inside the caller's transaction."""

    def __init__(
        self, store: SpoolFile, sinks: Sequence[str], max_bytes: int, when_full: WhenFull = "drop-oldest"
    ) -> None:
        self._store = store
        self._sinks = tuple(sinks)
        self._max_bytes = max_bytes
        self._evict = _EVICT[when_full]
        self._lanes: dict[tuple[str, str, str], int] = {}
        self._crowded: set[str] = set()

    def put(self, db: sqlite3.Connection, reports: Iterable[Report]) -> int:
        """Queue every reading of the reports; returns how many rows were added."""
        rows: list[tuple[int, int, bytes]] = []
        for report in reports:
            uplink = report.uplink
            if report.problem is not None:
                self._put_undecoded(db, report)
            for reading in report.readings:
                time_us = uplink.frame.time_us - int(reading.age_s * 1e6)
                value = _encode(reading.value)
                for sink in self._sinks:
                    lane = self._lane(db, sink, uplink.device.id, reading)
                    if lane is not None:
                        rows.append((lane, time_us, value))
        insert_rows(db, rows)
        return len(rows)

    def _lane(self, db: sqlite3.Connection, sink: str, device: str, reading: Reading) -> int | None:
        """The lane of a reading; None for one name too many, which is counted."""
        key = (sink, device, reading.name)
        lane = self._lanes.get(key)
        if lane is None:
            lane = _find_lane(db, key) or self._add_lane(db, key, reading)
            if lane is not None:
                self._lanes[key] = lane
        return lane

    def _add_lane(self, db: sqlite3.Connection, key: tuple[str, str, str], reading: Reading) -> int | None:
        sink, device, _ = key
        (sensors,) = db.execute("SELECT count(*) FROM lane WHERE sink = ? AND device = ?", (sink, device)).fetchone()
        if sensors >= MAX_SENSORS:
            if device not in self._crowded:
                self._crowded.add(device)
                log.error("device=%s has %d sensors, readings of further names are dropped", device, sensors)
            add_tally(db, TOO_MANY_SENSORS, 1)
            return None
        # The unit of a sensor is the one it was first seen with, as on the server.
        db.execute(
            "INSERT INTO lane (sink, device, name, unit, quantity, channel) VALUES (?, ?, ?, ?, ?, ?)",
            (*key, reading.unit, reading.quantity, reading.channel),
        )
        return _find_lane(db, key)

    def _put_undecoded(self, db: sqlite3.Connection, report: Report) -> None:
        uplink = report.uplink
        row = db.execute(
            "INSERT INTO undecoded (device, decoder, time_us, fcnt, fport, payload, problem)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id",
            (
                uplink.device.id,
                uplink.device.decoder_for(uplink.fport),
                uplink.frame.time_us,
                uplink.fcnt,
                uplink.fport,
                uplink.payload,
                report.problem,
            ),
        ).fetchone()
        db.execute("DELETE FROM undecoded WHERE id <= ?", (row[0] - KEEP_UNDECODED,))

    def forget_lanes(self) -> None:
        """After a rollback lanes made in that transaction are not there, after another process's commit others may."""
        self._lanes.clear()

    def make_room(self, db: sqlite3.Connection) -> int:
        """Keep the file within its bound; returns how many readings were given up for it."""
        evicted = 0
        while (used := self._store.used_bytes()) > self._max_bytes:
            lengths = dict(db.execute("SELECT lane, count(*) FROM reading GROUP BY lane"))
            total = sum(lengths.values())
            if not total:
                break
            # Counting takes a look at everything, so it has to be worth it.
            surplus = max(1, total // EVICT_SHARE, int(total * (1 - self._max_bytes / used)))
            level = _cut_level(lengths.values(), surplus)
            for lane, length in lengths.items():
                if length > level:
                    evicted += db.execute(self._evict, (lane, length - level - 1)).rowcount
        if evicted:
            add_tally(db, EVICTED, evicted)
        return evicted


def _cut_level(lengths: Iterable[int], surplus: int) -> int:
    """The length to which the longest must be cut for `surplus` to go altogether; 0 when that is everything."""
    ordered = sorted(lengths, reverse=True)
    for count, (length, shorter) in enumerate(zip(ordered, [*ordered[1:], 0], strict=True), start=1):
        if (length - shorter) * count >= surplus:
            return length - -(-surplus // count)
        surplus -= (length - shorter) * count
    return 0


def _find_lane(db: sqlite3.Connection, key: tuple[str, str, str]) -> int | None:
    found = db.execute("SELECT id FROM lane WHERE sink = ? AND device = ? AND name = ?", key).fetchone()
    return int(found[0]) if found else None


def insert_rows(db: sqlite3.Connection, rows: Sequence[tuple[int, int, bytes]]) -> None:
    """Queue (lane, time, value) rows, moving those apart that would share a time."""
    db.execute("SAVEPOINT rows")
    try:
        db.executemany(_INSERT, rows)
    except sqlite3.IntegrityError:
        db.execute("ROLLBACK TO rows")
        for row in rows:
            _insert_apart(db, *row)
    db.execute("RELEASE rows")


def _insert_apart(db: sqlite3.Connection, lane: int, time_us: int, value: bytes) -> None:
    while True:
        try:
            db.execute(_INSERT, (lane, time_us, value))
            return
        except sqlite3.IntegrityError:
            time_us += COLLISION_STEP_US


class Counts(Struct, frozen=True):
    """What the spool holds: readings to send, of parked sensors, refused one by one; undecoded payloads."""

    queued: int
    parked: int
    refused: int
    undecoded: int

    @property
    def undelivered(self) -> int:
        """Readings that have not reached their sink."""
        return self.queued + self.parked + self.refused


class Queue:
    """Takes readings out of the queue of one sink."""

    def __init__(self, store: SpoolFile, sink: str) -> None:
        self._store = store
        self._inode = store.inode
        self._facts = Facts(store, sink)
        self.sink = sink

    def go_on(self) -> bool:
        """Whether another file has taken the place of the spool: lane numbers known so far mean other sensors then.

        Until this has been asked, nothing is claimed, settled or set aside by such a number.
        """
        self._store.rows("SELECT 1")
        before, self._inode = self._inode, self._store.inode
        return before != self._inode

    def _require_same_file(self) -> None:
        if self._store.inode != self._inode:
            raise SpoolError(f"{self.sink}: the spool is another file than before")

    def ready_lanes(self) -> list[Lane]:
        """Lanes that have readings whose time is known, and are not parked."""
        rows = self._store.rows(
            "SELECT id, device, name, unit, quantity, channel FROM lane WHERE sink = ? AND parked IS NULL"
            " AND EXISTS (SELECT 1 FROM reading WHERE lane = lane.id AND time_us < ?) ORDER BY id",
            (self.sink, UNKNOWN_FROM_US),
        )
        return [Lane(*row) for row in rows]

    def queued_lanes(self) -> list[Lane]:
        """Lanes that have readings, parked ones too."""
        rows = self._store.rows(
            "SELECT id, device, name, unit, quantity, channel FROM lane WHERE sink = ?"
            " AND EXISTS (SELECT 1 FROM reading WHERE lane = lane.id) ORDER BY id",
            (self.sink,),
        )
        return [Lane(*row) for row in rows]

    def waiting(self) -> list[Waiting]:
        """The ready ones, each with the time of its oldest reading."""
        rows = self._store.rows(
            "SELECT id, device, name, unit, quantity, channel, oldest_us FROM (SELECT *,"
            " (SELECT min(time_us) FROM reading WHERE lane = lane.id) AS oldest_us"
            " FROM lane WHERE sink = ? AND parked IS NULL) WHERE oldest_us < ? ORDER BY id",
            (self.sink, UNKNOWN_FROM_US),
        )
        return [Waiting(Lane(*row[:-1]), row[-1]) for row in rows]

    def has_batch_of(self, size: int) -> bool:
        """Whether a lane that is not parked has so many readings whose time is known."""
        rows = self._store.rows(
            "SELECT 1 FROM lane WHERE sink = ? AND parked IS NULL"
            " AND EXISTS (SELECT 1 FROM reading WHERE lane = lane.id AND time_us < ? LIMIT 1 OFFSET ?) LIMIT 1",
            (self.sink, UNKNOWN_FROM_US, size - 1),
        )
        return bool(rows)

    def awaits_time(self) -> bool:
        """Whether there are readings that can only go out once their time is known."""
        query = (
            "SELECT 1 FROM lane WHERE sink = ? AND parked IS NULL"
            " AND EXISTS (SELECT 1 FROM reading WHERE lane = lane.id AND time_us >= ?) LIMIT 1"
        )
        return bool(self._store.rows(query, (self.sink, UNKNOWN_FROM_US)))

    def lanes_of(self, device: str) -> list[Lane]:
        """All lanes of a device, for provisioning it in one request."""
        rows = self._store.rows(
            "SELECT id, device, name, unit, quantity, channel FROM lane WHERE sink = ? AND device = ? ORDER BY id",
            (self.sink, device),
        )
        return [Lane(*row) for row in rows]

    def claim(self, lane: Lane, limit: int, but: Set[int] = frozenset()) -> Batch | None:
        """The oldest readings of a lane, `but` some times; they stay in the queue until they are settled."""
        after = max(but, default=_FIRST_US)
        if but and self._count_until(lane, after) == len(but):
            but = frozenset()  # as long as nothing has come in among them
        else:
            after = _FIRST_US
        rows = self._store.rows(
            "SELECT time_us, value FROM reading WHERE lane = ? AND time_us > ? AND time_us < ?"
            " ORDER BY time_us LIMIT ?",
            (lane.id, after, UNKNOWN_FROM_US, limit + len(but)),
        )
        self._require_same_file()
        if but:
            rows = [row for row in rows if row[0] not in but][:limit]
        readings = [row for row in rows if is_reading(row)]
        if len(readings) < len(rows):
            self._drop_damaged(lane, [row for row in rows if not is_reading(row)])
        if not readings:
            return None
        times, values = zip(*readings, strict=True)
        return Batch(lane, times, values)

    def _drop_damaged(self, lane: Lane, rows: Sequence[tuple[object, object]]) -> None:
        """What is no reading any more leaves the queue, or it would keep those behind it."""
        with self._store.transaction() as db:
            self._require_same_file()
            for time, value in rows:
                db.execute("DELETE FROM reading WHERE lane = ? AND time_us = ?", (lane.id, time))
                log.error(
                    "%s: a reading in the spool is damaged and is dropped: device=%s sensor=%s time_us=%r value=%.80r",
                    *(self.sink, lane.device, lane.name, time, value),
                )
            add_tally(db, DAMAGED, len(rows))

    def _count_until(self, lane: Lane, time_us: int) -> int:
        rows = self._store.rows("SELECT count(*) FROM reading WHERE lane = ? AND time_us <= ?", (lane.id, time_us))
        return int(rows[0][0])

    def settle(self, times_us: Mapping[int, Iterable[int]]) -> None:
        """Take delivered readings out of the queue, together. times_us: by the numbers of their lanes."""
        # One by one: meanwhile others may have come in among them, and a full spool may have given some up.
        readings = [(lane, time) for lane, times in times_us.items() for time in times]
        with self._store.transaction() as db:
            self._require_same_file()
            db.executemany("DELETE FROM reading WHERE lane = ? AND time_us = ?", readings)

    def park(self, lane: Lane, reason: str, now_us: int) -> None:
        """Send nothing of this lane until `release`."""
        with self._store.transaction() as db:
            self._require_same_file()
            db.execute("UPDATE lane SET parked = ?, parked_us = ? WHERE id = ?", (reason, now_us, lane.id))

    def release_parked_before(self, time_us: int) -> int:
        """Let sensors go that have been parked for long: the reason may have gone. Returns how many."""
        if not self._store.rows("SELECT 1 FROM lane WHERE sink = ? AND parked_us < ?", (self.sink, time_us)):
            return 0
        with self._store.transaction() as db:
            return db.execute(
                "UPDATE lane SET parked = NULL, parked_us = NULL WHERE sink = ? AND parked_us < ?",
                (self.sink, time_us),
            ).rowcount

    def refuse(self, batch: Batch, reason: str) -> None:
        """Set the readings of a batch aside, so that those behind them go on."""
        with self._store.transaction() as db:
            self._require_same_file()
            for time, value in zip(batch.times_us, batch.values, strict=True):
                db.execute("INSERT OR REPLACE INTO refused VALUES (?, ?, ?, ?)", (batch.lane.id, time, value, reason))
                db.execute("DELETE FROM reading WHERE lane = ? AND time_us = ?", (batch.lane.id, time))

    def reserve(self) -> bool:
        """Become the only one who empties this queue; False while another process does."""
        return self._store.reserve(self.sink)

    def mark_running(self) -> bool:
        """Remember that readings may be under way; returns whether the last process left it so."""
        was_running = RUNNING in self._facts.recall()
        self._facts.remember(RUNNING, "yes")
        return was_running

    def mark_stopped(self) -> None:
        """Nothing is under way any more."""
        self._facts.forget(RUNNING)

    def oldest_us(self) -> int:
        """The time of the oldest reading that is to be sent, 0 when there is none whose time is known."""
        ((oldest,),) = self._store.rows(
            "SELECT min((SELECT min(time_us) FROM reading WHERE lane = lane.id)) FROM lane"
            " WHERE sink = ? AND parked IS NULL",
            (self.sink,),
        )
        return oldest if oldest is not None and oldest < UNKNOWN_FROM_US else 0

    def counts(self) -> Counts:
        """What this sink still has to get."""
        rows = self._store.rows
        ((queued,),) = rows(
            "SELECT count(*) FROM reading JOIN lane ON lane.id = lane WHERE sink = ? AND parked IS NULL", (self.sink,)
        )
        ((parked,),) = rows(
            "SELECT count(*) FROM reading JOIN lane ON lane.id = lane WHERE sink = ? AND parked IS NOT NULL",
            (self.sink,),
        )
        ((refused,),) = rows("SELECT count(*) FROM refused JOIN lane ON lane.id = lane WHERE sink = ?", (self.sink,))
        ((undecoded,),) = rows("SELECT count(*) FROM undecoded")
        return Counts(queued, parked, refused, undecoded)
