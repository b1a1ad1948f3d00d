"""What a running lora-post tells of itself, as its status page sends it; times in ms since 1970 UTC."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Final

import msgspec
from msgspec import Struct

MAX_RECENT: Final = 60
CLOCK_SLACK_MS: Final = 5000
"""Less is the way of the message."""

Value = bool | int | float | str | None


class Sensor(Struct, frozen=True):
    """The latest value of one sensor."""

    name: str
    value: Value = None
    unit: str = ""
    time: int = 0


class Device(Struct, frozen=True):
    """One configured device. last: 0 while it has not been heard. missed: frames that its counter says were sent."""

    id: str
    name: str = ""
    last: int = 0
    rssi: float | None = None
    snr: float | None = None
    sf: int | None = None
    heard: int = 0
    missed: int = 0
    problem: str = ""
    battery: Sensor | None = None
    sensors: tuple[Sensor, ...] = ()


class Entry(Struct, frozen=True):
    """A frame. device: None for one that was turned away."""

    time: int = 0
    text: str = ""
    device: str | None = None


class Refused(Struct, frozen=True):
    """Frames turned away for one reason from one address."""

    check: str
    address: str = ""
    count: int = 1
    last: int = 0
    detail: str = ""
    fix: str = ""


class Input(Struct, frozen=True):
    """Where frames come from. trouble: why none can come."""

    name: str
    last: int = 0
    trouble: str = ""


class Destination(Struct, frozen=True):
    """Where readings go. queued, parked, refused: readings. oldest: time of the oldest that waits."""

    name: str
    queued: int = 0
    parked: int = 0
    refused: int = 0
    oldest: int = 0
    last: int = 0
    trouble: str = ""


class Disk(Struct, frozen=True):
    """free: of the disk, in percent. spool: MB."""

    free: int = 100
    spool: int = 0


class State(Struct, frozen=True):
    """The state of the run. alerts: text by name."""

    gateway: str
    started: int = 0
    inputs: tuple[Input, ...] = ()
    destinations: tuple[Destination, ...] = ()
    disk: Disk = Disk()
    stalled: tuple[str, ...] = ()
    troubles: dict[str, str] = {}
    alerts: dict[str, str] = {}


class Message(Struct, frozen=True):
    """Everything, or what has changed since version `v` before; None: not changed. now: the time there, or 0."""

    v: int
    now: int = 0
    devices: tuple[Device, ...] = ()
    recent: tuple[Entry, ...] = ()
    refused: tuple[Refused, ...] | None = None
    state: State | None = None


class Site(Struct, frozen=True):
    """All that is known, version `v` of it. devices: by id, in the order of the configuration.

    behind: what its times must be moved by to be times of this machine's clock, in ms.
    """

    v: int
    devices: dict[str, Device]
    recent: tuple[Entry, ...]
    refused: tuple[Refused, ...]
    state: State
    behind: int = 0


class Mood(Enum):
    """How things are. WAITING: nothing is lost, nothing is to be done."""

    GOOD = "good"
    WAITING = "waiting"
    ATTENTION = "attention"


class Problem(Struct, frozen=True):
    """What is wrong, and what to do, "" when that is part of the text."""

    text: str
    fix: str


class Verdict(Struct, frozen=True):
    """The answer to the first question of who looks: does it work?"""

    mood: Mood
    text: str
    problems: tuple[Problem, ...]


def read_message(data: bytes) -> Message | None:
    """One message, None when it is none of a status page."""
    try:
        return msgspec.json.decode(data, type=Message)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def first_site(message: Message, now_ms: int) -> Site | None:
    """The site of a message that tells everything and came at `now_ms`, None for one that does not."""
    if message.state is None:
        return None
    devices = {device.id: device for device in message.devices}
    behind = now_ms - message.now if message.now else 0
    return Site(
        v=message.v,
        devices=devices,
        recent=message.recent[-MAX_RECENT:],
        refused=message.refused or (),
        state=message.state,
        behind=behind if abs(behind) > CLOCK_SLACK_MS else 0,
    )


def changed_site(site: Site, news: Message) -> Site:
    """The site after what the news tell."""
    return Site(
        v=news.v,
        devices=site.devices | {device.id: device for device in news.devices},
        recent=(site.recent + news.recent)[-MAX_RECENT:],
        refused=site.refused if news.refused is None else news.refused,
        state=news.state or site.state,
        behind=site.behind,
    )


def judge(site: Site) -> Verdict:
    """The same verdict as the page's (static/page.js)."""
    state = site.state
    bad = tuple(_problem(text) for text in dict.fromkeys(_troubles(state)))
    waiting = tuple(_problem(f"{item.name}: {item.trouble}") for item in state.destinations if item.trouble)
    if bad:
        return Verdict(Mood.ATTENTION, "Needs attention", bad + waiting)
    if waiting:
        return Verdict(Mood.WAITING, "Readings wait; nothing is lost", waiting)
    if any(item.parked or item.refused for item in state.destinations):
        why = (Problem("some sensors are parked", "`lora-post spool` says which, and why"),)
        return Verdict(Mood.WAITING, "Works, but some sensors are parked", why)
    if not any(device.last for device in site.devices.values()):
        return Verdict(Mood.WAITING, "Running; no device heard yet", ())
    return Verdict(Mood.GOOD, "Everything works", ())


def _troubles(state: State) -> Iterator[str]:
    yield from state.alerts.values()
    for name in state.stalled:
        yield f"{name} does not get on with its work; restart lora-post"
    for name, text in state.troubles.items():
        yield f"{name}: {text}"
    for item in state.inputs:
        if item.trouble:
            yield f"input {item.name}: {item.trouble}"


def _problem(text: str) -> Problem:
    what, _, fix = text.partition("; ")
    return Problem(what, fix)
