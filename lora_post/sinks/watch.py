"""What a destination has to be able to do that values are set at, to be sent to devices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct


class Setting(Struct, frozen=True):
    """A value that was set for an actuator of a device."""

    device: str
    actuator: str
    value: object


class Watch(Protocol):
    """Finds values that were set; for one thread. every_s: how often it is to look."""

    every_s: float

    def look(self, devices: Sequence[str]) -> list[Setting]:
        """Return what was set since the last look for these devices. Raises SinkError, SpoolError."""
        ...

    def taken(self, setting: Setting) -> None:
        """Note that a value is on its way, so that it is not found again. Raises SpoolError."""
        ...

    def close(self) -> None:
        """End the connection."""
        ...
