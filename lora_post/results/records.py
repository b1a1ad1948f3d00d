"""How codecs write records: the forms in which a value stands beside its name, unit, number or position.

Everything here looks at one object, and tells which of its keys have which part.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from math import isfinite
from typing import Final, TypeAlias

from lora_post.model import Value
from lora_post.text import printable

Record: TypeAlias = Mapping[object, object]

LABELS: Final = frozenset(("displayName", "name", "alias", "label", "type"))
_UNITS: Final = ("unit", "units")
_VALUES: Final = ("measurementValue", "value", "val", "data", "reading", "values")
_NAMES: Final = ("variable", "name", "OBIS_ID", "label", "measurement", "parameter", "sensor", "id", "type")
CHANNELS: Final = ("channel", "port", "pin_number", "slot")
NUMBERS: Final = (*CHANNELS, "index", "id")
_RADIOS: Final = frozenset(("mac", "bssid", "mac_address", "macAddress"))
_MAX_NAME: Final = 40
_MAX_NUMBER: Final = 100  # a larger one counts messages, not channels

# What lists are called that only hold records, which says nothing about what was measured.
_HOLDER: Final = re.compile(
    r"(?:list_?of_?)?(?:histor(?:y|ie|ic|ical)|data_?log|log|record|sample|reading|data|measure|measurement|message|frame"
    r"|entry|entrie|value|payload|item)s?(?:_?(?:data|list|log|history|record)s?)?",
    re.IGNORECASE,
)
_SPACE: Final = re.compile(r"\s+")

_POSITION: Final = (
    ("latitude", ("latitude", "lat", "Latitude")),
    ("longitude", ("longitude", "lon", "lng", "long", "Longitude")),
    ("altitude", ("altitude", "alt", "Altitude")),
)
# With their unit in the name: a position, whatever stands beside them.
_POSITION_IN_DEGREES: Final = (
    ("latitude", ("latitudeDeg", "latitude_deg", "latDeg", "lat_deg")),
    ("longitude", ("longitudeDeg", "longitude_deg", "lonDeg", "lngDeg", "longDeg", "lon_deg")),
    ("altitude", ("altitudeM", "altitude_m", "altM", "alt_m")),
)
_LATITUDES: Final = frozenset((*_POSITION[0][1], *_POSITION_IN_DEGREES[0][1]))

# Source: Seeed SenseCAP, list of measurement IDs.
_SENSECAP: Final = {
    4097: "air_temperature",
    4098: "air_humidity",
    4099: "illuminance",
    4100: "co2",
    4101: "barometric_pressure",
    4102: "soil_temperature",
    4103: "soil_moisture",
    4104: "wind_direction",
    4105: "wind_speed",
    4106: "ph",
    4107: "light_quantum",
    4108: "soil_conductivity",
    4109: "dissolved_oxygen",
    4113: "rainfall",
    4115: "distance",
    4117: "water_level",
}


def position_in(record: Record) -> tuple[dict[str, Value], frozenset[object]]:
    """Return the position that an object is or has, with Waziup's names, and its keys; empty without one.

    `latitude` and `longitude` are one where nothing else stands beside them but an altitude, `latitudeDeg` and
    `longitudeDeg` always.
    """
    if _LATITUDES.isdisjoint(record):
        return {}, frozenset()
    position, keys = _position(record, _POSITION)
    if position and len(keys) == len(record):
        return position, keys
    return _position(record, _POSITION_IN_DEGREES)


def _position(
    record: Record, spellings: Collection[tuple[str, tuple[str, ...]]]
) -> tuple[dict[str, Value], frozenset[object]]:
    found: dict[str, Value] = {}
    keys: set[object] = set()
    for name, spelled in spellings:
        key = next((key for key in spelled if key in record), None)
        number = record.get(key) if key else None
        if isinstance(number, (int, float)) and not isinstance(number, bool) and isfinite(as_float(number)):
            found[name] = number
            keys.add(key)
    good = (
        {"latitude", "longitude"} <= found.keys()
        and abs(as_float(found["latitude"])) <= 90
        and abs(as_float(found["longitude"])) <= 180
    )
    return (found, frozenset(keys)) if good else ({}, frozenset())


def as_float(value: object) -> float:
    """Return a number as a float, infinity for one beyond all floats."""
    try:
        return float(value)  # type: ignore[arg-type]
    except OverflowError:
        return float("inf")


def value_key(record: Record) -> str | None:
    """Return the key of the one value that an object with a unit or a label is about; None for another object."""
    key = next((key for key in _VALUES if key in record), None)
    if key is None or not any(isinstance(record.get(beside), str) for beside in (*_UNITS, "displayName")):
        return None
    return key


def units_beside(record: Record) -> dict[object, tuple[object, str]]:
    """Return for keys of an object the key of their unit, and the unit as it is written.

    `{"value": 5, "unit": "V"}`, `{"power": 5, "power_unit": "W"}`, `{"power": 5, "powerUnit": "W"}`.
    """
    found: dict[object, tuple[object, str]] = {}
    for item in record.values():
        if isinstance(item, str):
            break
    else:
        return found
    main = next((key for key in _VALUES if key in record), None)
    for unit_key in _UNITS:
        if main is not None and isinstance(unit := record.get(unit_key), str):
            found.setdefault(main, (unit_key, unit))
    for key in record:
        for unit_key in (f"{key}_unit", f"{key}Unit", f"{key}_Unit"):
            if isinstance(unit := record.get(unit_key), str):
                found[key] = (unit_key, unit)
    return found


def name_beside(record: Record) -> tuple[str, str | None, frozenset[object]]:
    """Return the name that stands beside a value in a record, the value's key, and the keys of the name.

    "" where no name stands there, or only a number.
    """
    value = next((key for key in _VALUES if key in record), None)
    if value is None:
        return "", None, frozenset()
    number = as_int(record.get("measurementId"))
    if number is not None:
        kind = record.get("type")
        other = slug(kind) if isinstance(kind, str) and kind != "report_telemetry" else ""
        return _SENSECAP.get(number) or other or f"measurement_{number}", value, frozenset(("measurementId", "type"))
    for key in _NAMES:
        name = slug(record[key]) if isinstance(record.get(key), str) else ""
        if name and key != value and as_int(name) is None:
            return name, value, frozenset((key, *LABELS))
    return "", value, frozenset()


def number_beside(record: Record, keys: Collection[str]) -> tuple[int | None, frozenset[object]]:
    """Return the number that tells a record from its neighbours, and its key. keys: those that may have it."""
    for key in keys:
        number = as_int(record.get(key))
        if number is not None and number < _MAX_NUMBER and len(record) > 1:
            return number, frozenset((key,))
    return None, frozenset()


def is_radio(record: Record) -> bool:
    """Tell whether a record is about a radio that was seen, such as a WiFi access point."""
    return not _RADIOS.isdisjoint(record)


def is_holder(name: str) -> bool:
    """Tell whether a name is that of a list which only holds records: history, samples, messages."""
    return _HOLDER.fullmatch(name) is not None


def slug(text: object) -> str:
    """Return a name as it is written in a record: without blanks; "" for one too long to be a name."""
    plain = printable(str(text).strip())
    if not plain or len(plain) > _MAX_NAME:
        return ""
    return _SPACE.sub("_", plain).lower() if _SPACE.search(plain) else plain


def as_int(value: object) -> int | None:
    """Return a small whole number, as a number or as digits; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    text = str(value)
    return int(text) if len(text) <= 5 and text.isascii() and text.isdigit() else None
