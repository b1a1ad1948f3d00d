"""Whether a run works, and what is wrong: in words for the page and `watch`, as lines for /healthz and /readyz."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal

from msgspec import Struct

from lora_post.errors import Fault, Problem
from lora_post.observed.device_trouble import KINDS, DeviceTrouble, alert_key, device_troubles
from lora_post.observed.device_view import DeviceView
from lora_post.observed.run_state import CLOCK, RunState
from lora_post.text import plural

MAX_TROUBLED: Final = 500
"""What is wrong with more devices than these is only counted, device by device."""
MAX_NAMED: Final = 3
"""More devices with the same trouble are told of in one line."""
_OF_MANY: Final = {
    "refused": "all their frames are refused",
    "undecoded": "their frames are not decoded",
    "silent": "not heard for long",
    "battery": "low battery",
}


class Verdict(Struct, frozen=True, omit_defaults=True):
    """Whether it works. kind: "wait" when nothing is lost and nothing is to be done.

    devices: what is wrong with each device that is in trouble, the worst first, by its id; with MAX_TROUBLED at most.
    """

    kind: Literal["good", "wait", "bad"]
    text: str
    problems: tuple[Problem, ...] = ()
    devices: Mapping[str, tuple[DeviceTrouble, ...]] = {}


def judge(runtime: RunState, devices: Sequence[DeviceView]) -> Verdict:
    """Return how things are. devices: all of the configuration."""
    troubled = _troubled(runtime, devices)
    by_device = {device.id: troubles for device, troubles in troubled[:MAX_TROUBLED]}
    bad = tuple(dict.fromkeys(_bad(runtime)))
    waiting = tuple(_waiting(runtime))
    if bad or troubled:
        of_devices = plural(len(troubled), "device") + (" needs" if len(troubled) == 1 else " need") + " attention"
        problems = bad + tuple(_told(troubled)) + waiting
        return Verdict("bad", "Needs attention" if bad else of_devices, problems, by_device)
    if waiting:
        return Verdict("wait", "Readings wait; nothing is lost", waiting)
    if any(item.parked or item.refused for item in runtime.destinations):
        why = Problem("some sensors are parked", "`lora-post spool` says which, and why")
        return Verdict("wait", "Works, but some sensors are parked", (why,))
    unheard = sum(not device.last_us for device in devices)
    if unheard:
        count = "no device" if unheard == len(devices) else f"{unheard} of {len(devices)} devices not"
        return Verdict("wait", f"Running; {count} heard yet")
    return Verdict("good", "Everything works")


def stalled(name: str) -> Problem:
    """Return what is wrong when this thread is stalled."""
    return Problem(f"{name} is stalled", "restart lora-post")


def faults(runtime: RunState) -> list[str]:
    """Return why this process should be restarted: stalled threads, inputs that fail again and again."""
    failing = [item for item in runtime.inputs if isinstance(item.trouble, Fault)]
    return [
        *(stalled(name).what for name in runtime.stalled),
        *(f"input {item.name}: {item.trouble}" for item in failing),
    ]


def obstacles(runtime: RunState, devices: Sequence[DeviceView]) -> list[str]:
    """Return why frames cannot be taken, readings not be sent or devices not be used at the moment."""
    found = faults(runtime)
    found += [f"{name}: {trouble}" for name, trouble in runtime.troubles.items()]
    waiting = [item for item in runtime.inputs if item.trouble and not isinstance(item.trouble, Fault)]
    found += [f"input {item.name}: {item.trouble}" for item in waiting]
    found += [f"{item.name}: {item.trouble}" for item in runtime.destinations if item.trouble]
    return found + [str(problem) for problem in _told(_troubled(runtime, devices))]


_Troubled = list[tuple[DeviceView, tuple[DeviceTrouble, ...]]]


def _troubled(runtime: RunState, devices: Sequence[DeviceView]) -> _Troubled:
    found = [(device, tuple(device_troubles(device, runtime))) for device in devices]
    return [(device, troubles) for device, troubles in found if troubles]


def _told(troubled: _Troubled) -> Iterator[Problem]:
    """Yield the troubles of devices, those of many in one line."""
    for kind in KINDS:
        found = [(device, trouble) for device, troubles in troubled for trouble in troubles if trouble.kind == kind]
        if len(found) > MAX_NAMED:
            names = ", ".join(device.name for device, _ in found[:MAX_NAMED])
            yield Problem(f"{len(found)} devices: {_OF_MANY[kind]}: {names} and {len(found) - MAX_NAMED} more")
        else:
            for device, trouble in found:
                yield Problem(trouble.what, trouble.fix).at(device.name)


def _bad(runtime: RunState) -> Iterator[Problem]:
    """Yield what needs a person; what an alert says already is not said twice, what is wrong with devices not here."""
    alerts = runtime.alerts
    for key, problem in alerts.items():
        if not key.startswith(tuple(alert_key(kind, "") for kind in KINDS)):
            yield problem
    for name in runtime.stalled:
        if f"stalled:{name}" not in alerts:
            yield stalled(name)
    for name, trouble in runtime.troubles.items():
        if name != CLOCK and f"trouble:{name}" not in alerts:
            yield trouble.at(name)
    for item in runtime.inputs:
        if item.trouble and f"input:{item.name}" not in alerts:
            yield item.trouble.at(f"input {item.name}")


def _waiting(runtime: RunState) -> Iterator[Problem]:
    for item in runtime.destinations:
        if item.trouble:
            yield item.trouble.at(item.name)
    if CLOCK in runtime.troubles and f"trouble:{CLOCK}" not in runtime.alerts:
        yield runtime.troubles[CLOCK].at(CLOCK)
