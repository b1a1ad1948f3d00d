"""Timestamps as Waziup takes them: grammar, limits, and how they come back.

Sources: attoparsec-iso8601 1.0.1.0 (what aeson 1.4.7 parses times with);
telefonicaid/fiware-orion 2.2.0: src/lib/common/globals.cpp (the limit of 29 characters);
Waziup/wazicloud-api: orion-hs/src/Orion/Client.hs (times go to Orion as text).
"""

from __future__ import annotations

import re
from datetime import date, timedelta

from lora_post.clocks.scale import EPOCH
from lora_post.times import WallUs

_EPOCH_DAY = EPOCH.toordinal()
_DAYS_IN_400_YEARS = 146_097
_FIRST_S = -62_135_596_800  # 0001-01-01T00:00:00Z
_LAST_S = 253_402_300_799  # 9999-12-31T23:59:59Z
# Orion's date parser returns -1 for "not a date", so this one second reads as a mistake.
_ORION_ERROR_S = -1
_ORION_MAX_FRACTION = 8  # 19 characters to the second, a point, 8 digits and Z are 29

# Nine digits of year keep every instant inside 64 bits.
_INSTANT = re.compile(
    r"([+-]?)([0-9]{1,9})-([0-9]{2})-([0-9]{2})[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]+))?)?"
    r" ?(?:Z|([+-])([0-9]{2})(?::?([0-9]{2}))?)"
)


class Instant:
    """A moment: whole seconds since 1970 UTC, and the digits behind the point without trailing zeros."""

    __slots__ = ("fraction", "second")

    def __init__(self, second: int, fraction: str = "") -> None:
        self.second = second
        self.fraction = fraction

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Instant) and (self.second, self.fraction) == (other.second, other.fraction)

    def __hash__(self) -> int:
        return hash((self.second, self.fraction))

    def __repr__(self) -> str:
        return f"Instant({self.second}, {self.fraction!r})"


def parse_instant(text: str) -> Instant:
    """Read a timestamp with a mandatory zone; 12 fraction digits are kept, more are ignored.

    Raises ValueError when the text is outside the grammar, so for the cloud no time at all.
    """
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise ValueError("date must be of form [+,-]YYYY-MM-DDTHH:MM:SS.SSS with Z or +HH:MM")
    sign, year, month, day, hour, minute, second, fraction, zone_sign, zone_hour, zone_minute = match.groups()
    clock = (int(hour), int(minute), int(second or 0))
    if clock >= (24,) or clock[1] > 59 or clock[2] > 60:  # 60: a leap second, here the next minute's first
        raise ValueError("invalid time")
    offset = _zone_minutes(zone_sign, zone_hour, zone_minute)
    days = _day_number(-int(year) if sign == "-" else int(year), int(month), int(day))
    seconds = ((days * 24 + clock[0]) * 60 + clock[1] - offset) * 60 + clock[2]
    return Instant(seconds, (fraction or "")[:12].rstrip("0"))


def _zone_minutes(sign: str | None, hours: str | None, minutes: str | None) -> int:
    if hours is None:
        return 0
    offset = int(hours) * 60 + int(minutes or 0)
    if sign == "-":
        offset = -offset
    if offset and (not -720 <= offset <= 840 or int(minutes or 0) > 59):
        raise ValueError("invalid time zone offset")
    return offset


def _day_number(year: int, month: int, day: int) -> int:
    """Return the days since 1970-01-01 for any year. Raises ValueError for a day that the calendar lacks."""
    alike = date(2000 + year % 400, month, day)
    return alike.toordinal() - _EPOCH_DAY + (year // 400 - 5) * _DAYS_IN_400_YEARS


def fits_orion(instant: Instant) -> bool:
    """Tell whether Orion stores it: years 1 to 9999, 8 fraction digits, and not the second before 1970."""
    return (
        _FIRST_S <= instant.second <= _LAST_S
        and instant.second != _ORION_ERROR_S
        and len(instant.fraction) <= _ORION_MAX_FRACTION
    )


def instant_text(instant: Instant) -> str:
    """Return the instant in UTC with `Z`, trailing zeros dropped; for years 1 to 9999."""
    text = second_text(instant.second)
    return f"{text[:-1]}.{instant.fraction}Z" if instant.fraction else text


def second_text(second: int) -> str:
    """Return a whole second since 1970 as text in UTC with `Z`."""
    return (EPOCH + timedelta(seconds=second)).isoformat()[:-6] + "Z"


def clock_text(time_us: WallUs) -> str:
    """Return a moment of the server's clock, in µs since 1970 UTC, as text."""
    second, micros = divmod(time_us, 1_000_000)
    return instant_text(Instant(second, f"{micros:06d}".rstrip("0")))
