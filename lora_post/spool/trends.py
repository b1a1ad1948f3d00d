"""The table `trend`: what devices sent, as means of a quarter of an hour and of two hours, for plots.

It is written with a commit that happens anyway, once for each quarter of an hour that is over: a power cut costs the
plots of the last one, and no reading. Rows are bounded by their age and by their number.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Final

import msgspec
from msgspec import Struct

from lora_post.clocks.scale import is_unknown
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
_US: Final = 1_000_000
_SLOT_US: Final = SHORT_S * _US
_PER_LONG: Final = LONG_S // SHORT_S

Means = dict[str, float]
_decode_means: Final = msgspec.json.Decoder(Means).decode


class Row(Struct, frozen=True):
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

    def add(self, value: float | None) -> None:
        if value is not None:
            self.total += value
            self.count += 1

    def add_mean(self, value: float | None, count: int) -> None:
        """Add what is the mean of so many."""
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

    def add_span(self, other: _Span) -> None:
        """Take in more of the same length of time."""
        self.heard += other.heard
        self.missed += other.missed
        pairs = [(self.rssi, other.rssi), (self.snr, other.snr)]
        pairs += [(mine, more) for name, more in other.sensors.items() if (mine := self.mean(name))]
        for mine, more in pairs:
            mine.total += more.total
            mine.count += more.count

    def row(self) -> Row:
        means = {name: mean.total / mean.count for name, mean in self.sensors.items() if isfinite(mean.total)}
        return Row(WallUs(0), self.heard, self.missed, self.rssi.value, self.snr.value, means)

    def add_row(self, row: Row) -> None:
        """Take in a shorter length of time, or what is known of the same one already."""
        self.heard += row.heard
        self.missed += row.missed
        self.rssi.add_mean(row.rssi_dbm, max(1, row.heard))
        self.snr.add_mean(row.snr_db, max(1, row.heard))
        for name, value in row.means.items():
            if mean := self.mean(name):
                mean.add(value)


class TrendBook:
    """The lengths of time that are not in the file yet; used by one thread at a time.

    What is heard counts from `saved` on; `forget` takes it back when its transaction has failed.
    """

    def __init__(self) -> None:
        self._open: dict[tuple[int, str], _Span] = {}
        self._fcnt: dict[str, int] = {}
        self._newest = self._saved_newest = 0
        self.forget()

    def forget(self) -> None:
        """Forget what was heard since the last `saved`."""
        self._new: dict[tuple[int, str], _Span] = {}
        self._new_fcnt: dict[str, int] = {}
        self._written: list[tuple[int, str]] = []

    @property
    def is_empty(self) -> bool:
        """Whether everything is in the file."""
        return not self._open

    def hear(self, reports: Iterable[Report]) -> None:
        """Take in uplinks that are about to be kept."""
        for report in reports:
            uplink = report.uplink
            device, frame, fcnt = uplink.device.id, uplink.frame, uplink.fcnt
            time_us, rx = frame.time_us, frame.rx
            slot = time_us // _SLOT_US
            if slot > self._newest:
                self._newest = slot
            heard = self._new.get((slot, device)) or self._span(slot, device)
            before = self._new_fcnt.get(device, self._fcnt.get(device))
            if heard is not None:
                heard.heard += 1
                if before is None or fcnt - before != 1 or uplink.is_late:
                    heard.missed += missed_between(before, uplink)
                heard.rssi.add(rx.rssi_dbm)
                heard.snr.add(rx.snr_db)
            if not uplink.is_late:
                self._new_fcnt[device] = fcnt
            for reading in report.readings:
                value = reading.value
                if type(value) is not float and type(value) is not int:
                    continue
                span = heard
                if reading.age_s or reading.at_s is not None:
                    span = self._span(reading.measured_us(time_us) // _SLOT_US, device)
                if span is not None:
                    name = to_id(reading.name)
                    mean = span.sensors.get(name) or span.mean(name)
                    if mean is not None:
                        mean.total += value
                        mean.count += 1

    def _span(self, slot: int, device: str) -> _Span | None:
        """Return the quarter of an hour to add to; None for one that is too old, or in the future."""
        if not self._newest - KEEP_S[SHORT_S] // SHORT_S < slot <= self._newest:
            return None
        span = self._new.get((slot, device))
        if span is None:
            span = self._new[slot, device] = _Span()
        return span

    def save(self, db: sqlite3.Connection, *, is_last: bool = False) -> None:
        """Write the quarters of an hour that are over, inside a transaction; is_last: the one that goes on, too."""
        # Of what was open before, something is over only when a new quarter of an hour has begun.
        begins = is_last or self._newest != self._saved_newest
        keys = {**self._open, **self._new} if begins else self._new
        self._written = [key for key in keys if is_last or key[0] < self._newest]
        if not self._written:
            return
        touched: set[tuple[int, str]] = set()
        for slot, device in self._written:
            short = _Span()
            for row in _rows(db, SHORT_S, slot, slot, device):
                short.add_row(row)
            heard = _Span()
            for part in (self._open.get((slot, device)), self._new.get((slot, device))):
                if part:
                    heard.add_span(part)
            short.add_row(heard.row())
            _put(db, SHORT_S, slot, device, short)
            touched.add((slot // _PER_LONG, device))
        for slot, device in touched:
            long = _Span()
            for row in _rows(db, SHORT_S, slot * _PER_LONG, slot * _PER_LONG + _PER_LONG - 1, device):
                long.add_row(row)
            _put(db, LONG_S, slot, device, long)
        self._prune(db)

    def saved(self) -> None:
        """Note that what was heard and written is committed."""
        for key, span in self._new.items():
            self._open.setdefault(key, _Span()).add_span(span)
        for key in self._written:
            self._open.pop(key, None)
        self._fcnt |= self._new_fcnt
        self._saved_newest = self._newest
        self.forget()

    def _prune(self, db: sqlite3.Connection) -> None:
        if not is_unknown(StampUs(self._newest * SHORT_S * _US)):
            for span_s, keep_s in KEEP_S.items():
                oldest = (self._newest * SHORT_S - keep_s) // span_s
                db.execute("DELETE FROM trend WHERE span_s = ? AND slot < ?", (span_s, oldest))
        (count,) = db.execute("SELECT count(*) FROM trend").fetchone()
        if count > MAX_ROWS:
            db.execute(
                "DELETE FROM trend WHERE (span_s, slot, device) IN"
                " (SELECT span_s, slot, device FROM trend ORDER BY span_s DESC, slot LIMIT ?)",
                (count - MAX_ROWS + MAX_ROWS // 50,),
            )


def _put(db: sqlite3.Connection, span_s: int, slot: int, device: str, span: _Span) -> None:
    row = span.row()
    means = msgspec.json.encode({name: _short(value) for name, value in row.means.items()})
    values = (row.heard, row.missed, _short(row.rssi_dbm), _short(row.snr_db), means)
    db.execute("INSERT OR REPLACE INTO trend VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (span_s, slot, device, *values))


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")


_COLUMNS: Final = "SELECT slot, heard, missed, rssi_dbm, snr_db, means FROM trend"


def _rows(db: sqlite3.Connection, span_s: int, first: int, last: int, device: str) -> list[Row]:
    where = " WHERE span_s = ? AND slot BETWEEN ? AND ? AND device = ?"
    return _read(db.execute(_COLUMNS + where, (span_s, first, last, device)), span_s)


def _read(rows: Iterable[Sequence[object]], span_s: int) -> list[Row]:
    found = []
    for slot, heard, missed, rssi, snr, means in rows:
        try:
            row = msgspec.convert((slot, heard, missed, rssi, snr), tuple[int, int, int, float | None, float | None])
            found.append(Row(WallUs(row[0] * span_s * _US), *row[1:], _decode_means(means)))  # type: ignore[arg-type]
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
