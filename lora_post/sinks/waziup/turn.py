"""Choose which of several gateways of one account sends for a device.

Only one of them sends: the gateway that the device names (`gateway_id`). The others are stand-ins: they keep its
readings back. They need not know of each other, as each keeps to this:

* Before its first reading, and again after `LOOK_EVERY_US` of sending, it looks which gateway the device names.
* A stand-in takes over when the device has been silent for `SILENT_US`. It makes the device name its own gateway, and
  sends after `WAIT_US`: by then the other one has looked, or will look before it sends.

Times are by the server's clock. No IO.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Final

from msgspec import Struct

from lora_post.clocks.scale import parse_utc
from lora_post.sinks.waziup.client import RemoteDevice
from lora_post.times import WallUs

_HOUR_US: Final = 3_600_000_000
LOOK_EVERY_US: Final = 20 * _HOUR_US
LOOK_AT_PUBLIC_EVERY_US: Final = 3 * _HOUR_US
"""A public device takes our readings also when it belongs to another account now; a private one refuses them."""
WAIT_US: Final = 23 * _HOUR_US
"""Longer than another gateway sends without a look, shorter than a sensor is parked."""
SILENT_US: Final = 72 * _HOUR_US
"""Longer than a device that reports once a day is silent, or a gateway is without a link as a rule."""
APART_US: Final = 15_000_000
"""How far two gateways' times of one frame may be apart: each is within 6 s of the server's clock."""


class Turn(Enum):
    """What follows from a look at a device."""

    OURS = "send"
    TAKE = "make the device name our gateway, and send"
    TAKE_LATER = "make the device name our gateway, and keep its readings back for now"
    KEEP = "keep its readings back"


class Ours(Struct, frozen=True):
    """What we have to do with a device. former_id: under which gateway's id we sent before, "" for none.

    claimed_us: when we made it name our gateway, None when we did not. is_ordered: a person wants us to take it.
    """

    gateway_id: str
    former_id: str = ""
    claimed_us: WallUs | None = None
    is_ordered: bool = False


def whose_turn(device: RemoteDevice, ours: Ours, now_us: WallUs) -> Turn:
    """Return whose turn it is to send the readings of a device of our account."""
    named = device.gateway_id or ""
    if named == ours.gateway_id:
        is_waiting = ours.claimed_us is not None and not ours.is_ordered and now_us - ours.claimed_us < WAIT_US
        return Turn.KEEP if is_waiting else Turn.OURS
    if ours.is_ordered or named in ("", ours.former_id):
        return Turn.TAKE
    sign_us = last_sign_us(device)
    if not sign_us or now_us - sign_us < SILENT_US:
        return Turn.KEEP
    return Turn.TAKE_LATER if any(sensor.value is not None for sensor in device.sensors) else Turn.TAKE


def last_sign_us(device: RemoteDevice) -> WallUs:
    """Return when the server last got something for a device; 0 when it does not say."""
    return max(_dates(device), default=WallUs(0))


def _dates(device: RemoteDevice) -> Iterator[WallUs]:
    texts: list[object] = [device.date_created, device.date_modified]
    texts += [sensor.value.get("date_received") for sensor in device.sensors if isinstance(sensor.value, dict)]
    for text in texts:
        try:
            yield parse_utc(str(text))
        except (ValueError, OverflowError):
            continue


def pair(ours: Sequence[WallUs], theirs: Sequence[WallUs]) -> list[WallUs]:
    """Return the times of ours for which theirs has one of the same moment, as far as clocks tell; each counts once.

    Both rising, and of readings with one value.
    """
    found, rest = [], list(theirs)
    for time_us in ours:
        while rest and rest[0] < time_us - APART_US:
            del rest[0]
        if rest and rest[0] <= time_us + APART_US:
            found.append(time_us)
            del rest[0]
    return found
