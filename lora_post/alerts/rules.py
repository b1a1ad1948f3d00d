"""Find what is wrong at one moment, as far as a person must know of it.

A key stays the same as long as it is the same trouble.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct

from lora_post.alerts.carried import Carried
from lora_post.config.alerts import AlertLimits
from lora_post.errors import Problem
from lora_post.observed.run_state import CLOCK, RunState
from lora_post.observed.site_state import DeviceView, Shown
from lora_post.observed.verdict import stalled
from lora_post.text import span_text
from lora_post.times import NEVER

SILENT_TIMES: Final = 4
"""A device is silent when it has not been heard for so many times its usual distance."""
MIN_SILENT_US: Final = 3_600_000_000
SOON_US: Final = 300_000_000
"""For trouble that often ends by itself, such as a port that is plugged in again."""
NO_TIME_US: Final = 3_600_000_000
"""A board without a clock battery has no time until its link is up."""
AT_ONCE_US: Final = 0
DISK_SHARE: Final = 0.05
SLACK: Final = 1.1
"""What was too low is good again a tenth above the limit."""


class Condition(Struct, frozen=True):
    """Something that is wrong. after_us: how long it has to persist before anybody is told."""

    key: str
    problem: Problem
    after_us: int = AT_ONCE_US


def conditions(
    runtime: RunState,
    devices: Iterable[DeviceView],
    limits: AlertLimits,
    raised: Iterable[str],
    carried: Carried = Carried(),  # noqa: B008 - frozen
) -> Iterator[Condition]:
    """Yield everything that is wrong. raised: keys of raised alerts, for limits with slack."""
    known = frozenset(raised)
    yield from _inputs(runtime, limits, carried, known)
    yield from _destinations(runtime, limits, carried, known)
    yield from _machine(runtime, known)
    for device in devices:
        yield from _device(device, runtime, limits, known, carried)


def _inputs(runtime: RunState, limits: AlertLimits, carried: Carried, raised: frozenset[str]) -> Iterator[Condition]:
    for item in runtime.inputs:
        if item.trouble:
            yield Condition(f"input:{item.name}", item.trouble.at(f"input {item.name}"), SOON_US)
    last_us = max((item.last_us for item in runtime.inputs), default=NEVER)
    since_us = carried.since(last_us, runtime, carried.no_frame_us)
    silence_us = runtime.now_us - (since_us if "no-frame" in raised else max(since_us, runtime.deaf_us))
    if runtime.inputs and limits.no_frame_us and silence_us > limits.no_frame_us:
        fix = "is the radio program running, the antenna on, the sensors powered?"
        yield Condition("no-frame", Problem(f"no frame for {span_text(silence_us / 1e6)}", fix))


def _destinations(
    runtime: RunState, limits: AlertLimits, carried: Carried, raised: frozenset[str]
) -> Iterator[Condition]:
    for item in runtime.destinations:
        waited_us = runtime.now_us - carried.since(item.last_us, runtime, carried.no_upload_us.get(item.name, 0))
        key = f"no-upload:{item.name}"
        is_allowed = key in raised or not item.held  # an outage is not over because the schedule ends
        if item.queued and is_allowed and limits.no_upload_us and waited_us > limits.no_upload_us:
            what = f"{item.name}: nothing delivered for {span_text(waited_us / 1e6)}, {item.queued} readings wait"
            if item.trouble:
                what += f", last error: {item.trouble.what}"
            # Not at once: a schedule that opens once a day has just opened.
            yield Condition(key, Problem(what, item.trouble.fix if item.trouble else ""), SOON_US)
        if item.parked or item.refused:
            what = f"{item.name}: {item.parked + item.refused} readings of parked sensors"
            yield Condition(f"parked:{item.name}", Problem(what, "`lora-post spool` says why"), SOON_US)


def _machine(runtime: RunState, raised: frozenset[str]) -> Iterator[Condition]:
    for name in runtime.stalled:
        yield Condition(f"stalled:{name}", stalled(name))
    for name, trouble in runtime.troubles.items():
        yield Condition(f"trouble:{name}", trouble.at(name), NO_TIME_US if name == CLOCK else SOON_US)
    disk = runtime.disk
    if disk.free < DISK_SHARE * (SLACK if "disk" in raised else 1.0) * disk.total:
        fix = "delete what is not needed: when the disk is full, no reading can be stored"
        yield Condition("disk", Problem(f"only {disk.free >> 20} MB of the disk are free", fix))


def _device(
    device: DeviceView, runtime: RunState, limits: AlertLimits, raised: frozenset[str], carried: Carried
) -> Iterator[Condition]:
    before = carried.quiet(device)
    since_us = carried.since(device.last_us, runtime, before.silent_us)
    if f"silent:{device.id}" not in raised:
        since_us = max(since_us, runtime.deaf_us)  # nobody was listening, which is another alert
    silent_us = runtime.now_us - since_us
    distance_us = device.usual_us or before.usual_us
    usual_us = max(SILENT_TIMES * distance_us, MIN_SILENT_US) if distance_us else limits.silent_us
    if limits.silent_us and silent_us > min(usual_us, limits.silent_us):
        yield Condition(
            f"silent:{device.id}", Problem(f"{device.name} has not been heard for {span_text(silent_us / 1e6)}")
        )
    key = f"battery:{device.id}"
    if device.battery and _is_low(device.battery, limits, SLACK if key in raised else 1.0):
        value = f"{device.battery.value} {device.battery.unit}".strip()
        yield Condition(key, Problem(f"{device.name}: battery at {value}"))
    elif key in raised and not device.last_us:
        yield Condition(key, Problem(f"{device.name}: battery was low"))  # not heard since the restart


def _is_low(battery: Shown, limits: AlertLimits, slack: float) -> bool:
    limit = {"%": limits.battery_percent, "V": limits.battery_volts}.get(battery.unit, 0.0)
    return isinstance(battery.value, (int, float)) and battery.value < limit * slack
