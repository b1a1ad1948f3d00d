"""How long things have been silent, over restarts.

A gateway that loses power twice a day would never find out that a device has been silent for a day. What is
carried over is the time that was spent listening: while it was switched off, it could not hear anybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from lora_post.observed.run_state import RunState
from lora_post.observed.site_state import DeviceView
from lora_post.times import NEVER, SteadyUs


class Quiet(Struct, frozen=True, array_like=True):
    """A device. silent_us: how long it had not been heard; usual_us: the distance of its uplinks, 0 for unknown."""

    silent_us: int
    usual_us: int


class Carried(Struct, frozen=True):
    """What the last run knew when it ended."""

    no_frame_us: int = 0
    no_upload_us: Mapping[str, int] = {}
    devices: Mapping[str, Quiet] = {}

    def since(self, last_us: SteadyUs, runtime: RunState, before_us: int) -> SteadyUs:
        """Since when something has been silent. last_us: when it was heard in this run, 0 for not."""
        return last_us or runtime.started_us - before_us

    def quiet(self, device: DeviceView) -> Quiet:
        """What is known of a device from before."""
        return self.devices.get(device.id, _UNKNOWN)


_UNKNOWN = Quiet(0, 0)


def carry(runtime: RunState, devices: Iterable[DeviceView], before: Carried) -> Carried:
    """What the next run is to know."""
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
