"""What the status page and `lora-post watch` are told, as JSON: these structs write it and read it.

Times are ms since 1970 UTC by the gateway's clock, 0 for never. A field that has its default is left out.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from lora_post.errors import Problem
from lora_post.model import Scalar
from lora_post.observed.battery import Told
from lora_post.observed.verdict import Verdict


class PageSensor(Struct, frozen=True, omit_defaults=True):
    """The latest value of one sensor; None for a number that JSON does not have."""

    name: str
    value: Scalar | None
    unit: str = ""
    time: int = 0


class PageBattery(Struct, frozen=True, omit_defaults=True):
    """The charge of a battery, in V or %. told: by what the unit is known: "unit", "name" or "range" of the value."""

    name: str
    value: float
    unit: str
    told: Told = Told.UNIT
    time: int = 0


class PageCopy(Struct, frozen=True, omit_defaults=True):
    """How another gateway heard the last frame of a device. rssi: dBm. snr: dB."""

    gateway: str
    rssi: float | None = None
    snr: float | None = None


class PageDevice(Struct, frozen=True, omit_defaults=True):
    """One device of the configuration, and its last frame.

    name: "" when it is the id. rssi: dBm. snr: dB. gateway: that heard it. heard, missed: frames since the start;
    missed ones are known from gaps of FCnt. problem: why there are no readings, or a warning of the decoder.
    metadata: what payloads say of the device itself or of messages, which is not sent.
    """

    id: str
    name: str = ""
    last: int = 0
    rssi: float | None = None
    snr: float | None = None
    sf: int | None = None
    gateway: str = ""
    copies: tuple[PageCopy, ...] = ()
    heard: int = 0
    missed: int = 0
    problem: str = ""
    battery: PageBattery | None = None
    metadata: Mapping[str, Scalar] = {}
    sensors: tuple[PageSensor, ...] = ()


class PageFrame(Struct, frozen=True, omit_defaults=True):
    """One frame that was heard. text: its values, or why it was refused. device: None for a refused one."""

    time: int
    text: str = ""
    device: str | None = None


class PageLogged(Struct, frozen=True, omit_defaults=True):
    """One frame of the log, as `/status/log.json` answers it.

    n: grows from frame to frame. device: None for a refused one, whose address is claimed and `check` refused it.
    rssi: dBm. snr: dB. payload: clear, of an accepted one; phy_payload: of a refused one; both in hex.
    """

    n: int
    time: int
    text: str
    device: str | None = None
    address: str = ""
    check: str = ""
    gateway: str = ""
    rssi: float | None = None
    snr: float | None = None
    sf: int | None = None
    fcnt: int | None = None
    fport: int | None = None
    payload: str = ""
    phy_payload: str = ""


class PageStranger(Struct, frozen=True, omit_defaults=True):
    """A sender of which frames are kept, so that keys can be tried on them.

    sender: the address that it claims. heard: how many frames. last: the newest, check: that refused it, rssi (dBm),
    snr (dB), sf, gateway: how it was heard.
    """

    sender: str
    heard: int
    check: str
    last: int = 0
    rssi: float | None = None
    snr: float | None = None
    sf: int | None = None
    gateway: str = ""


class PageStrangers(Struct, frozen=True):
    """Strangers, as `/status/strangers.json` answers them. edit: whether the page may add devices."""

    edit: bool
    strangers: list[PageStranger]


class PageTrends(Struct, frozen=True, omit_defaults=True):
    """The last hours or days of a device, as `/status/trends.json` answers it; what is not known is None.

    span: length that each number is about, in ms. since, until: what was asked for. times: when each length began.
    heard, missed: frames. rssi (dBm), snr (dB), sensors: means.
    """

    span: int
    since: int
    until: int
    times: list[int]
    heard: list[int]
    missed: list[int]
    rssi: list[float | None]
    snr: list[float | None]
    sensors: dict[str, list[float | None]]


class PageRefusal(Struct, frozen=True, omit_defaults=True):
    """Frames that were refused for one reason from one address.

    last: the latest, rssi (dBm), snr (dB), sf: of that one. fix: what a person can do.
    """

    check: str
    count: int
    address: str = ""
    last: int = 0
    detail: str = ""
    fix: str = ""
    rssi: float | None = None
    snr: float | None = None
    sf: int | None = None


class PageGateway(Struct, frozen=True, omit_defaults=True):
    """A packet forwarder. stat: what it tells of itself, by the names of Semtech's protocol."""

    name: str
    last: int = 0
    stat: Mapping[str, float] = {}


class PageInput(Struct, frozen=True, omit_defaults=True):
    """Where frames come from. last: the latest frame. trouble: why none can come. more: gateways besides those."""

    name: str
    last: int = 0
    trouble: Problem | None = None
    gateways: tuple[PageGateway, ...] = ()
    more: int = 0


class PageDestination(Struct, frozen=True, omit_defaults=True):
    """Where readings go.

    queued, parked, refused: readings. oldest: time of the oldest queued one. last: the latest delivery.
    trouble: why it takes nothing. held: why the configuration keeps readings back.
    """

    name: str
    queued: int = 0
    parked: int = 0
    refused: int = 0
    oldest: int = 0
    last: int = 0
    trouble: Problem | None = None
    held: str = ""


class PageDisk(Struct, frozen=True):
    """free: percent of the disk. spool: MB."""

    free: int
    spool: int


class PageCommand(Struct, frozen=True, omit_defaults=True):
    """A downlink that was given. given, last: when, and when its last step was. step: that one, "" for none yet."""

    id: int
    device: str
    fate: str
    given: int
    last: int = 0
    step: str = ""


class PageAirTime(Struct, frozen=True, omit_defaults=True):
    """What a gateway has used of a sub-band. used: percent of what it may send in an hour. more: when it is full, when
    some of it comes back."""

    gateway: str
    band: str
    used: int
    more: int = 0


class PageRun(Struct, frozen=True, omit_defaults=True):
    """The state of the run.

    gateway: its name. started: when. commands: the last ones, the newest last. fleet: what it is at, a line each.
    air_time: of the gateways that have used a hundredth of theirs or more.
    """

    gateway: str
    started: int
    inputs: tuple[PageInput, ...]
    destinations: tuple[PageDestination, ...]
    disk: PageDisk
    commands: tuple[PageCommand, ...] = ()
    fleet: tuple[str, ...] = ()
    air_time: tuple[PageAirTime, ...] = ()


class Page(Struct, frozen=True):
    """Everything, as `/status.json` answers it, or a part where only that is asked for.

    v: the version, from which `/status/live` goes on. now: the time there. recent: the latest frames, oldest first.
    refused: the latest first. total, heard: devices of the configuration, and those that were heard. next: where the
    next page begins, 0 for none. news: devices that are not here are as they were.
    """

    v: int
    now: int
    devices: tuple[PageDevice, ...]
    recent: tuple[PageFrame, ...]
    refused: tuple[PageRefusal, ...]
    state: PageRun
    verdict: Verdict
    total: int = 0
    heard: int = 0
    next: int = 0
    news: bool = False


class PageNews(Struct, frozen=True, omit_defaults=True):
    """What has changed up to version v, as `/status/live` tells it; None: not changed.

    devices: those that changed. recent: frames that came. refused: all of them.
    """

    v: int
    devices: tuple[PageDevice, ...] = ()
    recent: tuple[PageFrame, ...] = ()
    refused: tuple[PageRefusal, ...] | None = None
    state: PageRun | None = None
    verdict: Verdict | None = None
