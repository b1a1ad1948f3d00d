"""Look at devices and sensors on Waziup before their first reading; create what is missing.

Ids are shared by all users of the platform, and a reading must not end up in somebody else's device of
the same name: so a device's owner is looked at again, and which gateway sends for it; see `turn` for how often. What is
private is refused at once when it is not ours any more; that makes for a look, too.

Source: Waziup/wazicloud-api: src/Waziup/{Devices,Sensors}.hs.
"""

from __future__ import annotations

import logging

import msgspec

from lora_post.errors import OutcomeUnknown, Problem, Rejected, Unavailable
from lora_post.model import Device
from lora_post.net.http_client import Answer
from lora_post.sinks.destination import SinkContext
from lora_post.sinks.waziup.client import DeviceBody, RemoteDevice, SensorBody, WaziupClient, trouble
from lora_post.sinks.waziup.declarations import Declarations
from lora_post.sinks.waziup.known_devices import KnownDevices
from lora_post.sinks.waziup.new_units import NewUnits
from lora_post.sinks.waziup.ownership import GUEST, other_device, other_private_device
from lora_post.sinks.waziup.stand_in import StandIn
from lora_post.sinks.waziup.visibility import PUBLIC, shown
from lora_post.sinks.waziup_values import kind_of
from lora_post.spool.facts import Facts
from lora_post.spool.model import Batch, Lane
from lora_post.waziup.names import to_id, to_text

log = logging.getLogger(__name__)


class Provisioner:
    """Makes devices and sensors exist, and belong to this account."""

    def __init__(self, client: WaziupClient, context: SinkContext, facts: Facts) -> None:
        self._client = client
        self._gateway_id = context.site.gateway_id
        self._known = KnownDevices(facts, self._gateway_id)
        self.stand_in = StandIn(client, facts, context.facts_of, self._known, self._gateway_id)
        self._devices = context.site.devices
        self._declarations = Declarations(client, facts, context.site.devices)
        self._new_units = NewUnits(client, context.facts_of)
        self._lanes_of = context.lanes_of

    def make_ready(self, batch: Batch) -> None:
        """Look at the device when that is due, before its first reading and about once a day.

        Raises SinkError: MayBeThere, and Rejected with the reason, when another gateway sends for it.
        """
        lane = batch.lane
        is_changed = self._declarations.is_changed(lane.device) or self._new_units.is_new(lane)
        if self.stand_in.is_look_due(lane.device, is_changed=is_changed):
            try:
                self.ensure(lane)
            except OutcomeUnknown:
                if lane.device not in self._known:
                    raise
                self.stand_in.postpone_look(lane.device)  # a server that cannot show it may still take its values
        self.stand_in.require_turn(lane, batch.times_us[0])

    def ensure(self, lane: Lane) -> None:
        """Make sure that a device is there, belongs to this account, and has all its sensors, this one above all.

        Nothing is made of one that another gateway sends for.
        """
        device_id = lane.device
        wanted = [_sensor_body(each) for each in self._lanes_of(device_id)]
        try:
            device = self._ours(device_id, wanted)
        except Rejected:
            if not self._known.is_begun(device_id):
                self._known.forget(device_id)
            raise
        if not self.stand_in.look(device):
            return
        there = {sensor.id for sensor in device.sensors}
        for sensor in wanted:
            if sensor.id not in there:
                self._add_sensor(device_id, sensor, is_needed=sensor.id == to_id(lane.name))
        self._new_units.carry_over(device, wanted, lane)
        is_public = shown(device.visibility) == PUBLIC
        self._known.add(device_id, self._client.clock.now_us(), is_public=is_public)
        if not self._declarations.carry_over(device):
            self.stand_in.postpone_look(device_id)

    def _ours(self, device_id: str, sensors: list[SensorBody]) -> RemoteDevice:
        """Return the device, created if it is missing. Raises SinkError, Rejected when it is another account's."""
        device = self._look_at(device_id)
        if device is None:
            self._known.begin(device_id)
            self._create(device_id, sensors)
            device = self._look_again_at(device_id)
        if device.owner == GUEST and (self._known.is_begun(device_id) or self.stand_in.is_ordered(device_id)):
            self._take_from_guest(device_id)
            device = self._look_again_at(device_id)
        _refuse(other_device(device_id, device.owner, self._client.owner))
        return device

    def _add_sensor(self, device_id: str, sensor: SensorBody, *, is_needed: bool) -> None:
        answer = self._client.post_sensor(device_id, sensor)
        if answer.status == 204:
            log.info("sensor created device=%s sensor=%s", device_id, sensor.id)
        elif answer.status not in (400, 403):
            raise trouble(f"creating sensor {sensor.id} of {device_id}", answer)
        elif is_needed:
            raise Rejected(f"sensor {sensor.id} of {device_id} cannot be created: {answer.text}")
        # Otherwise it is left to its own readings to be parked.

    def _look_at(self, device_id: str) -> RemoteDevice | None:
        answer = self._client.get_device(device_id)
        if answer.status == 404 and answer.body:
            return None
        if answer.status == 403:
            _refuse(other_private_device(device_id))
        if answer.status == 400:
            raise Rejected(f"device id {device_id} is not accepted: {answer.text}")
        if answer.status != 200:
            raise trouble(f"looking for device {device_id}", answer)
        return _device(device_id, answer)

    def _look_again_at(self, device_id: str) -> RemoteDevice:
        device = self._look_at(device_id)
        if device is None:
            raise OutcomeUnknown(f"device {device_id} is not there right after it was created")
        return device

    def _create(self, device_id: str, sensors: list[SensorBody]) -> None:
        configured = self._devices.get(device_id)
        name, location = (configured.name, configured.location) if configured else (device_id, None)
        visibility = self._visibility(device_id)
        meta = _identity(configured) if configured else {}
        body = DeviceBody(device_id, self._gateway_id, to_text(name), visibility, sensors, location, meta)
        answer = self._client.post_device(body)
        if answer.status == 400 and (sensors or meta):
            # One sensor may be at fault, and must not keep the others out: they are added one by one.
            answer = self._client.post_device(msgspec.structs.replace(body, sensors=[], meta={}))
        if answer.status in (400, 403):
            raise Rejected(f"device {device_id} cannot be created: {answer.text}")
        if answer.status not in (204, 422):
            raise trouble(f"creating device {device_id}", answer)
        if answer.status == 204:
            log.info("device created id=%s sensors=%d", device_id, len(sensors))

    def _visibility(self, device_id: str) -> str:
        configured = self._devices.get(device_id)
        # One that has left the configuration may have been meant to be private.
        return configured.visibility if configured else "private"

    def _take_from_guest(self, device_id: str) -> None:
        """Take a device over that the server gave to `guest`, as it did not believe the token then."""
        for field, value in (("visibility", self._visibility(device_id)), ("owner", self._client.owner)):
            answer = self._client.put_device_as_guest(device_id, field, value)
            if answer.status != 204:
                raise trouble(f"taking device {device_id} over from {GUEST}", answer)
        log.warning("device %s was created as %s and has been taken over; is the clock right?", device_id, GUEST)


def _identity(device: Device) -> dict[str, str]:
    """Return what tells which sensor it is: the DevEUI on its label, and its decoder.

    Only for a device that is created: `PUT meta` would replace what others have written there.
    """
    found = {"dev_eui": f"{device.root.dev_eui:016x}" if device.root else "", "decoder": to_text(device.decoder)}
    return {key: text for key, text in found.items() if text}


def _device(device_id: str, answer: Answer) -> RemoteDevice:
    try:
        return msgspec.json.decode(answer.body, type=RemoteDevice)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unavailable(f"looking for device {device_id}: no device in the answer: {error}") from error


def _sensor_body(lane: Lane) -> SensorBody:
    kind = kind_of(lane)
    return SensorBody(to_id(lane.name), to_text(lane.name), kind.kind, kind.quantity, kind.unit)


def _refuse(problem: Problem | None) -> None:
    if problem is not None:
        raise Rejected(problem.what, fix=problem.fix)
