"""Data of the queue: sensors, and readings on their way to a sink."""

from __future__ import annotations

from msgspec import Struct

from lora_post.errors import Problem
from lora_post.times import StampUs, WallUs


class Lane(Struct, frozen=True):
    """One sensor of one device at one sink: it waits, backs off and is parked as one."""

    id: int
    device: str
    name: str
    unit: str
    quantity: str
    channel: int | None


class Waiting(Struct, frozen=True):
    """A lane that has readings, and the time of the oldest one, µs since 1970 UTC."""

    lane: Lane
    oldest_us: WallUs


class Batch(Struct, frozen=True):
    """The oldest readings of one lane, in time order, on their way to a sink.

    times_us: µs since 1970 UTC, all different. values: JSON, one for each time.
    """

    lane: Lane
    times_us: tuple[WallUs, ...]
    values: tuple[bytes, ...]


class SensorState(Struct, frozen=True):
    """A sensor in the spool: how many readings wait or are held back, how many were refused.

    oldest_us: of the oldest of them, None when there are none. sink: where it goes.
    """

    device: str
    name: str
    is_parked: bool
    waiting: int
    refused: int
    oldest_us: StampUs | None
    sink: str


class Parked(Struct, frozen=True):
    """A sensor that is held back, or readings of it that were refused one by one.

    since_us: when it was parked, or the time of the oldest refused reading. refused: that reading's JSON value.
    """

    device: str
    name: str
    why: Problem
    readings: int
    since_us: StampUs
    sink: str
    refused: bytes | None = None
