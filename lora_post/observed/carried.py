"""What the last run knew when it ended: how long things had been silent.

Otherwise a gateway that loses power twice a day would never find out that a device has been silent for a day.
Only the time spent listening counts: a gateway that is off cannot hear a device.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct


class Quiet(Struct, frozen=True, array_like=True):
    """How long a device had not been heard. usual_us: the usual time between its uplinks, 0 for unknown."""

    silent_us: int
    usual_us: int


class Carried(Struct, frozen=True):
    """What a run knows of the ones before it. listened_us: for how long they have listened, all in all."""

    no_frame_us: int = 0
    no_upload_us: Mapping[str, int] = {}
    devices: Mapping[str, Quiet] = {}
    listened_us: int = 0

    def quiet(self, device: str) -> Quiet:
        """Return what is known of a device from before. device: its id."""
        return self.devices.get(device, _UNKNOWN)


_UNKNOWN: Final = Quiet(0, 0)
