"""From whatever a codec returns to readings.

Names are the codec's own, joined with dots for objects (`door.open`) and underscores for lists
(`rssi_0`), so that they can be found in the maker's document; `codec_names` says what they mean.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from math import isfinite

from msgspec.structs import replace

from lora_post.model import MAX_DEPTH, MAX_INT, MAX_READINGS, MIN_INT, Decoded, Reading, Value
from lora_post.payloads.codec_names import POSITION, Meaning, known_unit, meaning_of, tells_quantity
from lora_post.text import printable

MAX_LIST = 64  # elements of one list: a spectrum or a history; a longer one is raw bytes
MAX_NAME = 120
MAX_TEXT = 1000
NAMELESS = "value"

_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,15})?", re.ASCII).fullmatch

_LATITUDES = ("latitude", "lat", "Latitude")
_LONGITUDES = ("longitude", "lon", "lng", "long", "Longitude")
_ALTITUDES = ("altitude", "alt", "Altitude")


def flatten(data: object, *, normalized: bool = False) -> Decoded:
    """Make readings of a codec's result, any JSON-like value; never raises.

    normalized: the result is of `normalizeUplink`, whose names have agreed units.
    What cannot become a reading (not finite, nested more than 8 deep, beyond 256 readings) is left out
    with a warning; null is left out without one. All readings have different names.
    """
    walk = _Walk(normalized)
    walk.add("", data, 0)
    return Decoded(walk.readings, tuple(dict.fromkeys(walk.warnings)))


def flatten_normalized(payload: object, received_s: float) -> Decoded:
    """Make readings of a normalised payload: one measurement, or a list, perhaps with `time`s.

    received_s: reception, seconds since 1970 UTC; a measurement is that much older than its time says.
    Several measurements with times are one sensor's history; without times their names are numbered.
    """
    measurements = payload if isinstance(payload, list) else [payload]
    ages = [_age_s(measurement, received_s) for measurement in measurements]
    if len(measurements) != 1 and len(set(ages)) != len(ages):
        return flatten(payload, normalized=True)
    readings: list[Reading] = []
    warnings: list[str] = []
    for measurement, age_s in zip(measurements, ages, strict=True):
        untimed = age_s is None or not isinstance(measurement, dict)
        found = flatten(
            measurement if untimed else {key: item for key, item in measurement.items() if key != "time"},
            normalized=True,
        )
        readings += [replace(reading, age_s=age_s) for reading in found.readings] if age_s else found.readings
        warnings += found.warnings
    return Decoded(readings[:MAX_READINGS], tuple(dict.fromkeys(warnings)))


def _age_s(measurement: object, received_s: float) -> float | None:
    """Return how old a measurement was at reception, by its RFC 3339 `time`; None without one."""
    text = measurement.get("time") if isinstance(measurement, dict) else None
    try:
        time = datetime.fromisoformat(text)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return max(0.0, received_s - time.replace(tzinfo=time.tzinfo or UTC).timestamp())


class _Walk:
    def __init__(self, normalized: bool) -> None:
        self.readings: list[Reading] = []
        self.warnings: list[str] = []
        self._names: set[str] = set()
        self._normalized = normalized

    def add(self, name: str, value: object, depth: int) -> None:
        if value is None:
            return
        if isinstance(value, dict):
            self._add_object(name, value, depth)
        elif isinstance(value, (list, tuple)):
            self._add_list(name, value, depth)
        else:
            self._add_scalar(name, value, meaning_of(name, self._normalized))

    def _add_object(self, name: str, value: Mapping[object, object], depth: int) -> None:
        if depth >= MAX_DEPTH:
            self.warnings.append(f"{name[:40]}: nested deeper than {MAX_DEPTH} levels")
            return
        position = _position(value)
        if position is not None and (name or len(position) == len(value)):
            self._put(name or "position", position, Meaning("", POSITION))
            return
        beside = _value_with_unit(value)
        if beside is not None and name:
            number, unit = beside
            self._add_scalar(name, number, Meaning(unit, meaning_of(name, self._normalized).quantity))
            return
        for key, item in value.items():
            part = printable(str(key)[:MAX_NAME]) or NAMELESS
            self.add(f"{name}.{part}" if name else part, item, depth + 1)

    def _add_list(self, name: str, value: list[object] | tuple[object, ...], depth: int) -> None:
        if depth >= MAX_DEPTH:
            self.warnings.append(f"{name[:40]}: nested deeper than {MAX_DEPTH} levels")
            return
        if len(value) > MAX_LIST:
            self.warnings.append(f"{name[:40] or 'the result'}: {len(value)} elements, want at most {MAX_LIST}")
            return
        for index, item in enumerate(value):
            self.add(f"{name or NAMELESS}_{index}", item, depth + 1)

    def _add_scalar(self, name: str, value: object, meaning: Meaning) -> None:
        if isinstance(value, bool):
            self._put(name, value, Meaning("", meaning.quantity))
        elif isinstance(value, int):
            self._put(name, value if MIN_INT <= value <= MAX_INT else _as_float(value), meaning)
        elif isinstance(value, float):
            self._put(name, value, meaning)
        elif isinstance(value, str):
            if len(value) > MAX_TEXT:
                self.warnings.append(f"{name[:40]}: a text of {len(value)} characters, want at most {MAX_TEXT}")
                return
            if _NUMBER(value) and (meaning != Meaning() or tells_quantity(name)):  # toFixed() makes texts of numbers
                self._put(name, float(value) if "." in value else int(value), meaning)
                return
            self._put(name, value, Meaning("", meaning.quantity))
        else:
            self.warnings.append(f"{name[:40]}: {type(value).__name__} is not a value")

    def _put(self, name: str, value: Value, meaning: Meaning) -> None:
        if isinstance(value, float) and not isfinite(value):
            self.warnings.append(f"{name[:40]}: {value} is not a finite number")
            return
        if len(self.readings) >= MAX_READINGS:
            self.warnings.append(f"only the first {MAX_READINGS} values are used")
            return
        name = wanted = (name or NAMELESS)[:MAX_NAME]
        count = 2
        while name in self._names:
            name = f"{wanted}_{count}"
            count += 1
        self._names.add(name)
        self.readings.append(Reading(name, value, meaning.unit, quantity=meaning.quantity))


def _position(value: Mapping[object, object]) -> dict[str, Value] | None:
    """Return an object as a position with Waziup's names; None when it is not one.

    A position has both coordinates, perhaps an altitude, and nothing else.
    """
    found: dict[str, Value] = {}
    for wanted, spellings in (("latitude", _LATITUDES), ("longitude", _LONGITUDES), ("altitude", _ALTITUDES)):
        key = next((key for key in spellings if key in value), None)
        number = value.get(key) if key else None
        if isinstance(number, (int, float)) and not isinstance(number, bool) and isfinite(_as_float(number)):
            found[wanted] = number
        elif wanted != "altitude":
            return None
    if not (abs(_as_float(found["latitude"])) <= 90 and abs(_as_float(found["longitude"])) <= 180):
        return None
    known = {*_LATITUDES, *_LONGITUDES, *_ALTITUDES}
    return found if all(key in known for key in value) else None


def _value_with_unit(value: Mapping[object, object]) -> tuple[object, str] | None:
    """Return value and unit of `{"value": 21.5, "unit": "°C"}`; None for another object.

    Decentlab's codecs write each value like this. An unknown unit is "".
    """
    if "value" not in value or not set(value) <= {"value", "unit", "displayName", "units", "name", "label"}:
        return None
    if isinstance(value["value"], (dict, list)) or len(value) == 1:
        return None
    unit = value.get("unit", value.get("units"))
    return value["value"], known_unit(unit) if isinstance(unit, str) else ""


def _as_float(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except OverflowError:
        return float("inf")
