"""The table `trend`: what devices sent, as means of a quarter of an hour and of two hours, for plots.

It is written with a commit that happens anyway, once for each quarter of an hour that is over: a power cut costs the
plots of the last one, and no reading. Rows are bounded by their age and by their number.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from math import isfinite
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from lora_post.clocks.scale import UNKNOWN_FROM_US
from lora_post.spool.spool_file import SpoolFile
from lora_post.times import StampUs, WallUs
from lora_post.uplink.counters import missed_between
from lora_post.uplink.model import Report
from lora_post.waziup.names import to_id

SHORT_S: Final = 900
LONG_S: Final = 7200
KEEP_S: Final = {SHORT_S: 25 * 3600, LONG_S: 31 * 86_400}
"""For how long the rows of each length are kept: 100 and 372 of a device."""
MAX_SENSORS: Final = 24
"""Of a device; of the others nothing is plotted."""
MAX_ROWS: Final = 100_000
"""All devices together, about 20 MB; the oldest go."""
MAX_AT_ONCE: Final = 64
"""So many devices are written with one commit: a quarter of an hour ends for all at once, and others wait."""
_US: Final = 1_000_000
_SLOT_US: Final = SHORT_S * _US
_PER_LONG: Final = LONG_S // SHORT_S
_UNKNOWN_SLOT: Final = UNKNOWN_FROM_US // _SLOT_US

Means = dict[str, float]
_decode_means: Final = msgspec.json.Decoder(Means).decode


class Row(Struct, frozen=True, array_like=True):
    """A length of time of one device.

    time_us: when it began. heard, missed: frames. rssi_dbm, snr_db: means, None where the input does not say.
    means: of each sensor with numbers.
    """

    time_us: WallUs
    heard: int
    missed: int
    rssi_dbm: float | None
    snr_db: float | None
    means: Means


@dataclass(slots=True)
class _Mean:
    total: float = 0.0
    count: int = 0

    def add(self, value: float | None, count: int = 1) -> None:
        """Add a value, or what is the mean of so many."""
        if value is not None:
            self.total += value * count
            self.count += count

    @property
    def value(self) -> float | None:
        return self.total / self.count if self.count else None


@dataclass(slots=True)
class _Span:
    """A length of time that is being added up."""

    heard: int = 0
    missed: int = 0
    rssi: _Mean = field(default_factory=_Mean)
    snr: _Mean = field(default_factory=_Mean)
    sensors: dict[str, _Mean] = field(default_factory=dict)

    def mean(self, name: str) -> _Mean | None:
        """Return the mean of a sensor to add to, None for one too many."""
        mean = self.sensors.get(name)
        if mean is None and len(self.sensors) < MAX_SENSORS:
            mean = self.sensors[name] = _Mean()
        return mean

    def row(self) -> Row:
        means = {name: mean.total / mean.count for name, mean in self.sensors.items() if isfinite(mean.total)}
        return Row(WallUs(0), self.heard, self.missed, self.rssi.value, self.snr.value, means)


class TrendBook:
    """The lengths of time that are not in the file yet; used by one thread at a time.

    What is heard counts from `saved` on; `forget` takes it back when its transaction has failed.
    """

    def __init__(self) -> None:
        self._open: dict[tuple[int, str], _Span] = {}
        self._fcnt: dict[str, int] = {}
        self._newest = self._before = 0  # _before: what was the newest when the group began
        self._room = 0  # so many rows may be written before they are counted
        self.forget()

    def forget(self) -> None:
        """Forget what was heard since the last `saved`."""
        self._heard: list[Report] = []
        self._written: list[tuple[int, str]] = []
        self._is_due = True

    @property
    def is_empty(self) -> bool:
        """Whether everything is in the file."""
        return not self._open

    def hear(self, reports: Sequence[Report]) -> None:
        """Take in uplinks that are about to be kept."""
        if not self._heard:
            self._before = self._newest
        self._heard += reports
        if reports:
            self._go_on(reports[-1].uplink.frame.time_us // _SLOT_US)

    def _go_on(self, slot: int) -> None:
        """Begin another quarter of an hour, where this one is newer, or the first whose time is known."""
        if self._newest < slot or (self._newest >= _UNKNOWN_SLOT > slot):
            if slot < self._newest:
                self._open.clear()  # what is in the file has moved, see `shift`
                self._before = slot
            self._newest = slot
            self._is_due = True

    def _add(self, report: Report) -> None:
        uplink = report.uplink
        device, frame, fcnt = uplink.device.id, uplink.frame, uplink.fcnt
        time_us, rx = frame.time_us, frame.rx
        slot = time_us // _SLOT_US
        if slot > self._newest:
            self._go_on(slot)
        heard = self._open.get((slot, device)) or self._span(slot, device)
        before = self._fcnt.get(device)
        if heard is not None:
            heard.heard += 1
            if before is None or fcnt - before != 1 or uplink.is_late:
                heard.missed += missed_between(before, uplink)
            heard.rssi.add(rx.rssi_dbm)
            heard.snr.add(rx.snr_db)
        if not uplink.is_late:
            self._fcnt[device] = fcnt
        for reading in report.readings:
            value = reading.value
            if type(value) is not float and type(value) is not int:
                continue
            span = heard
            if reading.age_s or reading.at_s is not None:
                span = self._span(reading.measured_us(time_us) // _SLOT_US, device)
            if span is not None:
                mean = span.sensors.get(reading.name) or span.mean(reading.name)
                if mean is not None:
                    mean.total += value
                    mean.count += 1

    def _span(self, slot: int, device: str) -> _Span | None:
        """Return the quarter of an hour to add to; None for one that is too old, or in the future.

        Too old for what was the newest before: days that a gateway has kept may come in one group.
        """
        if not self._before - KEEP_S[SHORT_S] // SHORT_S < slot <= self._newest:
            return None
        span = self._open.get((slot, device))
        if span is None:
            span = self._open[slot, device] = _Span()
            self._is_due |= slot < self._newest
        return span

    def save(self, db: sqlite3.Connection, *, is_last: bool = False) -> None:
        """Write quarters of an hour that are over, inside a transaction; is_last: all, and the one that goes on."""
        if not self._is_due and not is_last:
            return
        over = (key for key in self._open if is_last or key[0] < self._newest)
        self._written = list(over if is_last else islice(over, MAX_AT_ONCE))
        self._is_due = len(self._written) == MAX_AT_ONCE
        for slot, device in self._written:
            row = self._open[slot, device].row()
            row = replace(row, means={to_id(name): mean for name, mean in row.means.items()})
            _put(db, SHORT_S, slot, device, [*_rows(db, SHORT_S, [slot], device), row])
        for slot, device in sorted({(slot // _PER_LONG, device) for slot, device in self._written}):  # as in the file
            shorts = range(slot * _PER_LONG, (slot + 1) * _PER_LONG)
            _put(db, LONG_S, slot, device, _rows(db, SHORT_S, shorts, device))
        if self._written:
            self._prune(db)

    def saved(self) -> None:
        """Note that what was heard and written is committed."""
        for key in self._written:
            del self._open[key]
        for report in self._heard:
            self._add(report)
        self._heard, self._written = [], []

    def _prune(self, db: sqlite3.Connection) -> None:
        if self._newest < _UNKNOWN_SLOT:
            for span_s, keep_s in KEEP_S.items():
                oldest = (self._newest * SHORT_S - keep_s) // span_s
                db.execute("DELETE FROM trend WHERE span_s = ? AND slot < ?", (span_s, oldest))
        self._room -= 2 * len(self._written)
        if self._room >= 0:
            return
        (count,) = db.execute("SELECT count(*) FROM trend").fetchone()
        if count > MAX_ROWS:
            surplus = count - MAX_ROWS + MAX_ROWS // 20
            db.execute(
                "DELETE FROM trend WHERE (span_s, slot, device) IN"
                " (SELECT span_s, slot, device FROM trend ORDER BY span_s DESC, slot LIMIT ?)",
                (surplus,),
            )
            count -= surplus
        self._room = MAX_ROWS - count


def _put(db: sqlite3.Connection, span_s: int, slot: int, device: str, rows: Iterable[Row]) -> None:
    """Write what these rows are together: shorter lengths of time, or what is known of the same one already."""
    span = _Span()
    for row in rows:
        span.heard += row.heard
        span.missed += row.missed
        span.rssi.add(row.rssi_dbm, max(1, row.heard))
        span.snr.add(row.snr_db, max(1, row.heard))
        for name, value in row.means.items():
            if mean := span.mean(name):
                mean.add(value)
    row = span.row()
    means = msgspec.json.encode({name: _short(value) for name, value in row.means.items()})
    values = (row.heard, row.missed, _short(row.rssi_dbm), _short(row.snr_db), means)
    db.execute("INSERT OR REPLACE INTO trend VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (span_s, slot, device, *values))


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")


_COLUMNS: Final = "SELECT slot, heard, missed, rssi_dbm, snr_db, means FROM trend"


def _rows(db: sqlite3.Connection, span_s: int, slots: Sequence[int], device: str) -> list[Row]:
    # Slot by slot: of a range of them, SQLite would read the rows of all devices.
    where = f" WHERE span_s = ? AND slot IN ({', '.join('?' * len(slots))}) AND device = ?"
    return _read(db.execute(_COLUMNS + where, (span_s, *slots, device)), span_s)


def _read(rows: Iterable[Sequence[object]], span_s: int) -> list[Row]:
    found = []
    for *fields, means in rows:
        try:
            row = msgspec.convert((*fields, _decode_means(means)), Row)  # type: ignore[arg-type]
            found.append(replace(row, time_us=WallUs(row.time_us * span_s * _US)))
        except (msgspec.MsgspecError, TypeError, ValueError):  # after a lost bit
            continue
    return found


def load(spool_file: SpoolFile, device: str, span_s: int, from_us: WallUs) -> list[Row]:
    """Return the rows of a device since a time, oldest first. span_s: SHORT_S or LONG_S. Raises SpoolError."""
    where = " WHERE span_s = ? AND slot >= ? AND slot < ? AND device = ?"
    end = (1 << 62) // (span_s * _US)  # beyond are times that are not known yet
    return _read(spool_file.rows(_COLUMNS + where, (span_s, from_us // (span_s * _US), end, device)), span_s)


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
