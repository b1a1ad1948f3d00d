"""From whatever a codec returns to measurements: a name, a value, and the unit and time that stand beside it.

Names are the codec's own, joined with dots for objects (`door.open`) and underscores for positions
(`rssi_0`), so that they can be found in the maker's document. The position in a list is part of a name
only where nothing better tells the elements apart. In this order:

* a name beside a value: `[{"variable": "temperature", "value": 21.5}]` is `temperature`;
* a time of its own: `{"history": [{"timestamp": 1715762334, "temperature": 27.2}]}` is a `temperature` of then;
* a number beside a value: `{"channels": [{"index": 3, "reading": 4}]}` is `channels_3.reading`;
* texts that tell types: `[{"type": "a", "level": 9}, {"type": "b", "mode": 2}]` are `level` and `mode`.

Rows of values with a time each (`rows`) are earlier values by place: `DATALOG_0`.
Texts alone are one text, and the radios that were seen (`mac`, `rssi`) one list: their places mean nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from lora_post.model import MAX_DEPTH, LeftOut, Value
from lora_post.results.about_device import is_copy
from lora_post.results.meanings import POSITION
from lora_post.results.records import (
    CHANNELS,
    LABELS,
    NUMBERS,
    Record,
    is_holder,
    is_radio,
    name_beside,
    number_beside,
    position_in,
    units_beside,
    value_key,
)
from lora_post.results.rows import Row, rows_in
from lora_post.results.times import read_time, time_in
from lora_post.results.trials import Path
from lora_post.text import printable

MAX_LIST: Final = 64  # elements of one list: a spectrum or a history; a longer one is raw bytes
MAX_NAME: Final = 120
MAX_MEMBERS: Final = 16  # of a record that is a value itself
MAX_STEPS: Final = 1024  # objects, lists and values that are looked at: four times the readings of a payload
NAMELESS: Final = "value"
SCALARS: Final = (float, int, str)  # with bool; a union in place of the tuple would be made anew by each look
_CONTAINERS: Final = (dict, list, tuple, Mapping)


class Measurement(Struct, frozen=True, gc=False):
    """One value of a codec's result.

    path: where it is there. unit: as it is written beside the value. quantity: `Position` of positions.
    time_s: of its record, seconds since 1970 UTC; None where it has no time of its own.
    """

    path: Path
    name: str
    value: Value
    unit: str = ""
    quantity: str = ""
    time_s: float | None = None


class Measured(Struct, frozen=True, gc=False):
    """What a codec's result consists of."""

    measurements: list[Measurement]
    left_out: list[LeftOut]


class _Place(Struct, frozen=True, gc=False):
    """Where the walk is in the result, and what was said on the way."""

    path: Path = ()
    name: str = ""
    unit: str = ""
    time_s: float | None = None


def measure(data: object) -> Measured:
    """Return the measurements of a codec's result, any JSON-like value; never raises.

    null is nothing. What is nested more than 8 deep, a list of more than 64 elements, what is not a value, and all
    beyond 1024 parts is left out.
    """
    walk = _Walk()
    walk.add(_Place(), data)
    return walk.measured()


def measure_normalized(payload: object) -> Measured:
    """Return the measurements of a normalised payload: one measurement, or a list, perhaps with `time`s."""
    walk = _Walk()
    if isinstance(payload, list | tuple):
        for index, measurement in enumerate(payload[:MAX_LIST]):
            walk.add_at_time(_Place((index,)), measurement)
    else:
        walk.add_at_time(_Place(), payload)
    return walk.measured()


def name_at(path: Path) -> str:
    """Return the name of a normalised value."""
    return ".".join(part for part in path if isinstance(part, str))


class _Walk:
    def __init__(self) -> None:
        self.measurements: list[Measurement] = []
        self.left_out: list[LeftOut] = []
        self._steps = 0

    def add(self, place: _Place, value: object) -> None:
        self._steps += 1
        if self._steps > MAX_STEPS:
            return
        if isinstance(value, SCALARS):
            if isinstance(value, str) and (rows := rows_in(value)):
                self._add_rows(place, rows)
            else:
                self._put(place, value)
        elif isinstance(value, _CONTAINERS):
            if len(place.path) >= MAX_DEPTH:
                self._leave_out(place, f"nested deeper than {MAX_DEPTH} levels")
            elif isinstance(value, Mapping):
                self._add_object(place, value)
            else:
                self._add_list(place, value)
        elif value is not None:
            self._leave_out(place, f"{type(value).__name__} is not a value")

    def add_at_time(self, place: _Place, measurement: object) -> None:
        """Add a normalised measurement, whose `time` is that of all its values."""
        time_s = read_time(measurement.get("time")) if isinstance(measurement, Mapping) else None
        if time_s is None:
            self.add(place, measurement)
        else:
            rest = {key: item for key, item in measurement.items() if key != "time"}  # type: ignore[attr-defined]
            self.add(_Place(place.path, "", "", time_s), rest)

    def _put(self, place: _Place, value: Value, quantity: str = "") -> None:
        found = Measurement(place.path, place.name or NAMELESS, value, place.unit, quantity, place.time_s)
        self.measurements.append(found)

    def _leave_out(self, place: _Place, why: str) -> None:
        self.left_out.append(LeftOut(place.name or "the result", why))

    def measured(self) -> Measured:
        """Return what was found."""
        if self._steps > MAX_STEPS:
            self.left_out.append(LeftOut("the result", f"only its first {MAX_STEPS} parts are looked at"))
        return Measured(self.measurements, self.left_out)

    def _add_object(self, place: _Place, record: Record) -> None:
        if _is_book(record):
            self._add_records(place, list(record.items()))
            return
        main = value_key(record) if place.name else None
        self._add_members(place, record, main, LABELS if main else frozenset())

    def _add_members(
        self, place: _Place, record: Record, main: object, told: frozenset[object], number: int | None = None
    ) -> None:
        """Add the members of an object.

        main: the key of the one that has the object's own name. told: keys that are told about otherwise. number: of
        the channel that the object is about.
        """
        position, of_position = position_in(record)
        if position:
            whole = bool(place.name) and len(of_position) == len(record)
            inside = _Place((*place.path, POSITION), _joined(place.name, "position"), "", place.time_s)
            self._put(place if whole else inside, position, POSITION)
        units = units_beside(record)
        if position or units:
            told = told | of_position | {unit_key for unit_key, _ in units.values()}
        suffix = "" if number in (None, 1) else f"_{number}"
        for key, item in record.items():
            if key in told:
                continue
            unit = units[key][1] if key in units else place.unit
            if key == main:
                name = f"{place.name}{suffix}"
            else:
                name = _joined(place.name, f"{printable(str(key)[:MAX_NAME]) or NAMELESS}{suffix}")
            path = (*place.path, _key(key))
            if type(item) is float or type(item) is int:  # most are, and need no place to go on from
                self._steps += 1
                if self._steps <= MAX_STEPS:
                    self.measurements.append(Measurement(path, name or NAMELESS, item, unit, "", place.time_s))
            else:
                self.add(_Place(path, name, unit, place.time_s), item)

    def _add_list(self, place: _Place, items: Sequence[object]) -> None:
        if _are_bytes(items) and is_copy(place.name, len(items)):
            self._put(place, bytes(items).hex())  # type: ignore[arg-type]
        elif len(items) > MAX_LIST:
            self._leave_out(place, f"{len(items)} elements, want at most {MAX_LIST}")
        elif items and all(isinstance(item, str) for item in items):
            self._put(place, ", ".join(map(str, items)))
        elif items and all(isinstance(item, Mapping) for item in items):
            self._add_records(place, list(enumerate(items)))
        elif rows := rows_in(items):
            self._add_rows(place, rows)
        else:
            for index, item in enumerate(items):
                here = _Place((*place.path, index), place.name) if _is_records(item) else _numbered(place, index, index)
                self.add(here, item)

    def _add_records(self, place: _Place, records: Sequence[tuple[object, object]]) -> None:
        """Add the objects of a list, or those of an object that is a list of records by number."""
        objects = [(key, record) for key, record in records if isinstance(record, Mapping)]
        if any(is_radio(record) for _, record in objects):
            self._put(place, [_plain(record) for _, record in objects])
            return
        for key, record in objects:
            self._add_record(place, key, record)

    def _add_rows(self, place: _Place, rows: Sequence[Row]) -> None:
        """Add rows as earlier values; a cell goes by its name, or by its place, which is the same in each row."""
        if len(rows) > MAX_LIST:
            self._leave_out(place, f"{len(rows)} rows, want at most {MAX_LIST}")
            return
        for index, row in enumerate(rows):
            for key, cell in row.cells.items():
                self._steps += 1
                if self._steps > MAX_STEPS:
                    return
                name = f"{place.name or NAMELESS}_{key}"[:MAX_NAME]
                if isinstance(key, str):
                    name = _joined(_without_holder(place.name), key)
                self._put(_Place((*place.path, index, key), name, "", row.time_s), cell)

    def _add_record(self, place: _Place, key: object, record: Record) -> None:
        self._steps += 1
        if self._steps > MAX_STEPS:
            return
        name, value, of_name = name_beside(record)
        time_s, of_time = time_in(record)
        path = (*place.path, _key(key))
        if name or time_s is not None:
            number, of_number = number_beside(record, CHANNELS)
            here = _Place(path, _joined(_without_holder(place.name), name), "", time_s)
            self._add_members(here, record, value if name else None, of_name | of_time | of_number, number)
            return
        number, of_number = number_beside(record, NUMBERS)
        if number is not None:
            self._add_members(_numbered(place, key, number), record, value, of_number)
        elif isinstance(record.get("type"), str):
            self._add_members(_Place(path, _without_holder(place.name)), record, None, frozenset(("type",)))
        else:
            self.add(_numbered(place, key, key), record)


def _numbered(place: _Place, key: object, number: object) -> _Place:
    name = f"{place.name or NAMELESS}_{number}"[:MAX_NAME]
    return _Place((*place.path, _key(key)), name, place.unit, place.time_s)


def _joined(name: str, part: str) -> str:
    return (f"{name}.{part}" if name and part else name or part)[:MAX_NAME]


def _without_holder(name: str) -> str:
    """Return the name without its last part, where that only says that it holds records."""
    before, _, last = name.rpartition(".")
    return before if is_holder(last) else name


def _key(key: object) -> str | int:
    return key if isinstance(key, int) and not isinstance(key, bool) else str(key)


def _is_book(record: Record) -> bool:
    """Tell whether an object is records by number, each with a time: {"17": {"time": …}, "18": {…}}."""
    for key, item in record.items():
        if not (str(key).isdigit() and isinstance(item, Mapping) and time_in(item)[0] is not None):
            return False
    return bool(record)


def _are_bytes(items: Sequence[object]) -> bool:
    return bool(items) and all(type(item) is int and 0 <= item <= 255 for item in items)


def _is_records(item: object) -> bool:
    return isinstance(item, (list, tuple)) and bool(item) and all(isinstance(each, Mapping) for each in item)


def _plain(record: Record) -> Value:
    """Return the numbers and short texts of a record, as many as one about a radio has."""
    items = [(key, item) for key, item in record.items() if isinstance(item, SCALARS)]
    return {
        str(key)[:MAX_NAME]: item[:MAX_NAME] if isinstance(item, str) else item for key, item in items[:MAX_MEMBERS]
    }
