"""Times that codecs write beside values, found and read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Final

_NAME = re.compile(
    r"(?:.*_)?(?:time_?stamp|date_?time|unix_?time|iso_?time|utc_?time|epoch|recorded_at|measured_at)(?:_(?:unix|utc|s|ms|iso))?"
    r"|time|ts|date|utc|(?:record|measure|measurement|sample|log|event|data|sys|rtc|device)_?(?:time|date)"
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NUMERIC = re.compile(r"[0-9]{9,13}(?:\.[0-9]{1,6})?")
_LONGEST_NAME: Final = 120  # what is known of names is remembered
_MILLISECONDS_FROM: Final = 10**11
_FIRST_UNIX_S: Final = 10**8  # a smaller number counts from a start, or is no time
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_PARTS: Final = (("hours", "hour"), ("minutes", "minute"), ("seconds", "second"))


def is_time_name(key: object) -> bool:
    """Tell whether a key is one that times have: timestamp, dateTime, frame_unixtime."""
    return isinstance(key, str) and len(key) <= _LONGEST_NAME and _is_time_name(key)


@lru_cache(maxsize=1024)
def _is_time_name(name: str) -> bool:
    return _NAME.fullmatch(_CAMEL.sub("_", name).lower()) is not None


def time_in(record: Mapping[object, object]) -> tuple[float | None, frozenset[object]]:
    """Return the time that a record has, seconds since 1970 UTC, and the keys that tell it."""
    found = {key: time for key in record if is_time_name(key) and (time := read_time(record[key])) is not None}
    return (next(iter(found.values())), frozenset(found)) if found else (None, frozenset())


def read_time(value: object) -> float | None:
    """Return what is written as a time in seconds since 1970 UTC; None for what is not one.

    Taken are Unix times in seconds and milliseconds, ISO 8601 and RFC 2822, and objects of year, month and day or
    with a `unix` time. Texts without a zone are UTC.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return _unix(float(value)) if abs(value) < 10**15 else None
    if isinstance(value, str):
        return _from_text(value.strip()) if len(value) <= 40 else None
    return _from_parts(value) if isinstance(value, Mapping) else None


def _unix(number: float) -> float | None:
    seconds = number / 1000 if number >= _MILLISECONDS_FROM else number
    return seconds if seconds >= _FIRST_UNIX_S else None


def _from_text(text: str) -> float | None:
    if _NUMERIC.fullmatch(text):
        return _unix(float(text))
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = parse(text)
            return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
        except (ValueError, TypeError, OverflowError, IndexError):
            continue
    return None


def _from_parts(value: Mapping[object, object]) -> float | None:
    if "unix" in value:
        return read_time(value["unix"])
    try:
        hour, minute, second = (_whole(next((value[key] for key in keys if key in value), 0)) for keys in _PARTS)
        month = value["month"]
        number = _MONTHS.index(month[:3].lower()) + 1 if isinstance(month, str) else _whole(month)
        day = _whole(value["year"]), number, _whole(value["day"])
        return datetime(*day, hour, minute, second, tzinfo=UTC).timestamp()
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _whole(value: object) -> int:
    return int(value)  # type: ignore[call-overload, no-any-return]
