"""Whether a row of the queue is a reading: one bit that a card has lost, where SQLite sees no damage, makes it none."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, TypeGuard

import msgspec

from lora_post.clocks.scale import is_unknown, since_epoch
from lora_post.times import StampUs

FIRST_US: Final = since_epoch(datetime.min.replace(tzinfo=UTC))
LAST_US: Final = since_epoch(datetime.max.replace(tzinfo=UTC))
"""The last moment of the year 9999: no later one can be written as a date."""


def is_time(time: object) -> TypeGuard[StampUs]:
    """Whether this is a time that can be written as a date, or one that is not known yet."""
    return isinstance(time, int) and (FIRST_US <= time <= LAST_US or is_unknown(StampUs(time)))


def is_reading(row: tuple[object, object]) -> TypeGuard[tuple[StampUs, bytes]]:
    """Whether time and value are those of a reading; the value is to be JSON."""
    time, value = row
    if not is_time(time) or not isinstance(value, bytes):
        return False
    try:
        msgspec.json.decode(value)
    except (msgspec.MsgspecError, RecursionError):
        return False
    return True
