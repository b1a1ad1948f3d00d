"""The Waziup Cloud sink: send readings, and ask what has arrived.

What is known to exist is remembered, so that in the steady state a batch is one request. A device
is looked at once before the first reading goes to it, see `waziup_provision`.

Source: Waziup/wazicloud-api: src/Waziup/{Sensors,SensorData}.hs.
"""

from __future__ import annotations

import logging
import time

import msgspec

from lora_post.clocks.scale import parse_utc
from lora_post.errors import BatchRefused, OutcomeUnknown, Rejected, Unavailable
from lora_post.net.http_client import Answer
from lora_post.sinks.destination import SinkContext
from lora_post.sinks.sink import Sink
from lora_post.sinks.waziup.actuators import ActuatorEntries
from lora_post.sinks.waziup.client import StoredValue, WaziupClient, trouble
from lora_post.sinks.waziup.gateway import GatewayEntry
from lora_post.sinks.waziup.provision import Provisioner
from lora_post.sinks.waziup_values import kind_of, value_objects, wire_value
from lora_post.spool.facts import Facts
from lora_post.spool.model import Batch
from lora_post.times import WallUs
from lora_post.waziup.names import to_id

log = logging.getLogger(__name__)

# The dashboard calls a gateway active for 12 hours after a heartbeat; each costs one, and often a login.
HEARTBEAT_EVERY_S = 3600.0
LOOKS_BACK = 500  # an answer of some 40 kB, after a power cut in the middle of a backlog
OTHER_WRITERS = 50  # rows of a sensor's history that others may have added since our batch


class WaziupSink(Sink):
    """Sends batches of one sensor over HTTP; raises a SinkError when they did not arrive."""

    looks_back = LOOKS_BACK

    def __init__(self, client: WaziupClient, context: SinkContext, facts: Facts, *, provision: bool) -> None:
        """facts: about the server and the account. provision: create what is missing."""
        self._client = client
        self._gateway = GatewayEntry(client, context.site, facts, provision=provision)
        self._provisioner = Provisioner(client, context, facts) if provision else None
        self._actuators = ActuatorEntries(client, facts, context.announced)
        self._heartbeat_at = 0.0

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    def ask_time(self) -> None:
        """Make a small request, for the date of its answer. Raises Unavailable or OutcomeUnknown."""
        self._client.get_me()

    def prepare(self) -> None:
        """Declare the gateway and send its heartbeat, when they are due."""
        if self._client.account is None or time.monotonic() < self._heartbeat_at:
            return
        self._client.renew()
        # Set before the heartbeat: trouble with it must not hold up readings until it is over.
        self._heartbeat_at = time.monotonic() + HEARTBEAT_EVERY_S
        try:
            self._gateway.beat()
        except Rejected as error:
            log.error("heartbeat: %s", error)

    def send(self, batch: Batch) -> None:
        """Deliver a batch; return when the server has confirmed it.

        Raises Unavailable, OutcomeUnknown, or Rejected with a reason for a person.
        """
        lane = batch.lane
        if self._provisioner and not self._provisioner.is_ours(lane.device):
            self._provisioner.ensure(lane)
        answer = self._post(batch)
        if answer.status == 404 and answer.body and self._provisioner:
            self._provisioner.ensure(lane)
            answer = self._post(batch)
            if answer.status == 404:
                raise OutcomeUnknown(f"{lane.device}/{lane.name} is not there right after it was created")
        _check_push(batch, answer)
        self.declare_actuators(lane.device)

    def declare_actuators(self, device_id: str) -> None:
        """Create what a device has announced and the server does not have; never raises over it."""
        if self._provisioner:
            self._actuators.declare(device_id)

    def _post(self, batch: Batch) -> Answer:
        bodies = [msgspec.Raw(body) for body in value_objects(batch)]
        return self._client.post_values(batch.lane.device, to_id(batch.lane.name), bodies)

    def stored(self, batch: Batch, recent: int) -> list[WallUs]:
        """Return the times of a batch among the `recent` last values at the server, or a few more.

        Raises Unavailable, OutcomeUnknown, or Rejected when the server lets only others look.
        """
        return self.stored_among(batch, recent + OTHER_WRITERS)

    def stored_among(self, batch: Batch, rows: int) -> list[WallUs]:
        """Return the times of a batch among so many values that the server got last.

        Raises as `stored` does.
        """
        lane = batch.lane
        answer = self._client.get_values(lane.device, to_id(lane.name), rows)
        if answer.status == 403:
            # Not nothing: a token that is not believed just then would make readings arrive twice.
            raise Rejected(f"device {lane.device} is private and belongs to another account: {answer.text}")
        if answer.status == 404 and answer.body:
            return []
        if answer.status != 200:
            raise trouble(f"asking what {lane.device}/{lane.name} has", answer)
        try:
            found = msgspec.json.decode(answer.body, type=list[StoredValue])
        except (msgspec.MsgspecError, RecursionError) as error:
            raise Unavailable(f"asking what {lane.device}/{lane.name} has: no list of values: {error}") from error
        factor = kind_of(lane).factor
        sent = {
            time: msgspec.json.decode(wire_value(value, factor))
            for time, value in zip(batch.times_us, batch.values, strict=True)
        }
        return sorted({time for row in found if (time := _instant(row)) in sent and sent[time] == row.value})


def _check_push(batch: Batch, answer: Answer) -> None:
    """Turn the answer to a push into nothing (stored) or a SinkError."""
    lane = batch.lane
    if answer.status == 204 or (answer.status in (200, 201) and not answer.body):
        return  # a page of a network operator's that stands in the way comes as 200, too
    if answer.status == 404 and answer.body:
        raise Rejected(
            f"Waziup has no sensor {to_id(lane.name)} of device {lane.device}",
            fix='create it there, or set [waziup] provision = "auto"',
        )
    if answer.status == 403:
        raise Rejected(f"device {lane.device} is private and belongs to another account: {answer.text}")
    if answer.status == 413:
        raise BatchRefused("the value is too long for Waziup, which takes 1 MB at most (status 413)")
    if answer.status in (400, 422):
        raise BatchRefused(f"Waziup cannot take this value: status {answer.status}: {answer.text}")
    if answer.status in (405, 406, 415):
        raise Rejected(f"Waziup does not understand the request: status {answer.status}", fix="is [waziup] url right?")
    raise trouble(f"sending {lane.device}/{lane.name}", answer)


def _instant(row: StoredValue) -> WallUs | None:
    try:
        return parse_utc(row.timestamp) if row.timestamp else None
    except ValueError:
        return None
