"""The wall clock, and times as text."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def now_us() -> int:
    """Microseconds since 1970 UTC by this machine's clock."""
    return time.time_ns() // 1000


def utc_text(time_us: int) -> str:
    """RFC 3339 in UTC with `Z`; six fraction digits, or none for a whole second."""
    return (_EPOCH + timedelta(microseconds=time_us)).isoformat()[:-6] + "Z"


def short_utc_text(time_us: int) -> str:
    """The same instant in as few characters as RFC 3339 allows: without the zeros at the end of a fraction."""
    day, us_of_day = divmod(time_us, 86_400_000_000)
    second, fraction = divmod(us_of_day, 1_000_000)
    minute, second = divmod(second, 60)
    hour, minute = divmod(minute, 60)
    digits = f".{fraction:06}".rstrip("0") if fraction else ""
    return f"{_date_text(day)}T{hour:02}:{minute:02}:{second:02}{digits}Z"


@lru_cache(16)  # the readings of a batch are of a day or two
def _date_text(days: int) -> str:
    return (_EPOCH + timedelta(days)).date().isoformat()


def parse_utc(text: str) -> int:
    """The instant of an RFC 3339 text with a zone, in µs since 1970 UTC.

    Raises ValueError when there is no zone, the text is no time, or it is before 1970.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"no time zone in {text!r}")
    if moment < _EPOCH:
        raise ValueError(f"{text!r} is before 1970")
    return (moment - _EPOCH) // timedelta(microseconds=1)
