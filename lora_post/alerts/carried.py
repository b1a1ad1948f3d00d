"""Carry over restarts how long things have been silent."""

from __future__ import annotations

from collections.abc import Iterable

from lora_post.observed.carried import Carried, Quiet
from lora_post.observed.run_state import RunState
from lora_post.observed.site_state import DeviceView
from lora_post.times import NEVER


def carry(runtime: RunState, devices: Iterable[DeviceView]) -> Carried:
    """Return what the next run is to know."""
    now_us, before = runtime.now_us, runtime.before
    last_us = max((item.last_us for item in runtime.inputs), default=NEVER)
    return Carried(
        no_frame_us=now_us - runtime.since(last_us, before.no_frame_us),
        no_upload_us={
            item.name: now_us - runtime.since(item.last_us, before.no_upload_us.get(item.name, 0))
            for item in runtime.destinations
        },
        devices={
            device.id: Quiet(
                now_us - runtime.since(device.last_us, before.quiet(device.id).silent_us),
                device.usual_us or before.quiet(device.id).usual_us,
            )
            for device in devices
        },
    )
