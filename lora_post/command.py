"""A command: what a device is to get, and what became of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

DEFAULT_LIFE_S: Final = 86_400.0
MAX_STEPS: Final = 16
NO_PORT: Final = 1
"""Stands for the FPort where a device's header has none."""
_SET_FROM_US: Final = 1_735_689_600_000_000  # 2025-01-01: a clock that says less was never set


class Fate(StrEnum):
    """What became of a command."""

    QUEUED = "queued"
    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    NOT_ACKNOWLEDGED = "not acknowledged"
    REFUSED = "refused"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class Moment(Struct, frozen=True):
    """A time as this machine has it. wall_us: µs since 1970 UTC, right or wrong. boot_us: µs since the boot `boot`."""

    wall_us: int
    boot: str
    boot_us: int


class Step(Struct, frozen=True):
    """Something that happened to a command. at_us: µs since 1970 UTC."""

    at_us: int
    text: str


class Sealed(Struct, frozen=True):
    """The frame that a command is sent in; it may be sent again as long as its counter is the newest.

    session: what the counter belongs to. acked_fcnt: of the uplink that it acknowledges, None for none. says_time: it
    tells the device the time, so it is not sent later.
    """

    session: str
    fcnt: int
    phy_payload: bytes
    acked_fcnt: int | None = None
    says_time: bool = False


class Command(Struct, frozen=True):
    """A payload for a device.

    id: counts from 1, in the order in which commands are sent; 0 while it has none. life_s: it is sent within so long
    after `made`. actuator, value: what it was encoded from, "" and None for bytes. sealed: how it was sent last.
    tries: how often it may have been on air. gateway, window: where that was last. is_open: the gateway that was given
    it has not said yet what became of it.
    """

    device: str
    fport: int
    payload: bytes
    made: Moment
    id: int = 0
    is_confirmed: bool = False
    life_s: float = DEFAULT_LIFE_S
    actuator: str = ""
    value: object = None
    fate: Fate = Fate.QUEUED
    steps: tuple[Step, ...] = ()
    sealed: Sealed | None = None
    tries: int = 0
    gateway: str = ""
    window: str = ""
    is_open: bool = False

    @property
    def is_over(self) -> bool:
        """Whether nothing more becomes of it."""
        return self.fate is not Fate.QUEUED and not (self.fate is Fate.SENT and self.is_confirmed)

    @property
    def about(self) -> str:
        """How logs call it."""
        return f"command {self.id} for {self.device}"

    def carrying(self, fport: int, payload: bytes) -> Command:
        """Return it with what is to be sent."""
        return replace(self, fport=fport, payload=payload)

    def with_step(self, now: Moment, text: str) -> Command:
        """Return it with one more step; the same one again is not told twice."""
        if self.steps and self.steps[-1].text == text:
            return self
        return replace(self, steps=(*self.steps, Step(now.wall_us, text))[-MAX_STEPS:])

    def ended(self, now: Moment, fate: Fate, text: str = "") -> Command:
        """Return it with a fate and the step that says why."""
        changed = replace(self, fate=fate, is_open=False)
        return replace(changed, steps=(*self.steps, Step(now.wall_us, text or fate.value))[-MAX_STEPS:])


def age_s(made: Moment, now: Moment) -> float | None:
    """Return how long ago a moment was; None while that is not known: after a boot, before the clock is set."""
    if made.boot == now.boot:
        return (now.boot_us - made.boot_us) / 1e6
    if made.wall_us < _SET_FROM_US or now.wall_us < _SET_FROM_US:
        return None
    return (now.wall_us - made.wall_us) / 1e6


def is_late(command: Command, now: Moment) -> bool:
    """Tell whether the life of a command is over."""
    age = age_s(command.made, now)
    return age is not None and age >= command.life_s
