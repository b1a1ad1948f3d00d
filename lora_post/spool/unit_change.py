"""Readings that come in another unit than their sensor had: converted, or its unit is a new one.

A unit of the same dimension is converted. Any other is what a corrected decoder or rule says of the same numbers: the
sensor takes it over, and so do servers, which find the change noted in the table `known`.
"""

from __future__ import annotations

import logging
import sqlite3
from typing import Final

from lora_post.model import Reading, Value
from lora_post.spool.facts import note_first
from lora_post.spool.model import Lane
from lora_post.units import UNITS, conversion, tidy
from lora_post.waziup.kinds import describe
from lora_post.waziup.names import to_id

log = logging.getLogger(__name__)

NO_UNIT: Final = ""


def subject_of(sink: str) -> str:
    """Return the subject of the facts about a sink's sensors with a new unit."""
    return f"new units {sink}"


def fact_of(device: str, sensor_id: str) -> str:
    """Return what is noted of a sensor under that subject; its value is the Waziup unit that it had, "" for none."""
    return f"{device}/{sensor_id}"


def between(unit: str, lane_unit: str, value: Value) -> tuple[float, float] | None:
    """Return factor and offset from a unit to that of a lane, None where they measure different things."""
    return None if isinstance(value, bool | str) else conversion(unit, lane_unit)


def converted(value: Value, factor: float, offset: float) -> Value:
    """Return a value in another unit, inside objects and lists as well."""
    if isinstance(value, dict):
        return {key: converted(item, factor, offset) for key, item in value.items()}
    if isinstance(value, list):
        return [converted(item, factor, offset) for item in value]
    if isinstance(value, bool | str) or (factor, offset) == (1, 0):
        return value
    return tidy((value / (1 / factor) if factor < 1 else value * factor) + offset)


def is_label_of(reading: Reading) -> bool:
    """Tell whether a reading's unit is one, of something that has units."""
    return reading.unit in UNITS and not isinstance(reading.value, bool | str)


def note(db: sqlite3.Connection, sink: str, before: Lane, after: Lane) -> None:
    """Write down that a lane has another unit now, for the sink to tell its server, if it has another one on Waziup.

    The first unit stays noted until then: it is the one that the server has.
    """
    was, now = (describe(lane.name, lane.unit, lane.quantity, lane.channel) for lane in (before, after))
    if was == now:
        return
    log.warning(
        "device=%s sensor=%s: its unit is %r now, it was %r", before.device, before.name, after.unit, before.unit
    )
    note_first(db, subject_of(sink), fact_of(before.device, to_id(before.name)), was.unit or NO_UNIT)
