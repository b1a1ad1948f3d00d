"""Carry over restarts how long things have been silent.

Of a device it is written down when it was heard, by the time spent listening: that stays as it is while it is silent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct, json
from msgspec.structs import replace

from lora_post.observed.carried import Carried, Quiet
from lora_post.observed.device_view import DeviceView
from lora_post.observed.run_state import RunState
from lora_post.times import NEVER

_CARRIED: Final = "carried"
_DEVICE: Final = "device "


class _Heard(Struct, frozen=True, array_like=True):
    """When a device was heard last, in µs of listening; usual_us: the usual time between its uplinks, 0 for unknown."""

    listened_us: int
    usual_us: int


def restore(kept: Mapping[str, str]) -> Carried:
    """Return what the last run wrote down. Raises msgspec.DecodeError."""
    carried = json.decode(kept.get(_CARRIED, "{}"), type=Carried)
    devices = dict(carried.devices)  # of versions before 0.2, which wrote all of them at once
    for what, text in kept.items():
        if what.startswith(_DEVICE):
            heard = json.decode(text, type=_Heard)
            devices[what.removeprefix(_DEVICE)] = Quiet(carried.listened_us - heard.listened_us, heard.usual_us)
    return replace(carried, devices=devices)


def carry(runtime: RunState, devices: Iterable[DeviceView]) -> dict[str, str]:
    """Return what the next run is to know, of these devices."""
    now_us, before = runtime.now_us, runtime.before
    last_us = max((item.last_us for item in runtime.inputs), default=NEVER)
    listened_us = before.listened_us + now_us - runtime.started_us
    carried = Carried(
        no_frame_us=now_us - runtime.since(last_us, before.no_frame_us),
        no_upload_us={
            item.name: now_us - runtime.since(item.last_us, before.no_upload_us.get(item.name, 0))
            for item in runtime.destinations
        },
        listened_us=listened_us,
    )
    return {_CARRIED: _text(carried)} | {
        _DEVICE + device.id: _text(
            _Heard(
                listened_us - now_us + runtime.since(device.last_us, before.quiet(device.id).silent_us),
                device.usual_us or before.quiet(device.id).usual_us,
            )
        )
        for device in devices
    }


def _text(value: object) -> str:
    return json.encode(value).decode()
