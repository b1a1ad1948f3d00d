"""Carry over restarts how long things have been silent.

Otherwise a gateway that loses power twice a day would never find out that a device has been silent for a day.
Only the time spent listening counts: a gateway that is off cannot hear a device.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from lora_post.observed.run_state import RunState
from lora_post.observed.site_state import DeviceView
from lora_post.times import NEVER, SteadyUs


class Quiet(Struct, frozen=True, array_like=True):
    """How long a device had not been heard. usual_us: the usual time between its uplinks, 0 for unknown."""

    silent_us: int
    usual_us: int


class Carried(Struct, frozen=True):
    """What the last run knew when it ended."""

    no_frame_us: int = 0
    no_upload_us: Mapping[str, int] = {}
    devices: Mapping[str, Quiet] = {}

    def since(self, last_us: SteadyUs, runtime: RunState, before_us: int) -> SteadyUs:
        """Return since when something has been silent. last_us: when it was heard in this run, or NEVER."""
        return last_us or runtime.started_us - before_us

    def quiet(self, device: DeviceView) -> Quiet:
        """Return what is known of a device from before."""
        return self.devices.get(device.id, _UNKNOWN)


_UNKNOWN = Quiet(0, 0)


def carry(runtime: RunState, devices: Iterable[DeviceView], before: Carried) -> Carried:
    """Return what the next run is to know."""
    now_us = runtime.now_us
    last_us = max((item.last_us for item in runtime.inputs), default=NEVER)
    return Carried(
        no_frame_us=now_us - before.since(last_us, runtime, before.no_frame_us),
        no_upload_us={
            item.name: now_us - before.since(item.last_us, runtime, before.no_upload_us.get(item.name, 0))
            for item in runtime.destinations
        },
        devices={
            device.id: Quiet(
                now_us - before.since(device.last_us, runtime, before.quiet(device).silent_us),
                device.usual_us or before.quiet(device).usual_us,
            )
            for device in devices
        },
    )
