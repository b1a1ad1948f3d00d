"""The table `trend`: what devices sent, as means of a quarter of an hour and of two hours, for plots.

Quarters of an hour become two hours once they are a day old. Rows are bounded by their age and by their number.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain, groupby
from math import isfinite
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from lora_post.clocks.scale import UNKNOWN_FROM_US
from lora_post.spool.spool_file import SpoolFile
from lora_post.times import StampUs, WallUs
from lora_post.waziup.names import to_id

SHORT_S: Final = 900
LONG_S: Final = 7200
KEEP_S: Final = {SHORT_S: 27 * 3600, LONG_S: 31 * 86_400}
"""For how long the rows of each length are kept: 108 and 372 of a device."""
MAX_SENSORS: Final = 24
"""Of a device; of the others nothing is plotted."""
MAX_ROWS: Final = 100_000
"""All devices together, about 20 MB; the oldest go."""
MAX_FRAMES: Final = 1 << 40
"""Of a row; one with more has lost a bit, and SQLite cannot add up such numbers."""
ROLLED_AT_ONCE: Final = 32
"""So many devices get their mean of two hours with one commit."""
_US: Final = 1_000_000
_PER_LONG: Final = LONG_S // SHORT_S

Means = dict[str, float]
_Frames = Annotated[int, Meta(ge=0, le=MAX_FRAMES)]
_decode_means: Final = msgspec.json.Decoder(Means).decode
_encode: Final = msgspec.json.Encoder().encode


class Row(Struct, frozen=True, array_like=True):
    """A length of time of one device.

    time_us: when it began. heard, missed: frames. rssi_dbm, snr_db: means, None where the input does not say.
    means: of each sensor with numbers.
    """

    time_us: WallUs
    heard: _Frames
    missed: _Frames
    rssi_dbm: float | None
    snr_db: float | None
    means: Means


@dataclass(slots=True)
class Mean:
    """Numbers that are being added up."""

    total: float = 0.0
    count: int = 0

    def add(self, value: float, count: int = 1) -> None:
        """Add a value, or what is the mean of so many."""
        self.total += value * count
        self.count += count

    @property
    def value(self) -> float:
        """The mean, of at least one number, in six digits."""
        return float(f"{self.total / self.count:.6g}")


@dataclass(slots=True)
class Span:
    """A length of time that is being added up. rssi, snr: None while nothing was said of them."""

    heard: int = 0
    missed: int = 0
    rssi: Mean | None = None
    snr: Mean | None = None
    sensors: dict[str, Mean] = field(default_factory=dict)

    def hear(self, rssi_dbm: float | None, snr_db: float | None, count: int = 1) -> None:
        """Add how so many frames were heard."""
        if rssi_dbm is not None:
            if self.rssi is None:
                self.rssi = Mean()
            self.rssi.add(rssi_dbm, count)
        if snr_db is not None:
            if self.snr is None:
                self.snr = Mean()
            self.snr.add(snr_db, count)

    def measure(self, name: str, value: float) -> None:
        """Add a value of a sensor; not of one too many."""
        mean = self.sensors.get(name)
        if mean is not None:
            mean.total += value
            mean.count += 1
        elif len(self.sensors) < MAX_SENSORS:
            self.sensors[name] = Mean(value, 1)

    def add(self, row: Row) -> None:
        """Add a shorter length of time, or what is known of the same one already."""
        self.heard += row.heard
        self.missed += row.missed
        self.hear(row.rssi_dbm, row.snr_db, max(1, row.heard))
        for name, value in row.means.items():
            self.measure(name, value)

    def row(self, time_us: WallUs) -> Row:
        """Return its means, those of sensors by their ids."""
        return Row(
            time_us,
            self.heard,
            self.missed,
            self.rssi.value if self.rssi else None,
            self.snr.value if self.snr else None,
            {to_id(name): mean.value for name, mean in self.sensors.items() if isfinite(mean.total)},
        )


def _sum(rows: Iterable[Row]) -> Span:
    span = Span()
    for row in rows:
        span.add(row)
    return span


# What is there. Raises SpoolError.

# Slot by slot: of a range of them, SQLite would read the rows of all devices.
_OF_DEVICE: Final = (
    "WITH RECURSIVE place (number) AS (SELECT min(slot) FROM trend WHERE span_s = ?1 AND slot >= ?2 UNION ALL"
    " SELECT (SELECT min(slot) FROM trend WHERE span_s = ?1 AND slot > number) FROM place WHERE number < ?3)"
    " SELECT slot, heard, missed, rssi_dbm, snr_db, means FROM place"
    " CROSS JOIN trend ON span_s = ?1 AND slot = number AND device = ?4 WHERE number < ?3"
)


def load(spool_file: SpoolFile, device: str, span_s: int, from_us: WallUs) -> list[Row]:
    """Return the rows of a device since a time, oldest first. span_s: SHORT_S or LONG_S. Raises SpoolError."""
    rows = _of_device(spool_file, device, span_s, from_us)
    if span_s == SHORT_S:
        return rows
    found = {row.time_us: row for row in rows}
    long_us = LONG_S * _US
    shorts = _of_device(spool_file, device, SHORT_S, WallUs(from_us // long_us * long_us))
    for slot, part in groupby(shorts, lambda row: row.time_us // long_us):
        row = _sum(part).row(WallUs(slot * long_us))
        if row.time_us not in found or row.heard > found[row.time_us].heard:
            found[row.time_us] = row
    return [found[time_us] for time_us in sorted(found)]


def _of_device(spool_file: SpoolFile, device: str, span_s: int, from_us: WallUs) -> list[Row]:
    span_us = span_s * _US
    end = UNKNOWN_FROM_US // span_us
    rows = spool_file.rows(_OF_DEVICE, (span_s, from_us // span_us, end, device))
    return [row for each in rows if (row := _row(span_s, each)) is not None]


def _row(span_s: int, row: Sequence[Any]) -> Row | None:
    """Return what a row of _FIELDS says, None where a bit was lost."""
    slot, *rest, means = row
    try:
        return msgspec.convert((slot * span_s * _US, *rest, _decode_means(means)), Row)
    except (msgspec.MsgspecError, TypeError, ValueError):
        return None


# What changes it, inside the caller's transaction.

_LAST_TEXT: Final = "\U0010ffff" * 4
_LAST_AT_ONCE: Final = (  # of each slot, so many devices are read at once
    "WITH part (number) AS (VALUES (?1), (?2), (?3), (?4), (?5), (?6), (?7), (?8))"
    " SELECT min((SELECT CAST(device AS TEXT) FROM trend WHERE span_s = 900 AND slot = number"
    " ORDER BY device LIMIT 1 OFFSET ?9)) FROM part"
)
_PART: Final = "FROM trend WHERE span_s = 900 AND slot IN (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) AND device <= ?9"
_ROLL_UP: Final = (
    "SELECT CAST(device AS TEXT), sum(heard), sum(missed),"
    " sum(rssi_dbm * max(1, heard)) / sum(max(1, heard)) FILTER (WHERE rssi_dbm IS NOT NULL),"
    " sum(snr_db * max(1, heard)) / sum(max(1, heard)) FILTER (WHERE snr_db IS NOT NULL),"
    f" group_concat(CAST(means AS TEXT), char(10)) {_PART}"
    f" AND heard BETWEEN 0 AND {MAX_FRAMES} AND missed BETWEEN 0 AND {MAX_FRAMES}"
    " AND typeof(heard) = 'integer' AND typeof(missed) = 'integer' AND typeof(means) = 'blob'"
    " AND typeof(rssi_dbm) IN ('real', 'null') AND typeof(snr_db) IN ('real', 'null') GROUP BY device"
)
_ROLLED_UP: Final = f"DELETE {_PART}"

_INSERT: Final = "INSERT INTO trend VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_FURTHER: Final = ", (?, ?, ?, ?, ?, ?, ?, ?)"
_SHORTS: Final = (
    "SELECT CAST(device AS TEXT), slot, heard, missed, rssi_dbm, snr_db, means FROM trend WHERE span_s = ? AND slot = ?"
)


def put(db: sqlite3.Connection, spans: Sequence[tuple[int, str, Span]]) -> int:
    """Write quarters of an hour by (slot, device), each at most once; returns how many rows there are more.

    Those that are there already, since they were cut by a restart or are late, go on.
    """
    rows = [_written(SHORT_S, *each) for each in spans]
    try:
        db.execute(_INSERT + _FURTHER * (len(rows) - 1), tuple(chain.from_iterable(rows)))
    except sqlite3.IntegrityError:  # none of them is there
        return sum(_merge(db, *each) for each in spans)
    return len(rows)


def _merge(db: sqlite3.Connection, slot: int, device: str, span: Span) -> int:
    place = (SHORT_S, slot, device)
    before = db.execute(_SHORTS + " AND device = ?", place).fetchall()
    rows = [row for each in before if (row := _row(SHORT_S, each[1:])) is not None]
    values = _written(SHORT_S, slot, device, _sum([*rows, span.row(WallUs(0))]) if rows else span)
    db.execute("DELETE FROM trend WHERE span_s = ? AND slot = ? AND device = ?", place)
    db.execute(_INSERT, values)
    return 1 - len(before)


def _written(span_s: int, slot: int, device: str, span: Span) -> tuple[object, ...]:
    row = span.row(WallUs(0))
    return (span_s, slot, device, row.heard, row.missed, row.rssi_dbm, row.snr_db, _encode(row.means))


def roll_up(db: sqlite3.Connection, newest: int) -> tuple[int, bool]:
    """Make two hours of the oldest quarters of an hour of some devices, where these are too old.

    newest: the slot of the present quarter of an hour. Returns how many rows there are fewer, and whether there may
    be more to do.
    """
    too_old = newest - KEEP_S[SHORT_S] // SHORT_S
    (oldest,) = db.execute(
        "SELECT CAST(min(slot) AS INTEGER) FROM trend WHERE span_s = ? AND slot <= ?", (SHORT_S, too_old)
    ).fetchone()
    if oldest is None:
        return 0, False
    long_slot = oldest // _PER_LONG
    slots = range(long_slot * _PER_LONG, (long_slot + 1) * _PER_LONG)
    (last,) = db.execute(_LAST_AT_ONCE, (*slots, ROLLED_AT_ONCE - 1)).fetchone()
    until = _LAST_TEXT if last is None else last
    whole = [(LONG_S, long_slot, *_rolled_up(*row)) for row in db.execute(_ROLL_UP, (*slots, until))]
    # One that is there already may hold the same: of both the one that has heard more stays.
    db.executemany(
        _INSERT + " ON CONFLICT DO UPDATE SET heard = excluded.heard, missed = excluded.missed,"
        " rssi_dbm = excluded.rssi_dbm, snr_db = excluded.snr_db, means = excluded.means WHERE excluded.heard > heard",
        [_written(*each) for each in whole],
    )
    gone = db.execute(_ROLLED_UP, (*slots, until)).rowcount
    if last is None or not gone:  # what is left has lost a bit
        gone += db.execute("DELETE FROM trend WHERE span_s = ? AND slot < ?", (SHORT_S, slots.stop)).rowcount
    return gone - len(whole), True


def _rolled_up(
    device: str, heard: int, missed: int, rssi_dbm: float | None, snr_db: float | None, means: str
) -> tuple[str, Span]:
    span = Span(heard, missed)
    span.hear(rssi_dbm, snr_db)
    for line in means.split("\n"):
        try:
            for name, value in _decode_means(line).items():
                span.measure(name, value)
        except (msgspec.MsgspecError, ValueError):  # a bit was lost
            continue
    return device, span


def forget_old(db: sqlite3.Connection, newest: int) -> int:
    """Delete two hours that are too old; returns how many rows. newest: see `roll_up`."""
    oldest = (newest * SHORT_S - KEEP_S[LONG_S]) // LONG_S
    return db.execute("DELETE FROM trend WHERE span_s = ? AND slot < ?", (LONG_S, oldest)).rowcount


def forget_some(db: sqlite3.Connection, many: int) -> int:
    """Delete the oldest rows, two hours first; returns how many."""
    gone = 0
    for span_s in (LONG_S, SHORT_S):
        last = db.execute(
            "SELECT slot, device FROM trend WHERE span_s = ? ORDER BY slot, device LIMIT 1 OFFSET ?",
            (span_s, many - gone - 1),
        ).fetchone()
        if last is None:
            gone += db.execute("DELETE FROM trend WHERE span_s = ?", (span_s,)).rowcount
            continue
        gone += db.execute("DELETE FROM trend WHERE span_s = ? AND slot < ?", (span_s, last[0])).rowcount
        last_ones = "DELETE FROM trend WHERE span_s = ? AND slot = ? AND device <= ?"
        return gone + db.execute(last_ones, (span_s, *last)).rowcount
    return gone


def count(db: sqlite3.Connection) -> int:
    """Return how many rows there are; it reads all of them."""
    return int(db.execute("SELECT count(*) FROM trend").fetchone()[0])


def forget_all(db: sqlite3.Connection) -> None:
    """Delete everything, in a spool that is full."""
    db.execute("DELETE FROM trend")


def shift(db: sqlite3.Connection, first_us: StampUs, last_us: StampUs, by_us: int) -> None:
    """Move the times within a range."""
    db.execute(
        "UPDATE OR REPLACE trend SET slot = (slot * span_s * 1000000 + ? + span_s * 500000) / (span_s * 1000000)"
        " WHERE slot BETWEEN ? / (span_s * 1000000) AND ? / (span_s * 1000000)",
        (by_us, first_us, last_us),
    )
