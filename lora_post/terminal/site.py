"""What a running lora-post tells of itself, as its status page sends it; times in ms since 1970 UTC."""

from __future__ import annotations

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
    """The state of the run."""

    gateway: str
    started: int = 0
    inputs: tuple[Input, ...] = ()
    destinations: tuple[Destination, ...] = ()
    disk: Disk = Disk()


class Mood(Enum):
    """How things are. WAITING: nothing is lost, nothing is to be done."""

    GOOD = "good"
    WAITING = "wait"
    ATTENTION = "bad"


class Verdict(Struct, frozen=True):
    """The answer to the first question of who looks: does it work? problems: as "what is wrong; what to do"."""

    kind: Mood
    text: str
    problems: tuple[str, ...] = ()


class Message(Struct, frozen=True):
    """Everything, or what has changed since version `v` before; None: not changed. now: the time there, or 0."""

    v: int
    now: int = 0
    devices: tuple[Device, ...] = ()
    recent: tuple[Entry, ...] = ()
    refused: tuple[Refused, ...] | None = None
    state: State | None = None
    verdict: Verdict | None = None


class Site(Struct, frozen=True):
    """All that is known, version `v` of it. devices: by id, in the order of the configuration.

    behind: what its times must be moved by to be times of this machine's clock, in ms.
    """

    v: int
    devices: dict[str, Device]
    recent: tuple[Entry, ...]
    refused: tuple[Refused, ...]
    state: State
    verdict: Verdict
    behind: int = 0


def read_message(data: bytes) -> Message | None:
    """One message, None when it is none of a status page."""
    try:
        return msgspec.json.decode(data, type=Message)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def first_site(message: Message, now_ms: int) -> Site | None:
    """The site of a message that tells everything and came at `now_ms`, None for one that does not."""
    if message.state is None or message.verdict is None:
        return None
    devices = {device.id: device for device in message.devices}
    behind = now_ms - message.now if message.now else 0
    return Site(
        v=message.v,
        devices=devices,
        recent=message.recent[-MAX_RECENT:],
        refused=message.refused or (),
        state=message.state,
        verdict=message.verdict,
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
        verdict=news.verdict or site.verdict,
        behind=site.behind,
    )
