"""The state of a run as the page, the metrics and the alerts see it: one moment, plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct


class Input(Struct, frozen=True):
    """Where frames come from. last_us: the latest frame, 0 for none. trouble: why none can come, "" for nothing."""

    name: str
    last_us: int
    trouble: str


class Destination(Struct, frozen=True):
    """One sink's queue. oldest_us: time of the oldest reading that is queued, 0 for none; last_us: last delivery."""

    name: str
    queued: int
    parked: int
    refused: int
    oldest_us: int
    last_us: int
    trouble: str


class Disk(Struct, frozen=True):
    """The file system of the spool, and the spool's own size, in bytes."""

    free: int
    total: int
    spool: int


class Runtime(Struct, frozen=True):
    """Everything but what was heard. alerts: what persists, by name; counts: totals since the start."""

    gateway: str
    started_us: int
    now_us: int
    inputs: tuple[Input, ...]
    destinations: tuple[Destination, ...]
    disk: Disk
    counts: Mapping[str, int]
    stalled: tuple[str, ...]
    troubles: Mapping[str, str]
    alerts: Mapping[str, str]


class Look(Protocol):
    """Gives the state at this moment."""

    def __call__(self) -> Runtime: ...
