"""What can still be read of a damaged spool comes back into the current one, each reading once."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from lora_post.clocks.scale import BOOT_SLOTS, boot_zero, is_unknown, slot_of
from lora_post.errors import SinkError, SpoolDamaged
from lora_post.model import Batch, Lane
from lora_post.spool.queue import insert_rows
from lora_post.spool.rescue import readable_rows
from lora_post.spool.row_check import is_reading, is_time
from lora_post.spool.spool_file import SpoolFile

_LANES: Final = "SELECT id, sink, device, name, unit, quantity, channel, parked, parked_us FROM lane"

Arrived = Callable[[str, Batch], Collection[int]]
"""The times of a batch whose readings the sink of this name has already. Raises SinkError when that is not known."""


class Salvaged(Struct, frozen=True):
    """What came back. arrived: readings that the sink had already; here: that this spool has already.

    untimed: readings and payloads left out because nothing is known of the boot in which they were taken.
    unasked: sensors left out because their sink could not be asked, with the reason.
    """

    readings: int = 0
    refused: int = 0
    payloads: int = 0
    arrived: int = 0
    here: int = 0
    untimed: int = 0
    unasked: tuple[str, ...] = ()

    def __add__(self, other: Salvaged) -> Salvaged:
        return Salvaged(
            self.readings + other.readings,
            self.refused + other.refused,
            self.payloads + other.payloads,
            self.arrived + other.arrived,
            self.here + other.here,
            self.untimed + other.untimed,
            self.unasked + other.unasked,
        )


class _Row(Struct, frozen=True, array_like=True):
    """One row of the table of lanes; strict types, since anything may stand in a damaged file."""

    id: int
    sink: str
    device: str
    name: str
    unit: str
    quantity: str
    channel: int | None
    parked: str | None
    parked_us: int | None


def salvage(store: SpoolFile, damaged: Path, arrived: Arrived) -> Salvaged:
    """Bring back readings, frame counters, refused readings and payloads; may be repeated with the same file.

    The damaged file is not changed. Raises SpoolDamaged when nothing in it can be read.
    """
    found = Salvaged()
    with closing(sqlite3.connect(f"{damaged.absolute().as_uri()}?mode=ro", uri=True)) as old:
        old.text_factory = bytes  # text that is no UTF-8 is not to end it
        lanes = list(_lanes(old))
        with store.transaction() as db:
            counters = [
                row for row in map(_counter, _both_ways(old, "SELECT device, next_fcnt FROM session", "device")) if row
            ]
            db.executemany(
                "INSERT INTO session VALUES (?, ?)"
                " ON CONFLICT (device) DO UPDATE SET next_fcnt = max(next_fcnt, excluded.next_fcnt)",
                counters,
            )
            joined = readable_rows(old, "SELECT CAST(device AS BLOB), state FROM joined")
            # What was joined since is the newer session.
            db.executemany("INSERT OR IGNORE INTO joined VALUES (CAST(? AS TEXT), ?)", joined)
            shifts = _shifts(old, db)
            found += _payloads(old, db, shifts)
        for lane in lanes:
            found += _lane(store, old, lane, shifts, arrived)
    if not lanes and not counters and not found.payloads:
        raise SpoolDamaged(f"{damaged}: nothing in it can be read as a spool")
    return found


def _lanes(old: sqlite3.Connection) -> Iterator[_Row]:
    for values in _both_ways(old, _LANES, "id"):
        try:
            yield msgspec.convert([_text(value) for value in values], type=_Row)
        except (msgspec.ValidationError, UnicodeDecodeError):
            continue


def _both_ways(
    old: sqlite3.Connection, query: str, key: str, values: tuple[object, ...] = ()
) -> Iterator[tuple[object, ...]]:
    """All rows before a damaged place, and all behind it."""
    seen: set[object] = set()
    for order in ("ASC", "DESC"):
        for row in readable_rows(old, f"{query} ORDER BY {key} {order}", values):
            if row[0] in seen:
                if order == "DESC":
                    return
                continue
            seen.add(row[0])
            yield row


def _text(value: object) -> object:
    return value.decode() if isinstance(value, bytes) else value


def _counter(row: tuple[object, ...]) -> tuple[str, int] | None:
    device, fcnt = row
    if not isinstance(device, bytes) or not isinstance(fcnt, int):
        return None
    return device.decode("utf-8", "replace"), fcnt


def _shifts(old: sqlite3.Connection, db: sqlite3.Connection) -> dict[int, int]:
    """How far unknown times of the damaged file move, by slot: to their true time, or to their boot's slot here."""
    here = {
        boot: (number, offset_us) for boot, number, offset_us in db.execute("SELECT id, number, offset_us FROM boot")
    }
    shifts = {}
    for boot, number, offset_us in readable_rows(old, "SELECT id, number, offset_us FROM boot"):
        if not isinstance(boot, bytes) or not isinstance(number, int):
            continue
        number_here, offset_here = here.get(boot.decode("utf-8", "replace"), (None, None))
        offset = offset_us if offset_here is None else offset_here
        zero = boot_zero(number % BOOT_SLOTS)
        if isinstance(offset, int):
            shifts[number % BOOT_SLOTS] = offset - zero
        elif number_here is not None:
            shifts[number % BOOT_SLOTS] = boot_zero(number_here % BOOT_SLOTS) - zero
    return shifts


def _shifted(time_us: int, shifts: Mapping[int, int]) -> int | None:
    """A time of the damaged file as it is here; None when it is unknown for good, or no time at all."""
    shift = shifts.get(slot_of(time_us)) if is_unknown(time_us) else 0
    return time_us + shift if shift is not None and is_time(time_us + shift) else None


def _lane(
    store: SpoolFile, old: sqlite3.Connection, row: _Row, shifts: Mapping[int, int], arrived: Arrived
) -> Salvaged:
    """The readings of one sensor. The sink is asked outside the transaction: that may take a minute."""
    rows = _values(old, "SELECT time_us, value FROM reading WHERE lane = ?", row.id)
    queued = [(at, value) for time, value in rows if (at := _shifted(time, shifts)) is not None]
    timed = [(time, value) for time, value in queued if not is_unknown(time)]
    if not rows and not _values(old, "SELECT time_us, value FROM refused WHERE lane = ?", row.id):
        return Salvaged()
    lane = Lane(row.id, row.device, row.name, row.unit, row.quantity, row.channel)
    there: Collection[int] = ()
    try:
        if timed:
            times, values = zip(*timed, strict=True)
            there = set(arrived(row.sink, Batch(lane, times, values)))
    except SinkError as error:
        return Salvaged(unasked=(f"{row.device}/{row.name}: {error}",))
    with store.transaction() as db:
        target = _find_or_add(db, row)
        wanted = [(time, value) for time, value in queued if time not in there]
        new = [(target, time, value) for time, value in wanted if not _is_here(db, target, time, value)]
        insert_rows(db, new)
        refused = 0
        for values in readable_rows(old, "SELECT time_us, value, reason FROM refused WHERE lane = ?", (row.id,)):
            time, value, reason = values
            if is_reading((time, value)) and isinstance(reason, bytes) and not _is_here(db, target, time, value):
                text = reason.decode("utf-8", "replace")
                refused += db.execute(
                    "INSERT OR IGNORE INTO refused VALUES (?, ?, ?, ?)", (target, time, value, text)
                ).rowcount
    return Salvaged(
        readings=len(new),
        refused=refused,
        arrived=len(queued) - len(wanted),
        here=len(wanted) - len(new),
        untimed=len(rows) - len(queued),
    )


def _values(old: sqlite3.Connection, query: str, lane: int) -> list[tuple[int, bytes]]:
    """Readings in the order of their times, as far as they are any."""
    rows = _both_ways(old, query, "time_us", (lane,))
    return sorted(row for time, value in rows if is_reading(row := (time, value)))


def _find_or_add(db: sqlite3.Connection, row: _Row) -> int:
    """The sensor in the current spool; one that it did not have comes with its state."""
    db.execute(
        "INSERT OR IGNORE INTO lane (sink, device, name, unit, quantity, channel, parked, parked_us)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (row.sink, row.device, row.name, row.unit, row.quantity, row.channel, row.parked, row.parked_us),
    )
    key = (row.sink, row.device, row.name)
    return int(db.execute("SELECT id FROM lane WHERE sink = ? AND device = ? AND name = ?", key).fetchone()[0])


def _is_here(db: sqlite3.Connection, lane: int, time: object, value: object) -> bool:
    found = db.execute(
        "SELECT 1 FROM reading WHERE lane = ?1 AND time_us = ?2 AND value = ?3"
        " UNION ALL SELECT 1 FROM refused WHERE lane = ?1 AND time_us = ?2 AND value = ?3",
        (lane, time, value),
    )
    return found.fetchone() is not None


_PAYLOADS: Final = "SELECT device, decoder, time_us, fcnt, fport, payload, problem, typeof(payload) FROM undecoded"
_ADD_PAYLOAD: Final = (
    "INSERT INTO undecoded (device, decoder, time_us, fcnt, fport, payload, problem)"
    " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE NOT EXISTS"
    " (SELECT 1 FROM undecoded WHERE device = ?1 AND time_us = ?3 AND payload = ?6)"
)


def _payloads(old: sqlite3.Connection, db: sqlite3.Connection, shifts: Mapping[int, int]) -> Salvaged:
    added = untimed = 0
    for row in readable_rows(old, _PAYLOADS):
        device, decoder, time, fcnt, fport, payload, problem, kind = row
        try:
            texts = _text(device), _text(decoder), _text(problem)
        except UnicodeDecodeError:
            continue
        if kind == b"blob" and isinstance(time, int):
            at = _shifted(time, shifts)
            if at is None:
                untimed += 1
            else:
                added += db.execute(_ADD_PAYLOAD, (*texts[:2], at, fcnt, fport, payload, texts[2])).rowcount
    return Salvaged(payloads=added, untimed=untimed)
