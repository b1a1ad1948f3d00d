"""Find what is wrong at one moment, as far as a person must know of it.

A key stays the same as long as it is the same trouble.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct

from lora_post.command import Fate
from lora_post.errors import Problem
from lora_post.observed.device_trouble import SLACK, alert_key, device_troubles
from lora_post.observed.device_view import DeviceView
from lora_post.observed.run_state import CLOCK, RunState
from lora_post.observed.verdict import stalled
from lora_post.text import plural, span_text, wait_text
from lora_post.times import NEVER

SOON_US: Final = 300_000_000
"""For trouble that often ends by itself, such as a port that is plugged in again."""
NO_TIME_US: Final = 3_600_000_000
"""A board without a clock battery has no time until its link is up."""
AT_ONCE_US: Final = 0
DISK_SHARE: Final = 0.05
_FAILED: Final = frozenset({Fate.NOT_ACKNOWLEDGED, Fate.REFUSED, Fate.EXPIRED})
_DAY_US: Final = 86_400_000_000


class Condition(Struct, frozen=True):
    """Something that is wrong. after_us: how long it has to persist before anybody is told."""

    key: str
    problem: Problem
    after_us: int = AT_ONCE_US


def conditions(runtime: RunState, devices: Iterable[DeviceView]) -> Iterator[Condition]:
    """Yield everything that is wrong."""
    yield from _inputs(runtime)
    yield from _destinations(runtime)
    yield from _machine(runtime)
    yield from _downlinks(runtime)
    for device in devices:
        yield from _device(device, runtime)


def _inputs(runtime: RunState) -> Iterator[Condition]:
    limit_us = runtime.limits.no_frame_us
    for item in runtime.inputs:
        if item.trouble:
            yield Condition(f"input:{item.name}", item.trouble.at(f"input {item.name}"), SOON_US)
    last_us = max((item.last_us for item in runtime.inputs), default=NEVER)
    since_us = runtime.since(last_us, runtime.before.no_frame_us)
    silence_us = runtime.now_us - (since_us if "no-frame" in runtime.alerts else max(since_us, runtime.deaf_us))
    if runtime.inputs and limit_us and silence_us > limit_us:
        fix = "is the radio program running, the antenna on, the sensors powered?"
        yield Condition("no-frame", Problem(f"no frame for {span_text(silence_us / 1e6)}", fix))


def _destinations(runtime: RunState) -> Iterator[Condition]:
    limit_us = runtime.limits.no_upload_us
    for item in runtime.destinations:
        waited_us = runtime.now_us - runtime.since(item.last_us, runtime.before.no_upload_us.get(item.name, 0))
        key = f"no-upload:{item.name}"
        is_allowed = key in runtime.alerts or not item.held  # an outage is not over because the schedule ends
        if item.queued and is_allowed and limit_us and waited_us > limit_us:
            what = (
                f"{item.name}: nothing delivered for {span_text(waited_us / 1e6)}, {wait_text(item.queued, 'reading')}"
            )
            if item.trouble:
                what += f", last error: {item.trouble.what}"
            # Not at once: a schedule that opens once a day has just opened.
            yield Condition(key, Problem(what, item.trouble.fix if item.trouble else ""), SOON_US)
        if item.parked or item.refused:
            what = f"{item.name}: {plural(item.parked + item.refused, 'reading')} of parked sensors"
            yield Condition(f"parked:{item.name}", Problem(what, "`lora-post spool` says why"), SOON_US)


def _downlinks(runtime: RunState) -> Iterator[Condition]:
    for used in runtime.air_time:
        if used.is_full:
            what = f"gateway {used.gateway} has used up its air time at {used.sub_band.text}"
            fix = f"devices get no answer there for {span_text(used.more_in_s)}: have them confirm and join less often"
            yield Condition(f"air-time:{used.gateway} {used.sub_band.min_hz}", Problem(what, fix), SOON_US)
    day_ago_us = runtime.now_us + runtime.ahead_us - _DAY_US
    for device, last in {command.device: command for command in runtime.commands}.items():
        if last.fate in _FAILED and last.steps and last.steps[-1].at_us > day_ago_us:
            problem = Problem(f"{device}: downlink {last.id} is {last.fate}", f"`lora-post explain downlink {last.id}`")
            yield Condition(f"downlink:{device}", problem)


def _machine(runtime: RunState) -> Iterator[Condition]:
    for name in runtime.stalled:
        yield Condition(f"stalled:{name}", stalled(name))
    for name, trouble in runtime.troubles.items():
        yield Condition(f"trouble:{name}", trouble.at(name), NO_TIME_US if name == CLOCK else SOON_US)
    disk = runtime.disk
    if disk.free < DISK_SHARE * (SLACK if "disk" in runtime.alerts else 1.0) * disk.total:
        fix = "delete what is not needed: when the disk is full, no reading can be stored"
        yield Condition("disk", Problem(f"only {disk.free >> 20} MB of the disk are free", fix))


def _device(device: DeviceView, runtime: RunState) -> Iterator[Condition]:
    for trouble in device_troubles(device, runtime):
        problem = Problem(trouble.what, trouble.fix).at(device.name)
        yield Condition(alert_key(trouble.kind, device.id), problem)
