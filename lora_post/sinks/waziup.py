"""The Waziup Cloud sink: log in, declare the gateway, provision, send, and ask what has arrived.

What is known to exist is remembered, so that in the steady state a batch is one request. A device
is looked at once before the first reading goes to it: ids are shared by all users of the platform,
and a reading must not end up in somebody else's device of the same name.

Source: Waziup/wazicloud-api: src/Waziup/{Auth,Devices,Sensors,SensorData,Gateways}.hs.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec
from msgspec import Struct

from lora_post.clock import parse_utc, utc_text
from lora_post.errors import BatchRefused, OutcomeUnknown, Rejected, SinkError, Unavailable
from lora_post.model import Batch, Lane
from lora_post.secret import Secret
from lora_post.units import SensorKind, describe, to_waziup_value
from lora_post.waziup_client import (
    Answer,
    DeviceBody,
    RemoteDevice,
    SensorBody,
    StoredValue,
    WaziupClient,
    read_login,
)
from lora_post.waziup_names import to_id, to_text, to_value

log = logging.getLogger(__name__)

HEARTBEAT_EVERY_S = 600.0  # the dashboard calls a gateway active for 12 hours after one
RENEW_BEFORE_S = 90.0
WRONG_PASSWORD_WAIT_S = 300.0
OTHER_WRITERS = 50  # rows of a sensor's history that others may have added since our batch
GUEST = "guest"
OTHER_ID = "give it another id in the configuration, then: lora-post spool move OLD-ID NEW-ID"


class DeviceInfo(Struct, frozen=True):
    """How a device is declared when it has to be created."""

    name: str
    visibility: str


class Memory(Protocol):
    """What outlives the process: facts about one server and account."""

    def recall(self) -> dict[str, str]: ...
    def remember(self, what: str, value: str) -> None: ...
    def forget(self, what: str) -> None: ...


class Account(Struct, frozen=True):
    """Credentials."""

    username: str
    password: Secret


class Gateway(Struct, frozen=True):
    """How the gateway is declared."""

    id: str
    name: str
    visibility: str


class WaziupSink:
    """Sends batches of one sensor; raises a SinkError when they did not arrive."""

    def __init__(
        self,
        client: WaziupClient,
        gateway: Gateway,
        account: Account | None,
        *,
        provision: bool,
        devices: Mapping[str, DeviceInfo],
        lanes_of: Callable[[str], Sequence[Lane]],
        memory: Memory,
    ) -> None:
        """account None: the simple protocol, public devices only. provision: create what is missing."""
        self._client = client
        self._gateway = gateway
        self._account = account
        self._provision = provision
        self._devices = devices
        self._lanes_of = lanes_of
        self._memory = memory
        self._known = memory.recall()
        self._owner = ""
        self._renew_at = 0.0
        self._heartbeat_at = 0.0

    # Gateway and login

    def prepare(self) -> None:
        """Whatever is due besides readings: declare the gateway, send its heartbeat."""
        if self._account is None or time.monotonic() < self._heartbeat_at:
            return
        self._log_in()
        # Set before the heartbeat: trouble with it must not hold up readings until it is over.
        self._heartbeat_at = time.monotonic() + HEARTBEAT_EVERY_S
        try:
            self._beat()
        except Rejected as error:
            log.error("heartbeat: %s", error)

    def _log_in(self) -> None:
        """Renew the token before it runs out: an expired one is not refused but makes us `guest`."""
        if self._account is None or time.monotonic() < self._renew_at:
            return
        asked_at = time.monotonic()
        answer = self._client.fetch_token(self._account.username, self._account.password)
        if answer.status in (400, 401):
            raise Unavailable(
                f"Waziup refuses user {self._account.username!r} or the password ({answer.text}); "
                "correct [waziup] username and password",
                WRONG_PASSWORD_WAIT_S,
            )
        if not 200 <= answer.status < 300:
            raise _transient("login", answer)
        login = read_login(answer)
        if login is None:
            raise Unavailable("login: the server answers with no token; is [waziup] url the API's address?")
        self._client.use_token(login.token)
        claims = login.claims
        self._owner = claims.preferred_username or self._account.username
        # Only the lifetime counts: this machine's clock may be wrong.
        lifetime = max(claims.exp - claims.iat, 0.0) if claims.iat else 600.0
        self._renew_at = asked_at + lifetime - min(RENEW_BEFORE_S, lifetime / 3)

    def _as_us(self, call: Callable[..., Answer], *arguments: object) -> Answer:
        """Make a call, once more with a fresh token when it is refused: an old one may have made us `guest`."""
        answer = call(*arguments)
        if answer.status in (401, 403) and self._account is not None:
            self._renew_at = 0.0
            self._log_in()
            answer = call(*arguments)
        return answer

    def _beat(self) -> None:
        if self._provision and "gateway" not in self._known:
            self._declare_gateway()
        path = self._known.get("heartbeat", "heartbeat")
        answer = self._as_us(self._client.put_heartbeat, self._gateway.id, path)
        if _is_no_route(answer):
            answer = self._client.put_heartbeat(self._gateway.id, "health")
            if answer.status == 204:
                self._remember("heartbeat", "health")
        if answer.status == 404 and answer.body and self._provision:
            self._declare_gateway()
        elif answer.status == 403:
            raise Rejected(
                f"gateway {self._gateway.id} belongs to another account, so its heartbeat is refused; "
                "choose another [gateway] id"
            )
        elif answer.status != 204:
            log.warning("heartbeat: status %d: %s", answer.status, answer.text)

    def _declare_gateway(self) -> None:
        gateway = self._gateway
        answer = self._client.post_gateway(gateway.id, to_text(gateway.name), gateway.visibility)
        if answer.status == 400:
            raise Rejected(f"gateway {gateway.id}: {answer.text}")
        if answer.status not in (200, 204, 422):
            raise _transient("declaring the gateway", answer)
        self._remember("gateway", "declared")
        log.info("gateway declared id=%s", gateway.id)

    # Readings

    def send(self, batch: Batch) -> None:
        """Deliver a batch; returns when the server has confirmed it.

        Raises Unavailable, OutcomeUnknown, or Rejected with a reason for a person.
        """
        lane = batch.lane
        self._log_in()
        if self._provision and _device_key(lane.device) not in self._known:
            self._ensure(lane)
        answer = self._as_us(self._post, batch)
        if answer.status == 404 and answer.body and self._provision:
            self._ensure(lane)
            answer = self._post(batch)
            if answer.status == 404:
                raise OutcomeUnknown(f"{lane.device}/{lane.name} is not there right after it was created")
        _check_push(batch, answer)

    def _post(self, batch: Batch) -> Answer:
        kind = _kind(batch.lane)
        bodies = [
            msgspec.Raw(b'{"value":%b,"timestamp":"%b"}' % (_wire_value(value, kind.factor), utc_text(time).encode()))
            for time, value in zip(batch.times_us, batch.values, strict=True)
        ]
        return self._client.post_values(batch.lane.device, to_id(batch.lane.name), bodies)

    def stored(self, batch: Batch, recent: int) -> list[int]:
        """Which times of a batch are among the `recent` values that the server got last, and some before them.

        Raises Unavailable or OutcomeUnknown.
        """
        lane = batch.lane
        self._log_in()
        answer = self._as_us(self._client.get_values, lane.device, to_id(lane.name), recent + OTHER_WRITERS)
        if answer.status == 403 or (answer.status == 404 and answer.body):
            return []  # who may not look may not push either
        if answer.status != 200:
            raise _transient(f"asking what {lane.device}/{lane.name} has", answer)
        try:
            rows = msgspec.json.decode(answer.body, type=list[StoredValue])
        except (msgspec.MsgspecError, RecursionError) as error:
            raise Unavailable(f"asking what {lane.device}/{lane.name} has: no list of values: {error}") from error
        factor = _kind(lane).factor
        sent = {
            time: msgspec.json.decode(_wire_value(value, factor))
            for time, value in zip(batch.times_us, batch.values, strict=True)
        }
        return sorted({time for row in rows if (time := _instant(row)) in sent and sent[time] == row.value})

    # Provisioning

    def _ensure(self, lane: Lane) -> None:
        """Make sure that a device is there, is ours, and has this sensor; and all others that we know of it."""
        device_id = lane.device
        wanted = [_sensor_body(each) for each in self._lanes_of(device_id)]
        try:
            device = self._look_at(device_id) or self._create(device_id, wanted)
            self._check_owner(device)
        except Rejected:
            self._forget(_device_key(device_id))
            raise
        there = {sensor.id for sensor in device.sensors}
        for sensor in wanted:
            if sensor.id not in there:
                self._add_sensor(device_id, sensor, is_needed=sensor.id == to_id(lane.name))
        self._remember(_device_key(device_id), "ours")

    def _add_sensor(self, device_id: str, sensor: SensorBody, *, is_needed: bool) -> None:
        answer = self._as_us(self._client.post_sensor, device_id, sensor)
        if answer.status == 204:
            log.info("sensor created device=%s sensor=%s", device_id, sensor.id)
        elif answer.status not in (400, 403):
            raise _transient(f"creating sensor {sensor.id} of {device_id}", answer)
        elif is_needed:
            raise Rejected(f"sensor {sensor.id} of {device_id} cannot be created: {answer.text}")
        # Otherwise it is left to its own readings to be parked.

    def _look_at(self, device_id: str) -> RemoteDevice | None:
        answer = self._as_us(self._client.get_device, device_id)
        if answer.status == 404 and answer.body:
            return None
        if answer.status == 403:
            raise Rejected(f"device {device_id} is a private device of another account; {OTHER_ID}")
        if answer.status == 400:
            raise Rejected(f"device id {device_id} is not accepted: {answer.text}")
        if answer.status != 200:
            raise _transient(f"looking for device {device_id}", answer)
        return _device(device_id, answer)

    def _create(self, device_id: str, sensors: list[SensorBody]) -> RemoteDevice:
        # One that has left the configuration may have been meant to be private.
        info = self._devices.get(device_id, DeviceInfo(device_id, "private"))
        body = DeviceBody(device_id, self._gateway.id, to_text(info.name), info.visibility, sensors)
        answer = self._client.post_device(body)
        if answer.status == 400 and sensors:
            # One sensor may be at fault, and must not keep the others out: they are added one by one.
            answer = self._client.post_device(msgspec.structs.replace(body, sensors=[]))
        if answer.status in (400, 403):
            raise Rejected(f"device {device_id} cannot be created: {answer.text}")
        if answer.status not in (204, 422):
            raise _transient(f"creating device {device_id}", answer)
        if answer.status == 204:
            log.info("device created id=%s sensors=%d", device_id, len(sensors))
            answer = self._client.get_device(device_id)
            if answer.status == 200 and (device := _device(device_id, answer)).owner != GUEST:
                return device
            if answer.status in (200, 403):
                self._take_from_guest(device_id, info)
        there = self._look_at(device_id)
        if there is None:
            raise OutcomeUnknown(f"device {device_id} is not there right after it was created")
        return there

    def _take_from_guest(self, device_id: str, info: DeviceInfo) -> None:
        """The server may not have believed our token just then: then the device is `guest`'s, whom anybody can be."""
        for field, value in (("visibility", info.visibility), ("owner", self._owner)):
            answer = self._client.put_device_as_guest(device_id, field, value)
            if answer.status == 403:
                return  # not guest's
            if answer.status != 204:
                raise _transient(f"taking device {device_id} over from {GUEST}", answer)
        log.warning("device %s was created as %s and has been taken over; is the clock right?", device_id, GUEST)

    def _check_owner(self, device: RemoteDevice) -> None:
        if device.owner != self._owner:
            raise Rejected(
                f"device {device.id} exists already and belongs to {to_text(device.owner or 'nobody')}, "
                f"not to {self._owner}; {OTHER_ID}"
            )

    def _remember(self, what: str, value: str) -> None:
        self._known[what] = value
        self._memory.remember(what, value)

    def _forget(self, what: str) -> None:
        self._known.pop(what, None)
        self._memory.forget(what)


def _check_push(batch: Batch, answer: Answer) -> None:
    """Turn the answer to a push into nothing (stored) or a SinkError."""
    lane = batch.lane
    if answer.status == 204 or (answer.status in (200, 201) and not answer.body):
        return  # a page of a network operator's that stands in the way comes as 200, too
    if answer.status == 404 and answer.body:
        raise Rejected(
            f"Waziup has no sensor {to_id(lane.name)} of device {lane.device}; "
            'create it there, or set [waziup] provision = "auto"'
        )
    if answer.status == 403:
        raise Rejected(f"device {lane.device} is private and not ours: {answer.text}")
    if answer.status in (400, 413, 422):
        raise BatchRefused(f"Waziup refuses the value: status {answer.status}: {answer.text}")
    if answer.status in (405, 406, 415):
        raise Rejected(f"Waziup does not understand the request: status {answer.status}; is [waziup] url right?")
    raise _transient(f"sending {lane.device}/{lane.name}", answer)


def _transient(doing: str, answer: Answer) -> SinkError:
    """The error for an answer that may be different next time."""
    if answer.status == 404 and not answer.body:
        return Unavailable(f"{doing}: there is no Waziup API at this address; correct [waziup] url")
    message = f"{doing}: status {answer.status}: {answer.text}"
    if answer.status in (429, 401, 301, 302, 303, 307, 308):
        return Unavailable(message, answer.retry_after_s)
    return OutcomeUnknown(message, answer.retry_after_s)


def _device(device_id: str, answer: Answer) -> RemoteDevice:
    try:
        return msgspec.json.decode(answer.body, type=RemoteDevice)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Unavailable(f"looking for device {device_id}: no device in the answer: {error}") from error


def _is_no_route(answer: Answer) -> bool:
    return answer.status == 405 or (answer.status == 404 and not answer.body)


def _device_key(device_id: str) -> str:
    return f"device {device_id}"


def _kind(lane: Lane) -> SensorKind:
    return describe(lane.name, lane.unit, lane.quantity, lane.channel)


def _sensor_body(lane: Lane) -> SensorBody:
    kind = _kind(lane)
    return SensorBody(to_id(lane.name), to_text(lane.name), kind.kind, kind.quantity, kind.unit)


def _wire_value(value: bytes, factor: float) -> bytes:
    """A queued JSON value as the server gets it; plain numbers pass without being parsed."""
    if factor == 1 and value[0] in b"-0123456789tf":
        return value
    return msgspec.json.encode(to_waziup_value(to_value(msgspec.json.decode(value)), factor))


def _instant(row: StoredValue) -> int | None:
    try:
        return parse_utc(row.timestamp) if row.timestamp else None
    except ValueError:
        return None
