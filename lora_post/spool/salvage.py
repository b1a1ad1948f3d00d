"""Bring readings of a damaged spool back into the current one, each once."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from lora_post.clocks.scale import BOOT_SLOTS, boot_zero, is_time, is_unknown, slot_of
from lora_post.errors import Problem, SinkError, SpoolDamaged
from lora_post.spool import lanes, told, undecoded
from lora_post.spool.boots import known_boots
from lora_post.spool.joins import add_joins
from lora_post.spool.lanes import is_reading
from lora_post.spool.model import Batch, Lane
from lora_post.spool.rescue import readable_rows
from lora_post.spool.sessions import raise_sessions
from lora_post.spool.spool_file import SpoolFile
from lora_post.spool.undecoded import Undecoded
from lora_post.times import StampUs, WallUs

_LANE: Final = ("id", "sink", "device", "name", "unit", "quantity", "channel", "parked", "parked_fix", "parked_us")
_PAYLOAD: Final = ("id", "device", "decoder", "time_us", "fcnt", "fport", "payload", "problem", "phy_payload")
# What columns hold that files of earlier versions do not have.
_MISSING: Final = {"parked_fix": "''", "phy_payload": "x''"}

Row = TypeVar("Row", bound=Struct)
Arrived = Callable[[str, Batch], Collection[int]]
"""Returns the times of a batch that the sink of this name has already. Raises SinkError when that is not known."""


class Salvaged(Struct, frozen=True):
    """The number of readings, refused readings and payloads that came back.

    arrived: readings that the sink has already; here: that this spool has already.
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


class _Text(bytes):
    """A text of the damaged file, perhaps invalid UTF-8; a plain `bytes` is a BLOB."""


class _Lane(Struct, frozen=True, array_like=True):
    """A row of the table `lane`, with strict types: a damaged file may hold anything."""

    id: int
    sink: str
    device: str
    name: str
    unit: str
    quantity: str
    channel: int | None
    parked: str | None
    parked_fix: str
    parked_us: WallUs | None


class _DamagedFile:
    """The rows of a damaged spool that can be read, of any type; texts are `_Text`."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        self._db.text_factory = _Text
        self.close = self._db.close

    def rows(self, table: str, columns: Sequence[str], lane: int | None = None) -> Iterator[tuple[object, ...]]:
        """Yield all rows before a damaged place and all behind it; the first column is the key."""
        where, values = ("", ()) if lane is None else ("WHERE lane = ?", (lane,))
        names = self._names(table, columns)
        seen: set[object] = set()
        for order in ("ASC", "DESC"):
            for row in readable_rows(self._db, table, names, f"{where} ORDER BY {columns[0]} {order}", values):
                if row[0] in seen:
                    if order == "DESC":
                        return
                    continue
                seen.add(row[0])
                yield row

    def _names(self, table: str, columns: Sequence[str]) -> list[str]:
        """Return what to ask for: the file of an earlier version does not have the latest columns."""
        there = {name for (name,) in readable_rows(self._db, f"pragma_table_info('{table}')", ("name",))}
        return [name if name.encode() in there or not there else f"{_MISSING[name]} AS {name}" for name in columns]

    def readings(self, lane: int) -> list[tuple[StampUs, bytes]]:
        """Return the readings of a lane in the order of their times, without damaged ones."""
        rows = self.rows("reading", ("time_us", "value"), lane)
        return sorted(row for time, value in rows if is_reading(row := (time, value)))

    def refused(self, lane: int) -> Iterator[tuple[StampUs, bytes, str]]:
        """Yield the refused readings of a lane with their reasons, without damaged ones."""
        for time, value, reason in self.rows("refused", ("time_us", "value", "reason"), lane):
            if is_reading(row := (time, value)) and isinstance(reason, _Text):
                yield *row, reason.decode("utf-8", "replace")


def salvage(spool_file: SpoolFile, damaged: Path, arrived: Arrived) -> Salvaged:
    """Bring back readings, frame counters, refused readings and undecoded payloads.

    It may be repeated with the same file, which is not changed. Raises SpoolDamaged when nothing in it can be read.
    """
    found = Salvaged()
    with closing(_DamagedFile(damaged)) as old:
        of_lanes = list(_typed(old.rows("lane", _LANE), _Lane))
        with spool_file.transaction() as db:
            counters = [row for row in map(_counter, old.rows("session", ("device", "next_fcnt"))) if row]
            raise_sessions(db, counters)
            add_joins(db, old.rows("joined", ("device", "state")))
            told.add(db, old.rows("told", ("session", "state")))
            shifts = _shifts(old, known_boots(db))
            found += _payloads(old, db, shifts)
        for lane in of_lanes:
            found += _lane(spool_file, old, lane, shifts, arrived)
    if not of_lanes and not counters and not found.payloads:
        raise SpoolDamaged(f"{damaged}: nothing in it can be read as a spool")
    return found


def _typed(rows: Iterator[tuple[object, ...]], kind: type[Row]) -> Iterator[Row]:
    """Yield the rows whose values are of the right types."""
    for row in rows:
        try:
            values = [value.decode() if isinstance(value, _Text) else value for value in row]
            yield msgspec.convert(values, type=kind, builtin_types=(bytes,))
        except (msgspec.ValidationError, UnicodeDecodeError):
            continue


def _counter(row: tuple[object, ...]) -> tuple[str, int] | None:
    device, fcnt = row
    if not isinstance(device, _Text) or not isinstance(fcnt, int):
        return None
    return device.decode("utf-8", "replace"), fcnt


def _shifts(old: _DamagedFile, here: Mapping[str, tuple[int, int | None]]) -> dict[int, int]:
    """Return how far unknown times of the damaged file move, by slot.

    They move to their true time, or to their boot's slot here. here: number and offset of boots by id.
    """
    shifts = {}
    for boot, number, offset_us in old.rows("boot", ("id", "number", "offset_us")):
        if not isinstance(boot, _Text) or not isinstance(number, int):
            continue
        number_here, offset_here = here.get(boot.decode("utf-8", "replace"), (None, None))
        offset = offset_us if offset_here is None else offset_here
        zero = boot_zero(number % BOOT_SLOTS)
        if isinstance(offset, int):
            shifts[number % BOOT_SLOTS] = offset - zero
        elif number_here is not None:
            shifts[number % BOOT_SLOTS] = boot_zero(number_here % BOOT_SLOTS) - zero
    return shifts


def _shifted(time_us: StampUs, shifts: Mapping[int, int]) -> StampUs | None:
    """Return a time of the damaged file as it is here; None when it is damaged or stays unknown."""
    shift = shifts.get(slot_of(time_us)) if is_unknown(time_us) else 0
    return time_us + shift if shift is not None and is_time(time_us + shift) else None


def _payloads(old: _DamagedFile, db: sqlite3.Connection, shifts: Mapping[int, int]) -> Salvaged:
    added = untimed = 0
    for payload in _typed(old.rows("undecoded", _PAYLOAD), Undecoded):
        at = _shifted(payload.time_us, shifts)
        if at is None:
            untimed += 1
        else:
            added += undecoded.add(db, replace(payload, time_us=at))
    return Salvaged(payloads=added, untimed=untimed)


def _lane(
    spool_file: SpoolFile, old: _DamagedFile, row: _Lane, shifts: Mapping[int, int], arrived: Arrived
) -> Salvaged:
    """Bring back the readings of one sensor. The sink is asked first: that may take a minute."""
    rows, refused = old.readings(row.id), list(old.refused(row.id))
    if not rows and not refused:
        return Salvaged()
    queued = [(at, value) for time, value in rows if (at := _shifted(time, shifts)) is not None]
    timed = [(time, value) for time, value in queued if not is_unknown(time)]
    lane = Lane(row.id, row.device, row.name, row.unit, row.quantity, row.channel)
    there: Collection[int] = ()
    try:
        if timed:
            times, values = zip(*timed, strict=True)
            there = set(arrived(row.sink, Batch(lane, times, values)))
    except SinkError as error:
        return Salvaged(unasked=(f"{row.device}/{row.name}: {error}",))
    why = Problem(row.parked, row.parked_fix) if row.parked is not None else None
    with spool_file.transaction() as db:
        known = lanes.find(db, row.sink, row.device, row.name)
        target = known.id if known else lanes.add(db, row.sink, lane, why, row.parked_us)
        wanted = [(time, value) for time, value in queued if time not in there]
        new = [(target, time, value) for time, value in wanted if not lanes.has(db, target, time, value)]
        lanes.put(db, new)
        added = sum(
            lanes.add_refused(db, target, time, value, reason)
            for time, value, reason in refused
            if not lanes.has(db, target, time, value)
        )
    return Salvaged(
        readings=len(new),
        refused=added,
        arrived=len(queued) - len(wanted),
        here=len(wanted) - len(new),
        untimed=len(rows) - len(queued),
    )
