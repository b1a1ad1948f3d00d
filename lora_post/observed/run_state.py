"""The state of a run as the page, the metrics and the alerts see it: one moment, plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from msgspec import Struct

from lora_post.command import Command
from lora_post.config.alerts import AlertLimits
from lora_post.downlink.duty_cycle import AirTime
from lora_post.errors import Problem
from lora_post.observed.carried import Carried
from lora_post.times import NEVER, SteadyUs, WallUs

CLOCK: Final = "clock"
"""The part whose trouble is that the time is not known, or the system clock wrong."""

UNLIMITED: Final = AlertLimits(0, 0, 0, 0, 0)
"""Every rule is off."""


class GatewayState(Struct, frozen=True):
    """A packet forwarder that an input hears. stat: what it told of itself, by the names of Semtech's protocol."""

    name: str
    last_us: SteadyUs
    stat: Mapping[str, float]


class InputState(Struct, frozen=True):
    """Where frames come from.

    last_us: the latest frame, NEVER for none. trouble: why none can come. more: gateways besides those.
    """

    name: str
    last_us: SteadyUs
    trouble: Problem | None = None
    gateways: tuple[GatewayState, ...] = ()
    more: int = 0


class DestinationState(Struct, frozen=True):
    """One sink's queue.

    oldest_us: time of the oldest reading that is queued, 0 for none. last_us: last delivery. trouble: why it takes
    nothing. held: why the configuration keeps readings back, "" when it does not.
    """

    name: str
    queued: int
    parked: int
    refused: int
    oldest_us: WallUs
    last_us: SteadyUs
    trouble: Problem | None = None
    held: str = ""


class Disk(Struct, frozen=True):
    """The file system of the spool, and the spool's own size, in bytes."""

    free: int
    total: int
    spool: int


class RunState(Struct, frozen=True):
    """Everything but what was heard.

    Moments are on the steady clock, so that spans between them are true; ahead_us makes them µs since 1970 UTC.
    troubles: of parts that are not an input or a destination, by name. alerts: what persists, by key.
    commands: the last ones for devices, the newest last. fleet: what the fleet is at, in words. air_time: what
    gateways have used of theirs.
    deaf_us: the last moment when no input could give frames, NEVER for none. limits: of [alerts]. before: what
    earlier runs knew.
    """

    gateway: str
    started_us: SteadyUs
    now_us: SteadyUs
    inputs: tuple[InputState, ...]
    destinations: tuple[DestinationState, ...]
    disk: Disk
    stalled: tuple[str, ...]
    troubles: Mapping[str, Problem]
    alerts: Mapping[str, Problem] = {}
    ahead_us: int = 0
    deaf_us: SteadyUs = NEVER
    limits: AlertLimits = UNLIMITED
    before: Carried = Carried()
    commands: tuple[Command, ...] = ()
    fleet: tuple[str, ...] = ()
    air_time: tuple[AirTime, ...] = ()

    def since(self, last_us: SteadyUs, before_us: int) -> SteadyUs:
        """Return since when something is silent. last_us: NEVER for not in this run. before_us: silent already then."""
        return last_us or self.started_us - before_us


class Look(Protocol):
    """What gives the state at this moment."""

    def __call__(self) -> RunState: ...
