"""What is wrong with one device at one moment: said by page, `watch`, /readyz and alerts alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from msgspec import Struct

from lora_post.observed.battery import Battery, Told
from lora_post.observed.device_view import DeviceView
from lora_post.observed.run_state import RunState
from lora_post.text import plural, span_text

SILENT_TIMES: Final = 4
"""A device is silent when it has not been heard for so many times its usual distance."""
MIN_SILENT_US: Final = 3_600_000_000
IN_A_ROW: Final = 3
"""So many frames that are refused or cannot be decoded are not one that was damaged, or forged by a stranger."""
LATE_TIMES: Final = 2
"""A device whose own frames are accepted in between is not heard later than so many times its usual distance."""
SLACK: Final = 1.1
"""What was too low is good again a tenth above the limit."""

Kind = Literal["refused", "undecoded", "silent", "battery"]
KINDS: Final[tuple[Kind, ...]] = ("refused", "undecoded", "silent", "battery")
"""The worst first."""


class DeviceTrouble(Struct, frozen=True, omit_defaults=True):
    """What is wrong with a device, without its name. fix: "" for nothing."""

    kind: Kind
    what: str
    fix: str = ""


def alert_key(kind: Kind, device: str) -> str:
    """Return the key of the alert that tells of this trouble."""
    return f"{kind}:{device}"


def device_troubles(device: DeviceView, runtime: RunState) -> Iterator[DeviceTrouble]:
    """Yield what is wrong with a device, the worst first."""
    yield from _refused(device, runtime)
    yield from _undecoded(device)
    yield from _silent(device, runtime)
    yield from _battery(device, runtime)


def _refused(device: DeviceView, runtime: RunState) -> Iterator[DeviceTrouble]:
    """Yield that all its frames are refused. Another network's device may have its DevAddr: its own ones come first."""
    if device.refused == 0:
        return
    usual_us = device.usual_us or runtime.before.quiet(device.id).usual_us
    if device.last_us or usual_us:
        before_us = runtime.before.quiet(device.id).silent_us
        if runtime.now_us - runtime.since(device.last_us, before_us) < LATE_TIMES * usual_us:
            return
        if device.refused < IN_A_ROW:
            return
    frames = "its frame was" if device.refused == 1 else f"its last {device.refused} frames were"
    yield DeviceTrouble("refused", f"{frames} refused: {device.refusal.what}", device.refusal.fix)


def _undecoded(device: DeviceView) -> Iterator[DeviceTrouble]:
    if device.undecoded >= IN_A_ROW or (device.undecoded and not device.is_decoded):
        count = plural(device.undecoded, "frame")
        yield DeviceTrouble(
            "undecoded",
            f"{count} not decoded: {device.problem}",
            "correct app_skey or decoder of its [[device]]; after a change of a decoder file: `lora-post spool retry`",
        )


def _silent(device: DeviceView, runtime: RunState) -> Iterator[DeviceTrouble]:
    limit_us, before = runtime.limits.silent_us, runtime.before.quiet(device.id)
    since_us = runtime.since(device.last_us, before.silent_us)
    if alert_key("silent", device.id) not in runtime.alerts:
        since_us = max(since_us, runtime.deaf_us)  # nobody was listening, which is another trouble
    silent_us = runtime.now_us - since_us
    distance_us = device.usual_us or before.usual_us
    usual_us = max(SILENT_TIMES * distance_us, MIN_SILENT_US) if distance_us else limit_us
    if limit_us and silent_us > min(usual_us, limit_us):
        usual = f", usually every {span_text(distance_us / 1e6)}" if distance_us else ""
        yield DeviceTrouble("silent", f"not heard for {span_text(silent_us / 1e6)}{usual}")


def _battery(device: DeviceView, runtime: RunState) -> Iterator[DeviceTrouble]:
    is_raised = alert_key("battery", device.id) in runtime.alerts
    limits = {"%": runtime.limits.battery_percent, "V": runtime.limits.battery_volts}
    slack = SLACK if is_raised else 1.0
    low = next((each for each in device.batteries if each.value < limits[each.unit] * slack), None)
    if low:
        yield DeviceTrouble("battery", battery_text(low), "change or charge it")
    elif device.says_low and any(limits.values()):
        yield DeviceTrouble("battery", "it says that its battery is low", "change or charge it")
    elif is_raised and not device.last_us:
        yield DeviceTrouble("battery", "its battery was low when it was last heard")  # not since the restart


def battery_text(battery: Battery) -> str:
    """Return the charge, and how its unit is known when the device does not say it."""
    told = "" if battery.told is Told.UNIT else f" (unit by its {battery.told})"
    return f"battery at {battery.value:.4g} {battery.unit}{told}"
