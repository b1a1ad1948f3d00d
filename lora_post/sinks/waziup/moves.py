"""Move devices on Waziup to their latest position."""

from __future__ import annotations

import logging
from math import cos, hypot, isfinite, radians
from typing import Final

import msgspec

from lora_post.errors import SinkError
from lora_post.model import Location
from lora_post.sinks.destination import DeviceBook
from lora_post.sinks.waziup.client import WaziupClient
from lora_post.sinks.waziup_values import kind_of
from lora_post.spool.model import Batch
from lora_post.times import WallUs

log = logging.getLogger(__name__)

MOVED_M: Final = 100.0
"""A smaller step is the receiver's own; each that counts costs a request."""

POSITION: Final = "Position"
_DEGREE_M: Final = 111_320.0  # of latitude


class Moves:
    """Where devices were last said to be; a restart says it once more."""

    def __init__(self, client: WaziupClient, devices: DeviceBook) -> None:
        self._client = client
        self._devices = devices
        self._told: dict[str, tuple[WallUs, Location]] = {}

    def follow(self, batch: Batch) -> None:
        """Tell Waziup where a device is now, when a batch says that it has moved; never raises over it."""
        device = self._devices.get(batch.lane.device)
        if device is None or not device.moves or kind_of(batch.lane).quantity != POSITION:
            return
        place = read_place(batch.values[-1])
        time_us, told = batch.times_us[-1], self._told.get(device.id)
        if place is None or (told and (time_us < told[0] or metres_between(told[1], place) < MOVED_M)):
            return
        try:
            answer = self._client.put_device(device.id, "location", place)
        except SinkError as error:
            log.warning("device=%s: its place is not changed on Waziup: %s", device.id, error)
            return
        if answer.status == 204:
            self._told[device.id] = time_us, place
        else:
            log.warning("device=%s: its place is not changed on Waziup: status %d", device.id, answer.status)


def read_place(value: bytes) -> Location | None:
    """Return the place that a queued JSON value is, None for another one."""
    try:
        found = msgspec.json.decode(value, type=Location)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    good = isfinite(found.latitude) and abs(found.latitude) <= 90 and abs(found.longitude) <= 180
    return found if good and (found.latitude, found.longitude) != (0, 0) else None


def metres_between(one: Location, other: Location) -> float:
    """Return how far two places are from one another, near enough for some kilometres."""
    east = (other.longitude - one.longitude) * cos(radians(one.latitude))
    return _DEGREE_M * hypot(other.latitude - one.latitude, east)
