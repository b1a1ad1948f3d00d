"""Which readings tell of a battery, and whether in volts or in percent: by the unit, the name or the range.

Codecs and texts call it what they like (`BAT/2.1`, `batV`, `battery`), often without a unit.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache
from math import isfinite
from typing import Final

from msgspec import Struct

from lora_post.times import SteadyUs

_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_BATTERY: Final = re.compile(r"(v?)bat(?:t|tery)?(m?v|volt|voltage|level|lvl|pct|percent|percentage|soc|low)?")
_BY_WORD: Final = {
    **dict.fromkeys(("v", "mv", "volt", "volts", "voltage"), "V"),
    **dict.fromkeys(("level", "lvl", "pct", "percent", "percentage", "soc"), "%"),
}
_NOT_CHARGE: Final = frozenset(
    {"alarm", "age", "capacity", "charge", "charging", "count", "current", "cycles", "days", "error"}
    | {"health", "life", "low", "power", "state", "status", "temp", "temperature", "type"}
)
MAX_VOLTS: Final = 16.0
"""More than that is a percentage; a lead battery has up to 15 V."""
FEW: Final = 5.0
"""A whole number up to this is volts as long as nothing else is known: a battery is seldom at 5 %."""
PERCENT: Final = 100


class Told(StrEnum):
    """How the unit of a battery is known."""

    UNIT = "unit"
    NAME = "name"
    RANGE = "range"


class Battery(Struct, frozen=True):
    """The charge of a battery. unit: V or %. time_us: of the reading."""

    name: str
    value: float
    unit: str
    told: Told
    time_us: SteadyUs = SteadyUs(0)


def battery(name: str, value: object, unit: str, before: Battery | None = None) -> Battery | None:
    """Return what a reading says of a battery, None when it says nothing. before: what its sensor said last."""
    words = _words(name)
    if words is None or words & _NOT_CHARGE:
        return None
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not isfinite(value):
        return None
    if unit:
        found = {"V": (value, "V"), "mV": (value / 1000, "V"), "%": (value, "%")}.get(unit)
        return Battery(name, *found, Told.UNIT) if found else None
    by_name = next((_BY_WORD[word] for word in sorted(words) if word in _BY_WORD), None)
    kind = by_name or _by_range(value, before)
    if kind == "V" and value > PERCENT:
        value /= 1000
    if kind is None or not 0 <= value <= PERCENT:
        return None
    return Battery(name, value, kind, Told.NAME if by_name else Told.RANGE)


def is_low_flag(name: str, value: object) -> bool:
    """Return whether a reading is a device's own word that its battery is low: `battery_low` true."""
    words = _words(name)
    return words is not None and "low" in words and value is True


@lru_cache(maxsize=4096)  # names come by radio
def _words(name: str) -> frozenset[str] | None:
    """Return the words of a name in lower case, one that tells a battery cut into its parts; None without one."""
    found: set[str] = set()
    is_battery = False
    for word in _WORDS.findall(name):
        match = _BATTERY.fullmatch(word.lower())
        is_battery = is_battery or bool(match)
        found.update(match.groups(default="") if match else (word.lower(),))
    return frozenset(found) if is_battery else None


def _by_range(value: float, before: Battery | None) -> str | None:
    if value > PERCENT:
        return "V" if value >= 10 * PERCENT else None  # mV
    if value > MAX_VOLTS:
        return "%"
    if before:
        return before.unit
    return "V" if value <= FEW or value != int(value) else "%"
