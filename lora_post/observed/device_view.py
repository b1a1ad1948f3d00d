"""Define what the page, the metrics and the alerts see of a device."""

from __future__ import annotations

from msgspec import Struct

from lora_post.errors import Problem
from lora_post.model import RxInfo, Scalar
from lora_post.observed.battery import Battery
from lora_post.times import SteadyUs


class Shown(Struct, frozen=True, gc=False):
    """The latest value of one sensor, cut to what a page can show."""

    name: str
    value: Scalar
    unit: str
    time_us: SteadyUs


class DeviceView(Struct, frozen=True):
    """A device at one moment.

    last_us: 0 for never. usual_us: the distance of its uplinks, 0 while it is not known.
    missed: frames that its FCnt says were sent and not heard.
    copies: how other gateways heard its last frame.
    refused: frames in its name since the last accepted one; refusal: why the latest was, and what to do.
    undecoded: frames since the last one that gave readings. is_decoded: whether any did.
    metadata: what its payloads say of itself or of messages, the latest of each name.
    batteries: what its sensors say of them. says_low: it says itself that its battery is low.
    """

    id: str
    name: str
    changed: int
    last_us: SteadyUs
    rssi_dbm: float | None
    snr_db: float | None
    sf: int | None
    gateway: str
    copies: tuple[tuple[str, RxInfo], ...]
    usual_us: int
    heard: int
    missed: int
    problem: str
    refused: int
    refusal: Problem
    undecoded: int
    is_decoded: bool
    batteries: tuple[Battery, ...]
    says_low: bool
    metadata: tuple[tuple[str, Scalar], ...]
    sensors: tuple[Shown, ...]
