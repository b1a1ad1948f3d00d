"""The wall clock, times as text, and the scale of times that are not known yet.

A time is one int. Up to `UNKNOWN_FROM_US` it is µs since 1970 UTC; from there on it is a place on the clock of
one boot of this machine: a slot for the boot, and µs since that boot. Such times sort behind all known ones and
in the order of boots, and are put right by adding one number once the time is learned, see `boots`.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, TypeGuard

from lora_post.times import StampUs, WallUs

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_US: Final = timedelta(microseconds=1)
_FIRST_US: Final = (datetime.min.replace(tzinfo=UTC) - EPOCH) // _US
_LAST_US: Final = (datetime.max.replace(tzinfo=UTC) - EPOCH) // _US
_MINUTES = tuple(f"{number:02}" for number in range(60))

UNKNOWN_FROM_US: Final = StampUs(1 << 62)
BOOT_SLOTS: Final = 1 << 14
"""At three boots a day a slot comes round after 15 years."""

_SLOT_US: Final = 1 << 48
# Readings may be older than the boot: a device tells how long ago it measured. Four years are room enough.
_BOOT_ZERO_US: Final = 1 << 47


def now_us() -> WallUs:
    """Return µs since 1970 UTC by this machine's clock."""
    return WallUs(time.time_ns() // 1000)


def boot_zero(slot: int) -> StampUs:
    """Return when a boot began, on the scale of unknown times. slot: its number modulo BOOT_SLOTS."""
    return UNKNOWN_FROM_US + slot * _SLOT_US + _BOOT_ZERO_US


def slot_range(slot: int) -> tuple[StampUs, StampUs]:
    """Return the first and the last time of a boot's slot."""
    first = UNKNOWN_FROM_US + slot * _SLOT_US
    return first, first + _SLOT_US - 1


def slot_of(time_us: StampUs) -> int:
    """Return the slot of the boot in which an unknown time was taken."""
    return (time_us - UNKNOWN_FROM_US) // _SLOT_US


def is_time(time: object) -> TypeGuard[StampUs]:
    """Tell whether this is a time that can be written as a date, or one that is not known yet."""
    return isinstance(time, int) and (_FIRST_US <= time <= _LAST_US or is_unknown(StampUs(time)))


def is_unknown(time_us: StampUs) -> bool:
    """Whether a time still waits for the clock."""
    return time_us >= UNKNOWN_FROM_US


def since_epoch(moment: datetime) -> WallUs:
    """Return a datetime with a zone in µs since 1970 UTC, negative before that."""
    return WallUs((moment - EPOCH) // _US)


def utc_text(time_us: StampUs) -> str:
    """Return RFC 3339 in UTC with `Z`: six fraction digits, none for a whole second; "unknown" while it is that."""
    if time_us >= UNKNOWN_FROM_US:
        return "unknown"
    try:
        return (EPOCH + timedelta(microseconds=time_us)).isoformat()[:-6] + "Z"
    except OverflowError:
        return "unknown"  # no moment before the year 10000: a damaged file may hold anything


def short_utc_text(time_us: WallUs) -> str:
    """Return the same in as few characters as RFC 3339 allows: without the zeros at the end of a fraction."""
    second, fraction = divmod(time_us, 1_000_000)
    hour, second = divmod(second, 3600)
    digits = f".{str(1_000_000 + fraction)[1:]}".rstrip("0") if fraction else ""
    return f"{_hour_text(hour)}:{_MINUTES[second // 60]}:{_MINUTES[second % 60]}{digits}Z"


@lru_cache(64)  # the readings of a batch are of some hours
def _hour_text(hours: int) -> str:
    return (EPOCH + timedelta(hours=hours)).isoformat()[:13]


def parse_utc(text: str) -> WallUs:
    """Return the instant of an RFC 3339 text with a zone, in µs since 1970 UTC.

    Raises ValueError when there is no zone, the text is no time, or it is before 1970.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"no time zone in {text!r}")
    if moment < EPOCH:
        raise ValueError(f"{text!r} is before 1970")
    return since_epoch(moment)
