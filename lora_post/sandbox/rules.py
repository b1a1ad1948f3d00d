"""What the server accepts, and what it makes of numbers: pure functions.

Sources: telefonicaid/fiware-orion 2.2.0: src/lib/parse/forbiddenChars.cpp, src/lib/common/limits.h,
src/lib/ngsi/ContextAttribute.cpp, src/lib/apiTypesV2/Entity.cpp; Waziup/wazicloud-api:
src/Waziup/Devices.hs (calibration); AesonBson 0.4.0 (integers are clamped).
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

from msgspec import Struct

from lora_post.sandbox.errors import orion_refuses
from lora_post.sandbox.instants import Instant, fits_orion

# Any JSON value as msgspec gives it: None, bool, int, float, str, list, dict with text keys.
Json: TypeAlias = Any

MAX_ID_BYTES = 256
# MongoDB stores no deeper documents; the bound also keeps the recursions below harmless.
MAX_DEPTH = 100

_FORBIDDEN_TEXT = frozenset("<>\"'=;()")
_ID_BYTES = frozenset(range(33, 127)) - frozenset(b"?/#&") - frozenset(b"<>\"'=;()")
_RESERVED_BY_NGSI = frozenset({"*", "geo:distance"})
_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1


# Ids and text


def check_device_id(device_id: str) -> None:
    """Raise ErrorAnswer unless Orion takes the id of a new device."""
    _check_length(device_id, "entity id length")
    if not has_id_bytes(device_id):
        raise orion_refuses("Invalid characters in entity id")


def check_attribute_id(name: str) -> None:
    """Raise ErrorAnswer unless Orion takes the id of a new sensor or actuator."""
    _check_length(name, "attribute name length")
    if not has_id_bytes(name) or name in _RESERVED_BY_NGSI:
        raise orion_refuses("Invalid characters in attribute name")


def check_uri_id(name: str) -> None:
    """Raise ErrorAnswer unless an id in a path reaches Orion: GET /devices/a=b is 400, not 404."""
    if not has_id_bytes(name) or not name:
        raise orion_refuses("invalid character in URI")
    _check_length(name, "entity id length")


def has_id_bytes(name: str) -> bool:
    """Tell whether all bytes are allowed in ids: printable ASCII without blanks and `?/#&<>"'=;()`."""
    return _ID_BYTES.issuperset(name.encode())


def _check_length(name: str, what: str) -> None:
    size = len(name.encode())
    if size == 0:
        raise orion_refuses(f"{what}: 0, min length supported: 1")
    if size > MAX_ID_BYTES:
        raise orion_refuses(f"{what}: {size}, max length supported: {MAX_ID_BYTES}")


def check_text(text: str, where: str = "attribute value") -> str:
    """Return the text, or raise ErrorAnswer when Orion refuses one of its characters."""
    if not _FORBIDDEN_TEXT.isdisjoint(text):
        raise orion_refuses(f"Invalid characters in {where}")
    return text


def check_instant(instant: Instant | None) -> None:
    """Raise ErrorAnswer for a time that the API can read and Orion cannot store."""
    if instant is not None and not fits_orion(instant):
        raise orion_refuses("date has invalid format")


# Values


def as_orion(value: Json, where: str = "attribute value", depth: int = 0) -> Json:
    """Return the value as Orion keeps it: texts checked, numbers as doubles, whole ones shown as integers.

    Raises ErrorAnswer for a forbidden character, a number beyond any double, too deep nesting.
    """
    if isinstance(value, str):
        return check_text(value, where)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return _double(value)
    _check_depth(depth)
    if isinstance(value, list):
        return [as_orion(item, where, depth + 1) for item in value]
    return {key: as_orion(item, where, depth + 1) for key, item in value.items()}


def _double(number: float) -> int | float:
    try:
        double = float(number)
    except OverflowError:
        raise orion_refuses("Number too big to be stored in double") from None
    return whole(double)


def whole(double: float) -> int | float:
    """Return a double as JSON shows it: 25 for 25.0, as long as that fits 64 bits."""
    return int(double) if double.is_integer() and abs(double) < _INT64_MAX else double


def as_history(value: Json, depth: int = 0) -> Json:
    """Return the value as MongoDB keeps it: whole numbers clamped to 64 bits, the others doubles.

    Raises ErrorAnswer when it is nested too deeply.
    """
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, float) and not value.is_integer():
        return value
    if isinstance(value, int | float):
        return min(max(int(value), _INT64_MIN), _INT64_MAX)
    _check_depth(depth)
    if isinstance(value, list):
        return [as_history(item, depth + 1) for item in value]
    return {key: as_history(item, depth + 1) for key, item in value.items()}


def _check_depth(depth: int) -> None:
    if depth == MAX_DEPTH:
        raise orion_refuses(f"nested deeper than {MAX_DEPTH} levels")


class CalibValue(Struct, frozen=True):
    """One point of a calibration line."""

    sensor_value: float
    real_value: float


class CalibLinear(Struct, frozen=True):
    """A line through two points."""

    enabled: bool
    value_min: CalibValue
    value_max: CalibValue


def calibrate(value: Json, line: CalibLinear | None) -> Json:
    """Return the value on the line; only numbers change.

    Where the line has no finite answer (two points with one sensor value), the number stays raw.
    """
    if line is None or not line.enabled or isinstance(value, bool) or not isinstance(value, int | float):
        return value
    low, high = line.value_min, line.value_max
    span = high.sensor_value - low.sensor_value
    if span == 0:
        return value
    real = (value - low.sensor_value) * (high.real_value - low.real_value) / span + low.real_value
    return whole(real) if math.isfinite(real) else value
