"""Send readings to a WaziGate, create what is missing, ask what has arrived.

A WaziGate keeps the times of its history in whole seconds, so what has arrived is told by second and value; of two
equal values in one second, as many count as arrived as it has.

Source: Waziup/wazigate-edge: api/{auth,sensor_values,values}.go, edge/{device,sensor,values}.go.
"""

from __future__ import annotations

import json
import logging
from collections import Counter

import msgspec

from lora_post.clocks.scale import parse_utc, utc_text
from lora_post.errors import BatchRefused, OutcomeUnknown, Rejected, Unavailable
from lora_post.net.http_client import Answer
from lora_post.sinks.destination import SinkContext
from lora_post.sinks.sink import Sink
from lora_post.sinks.wazigate import WazigateConfig
from lora_post.sinks.wazigate.client import GateDevice, GateSensor, RemoteGateSensor, WazigateClient, trouble
from lora_post.sinks.waziup_values import kind_of, wire_value
from lora_post.spool.model import Batch, Lane
from lora_post.times import WallUs
from lora_post.waziup.names import to_id, to_text

log = logging.getLogger(__name__)

SECOND_US = 1_000_000
MAX_ROWS = 2000  # of a sensor's history that one question may bring


class WazigateSink(Sink):
    """Sends batches of one sensor; raises a SinkError when they did not arrive."""

    def __init__(self, config: WazigateConfig, context: SinkContext) -> None:
        self._client = WazigateClient(config.url, config.account)
        self._names = {device.id: device.name for device in context.site.devices}
        self._lanes_of = context.lanes_of

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    def send(self, batch: Batch) -> None:
        """Deliver a batch. Raises Unavailable, OutcomeUnknown, Rejected, BatchRefused."""
        lane = batch.lane
        answer = self._post(batch)
        if _is_not_there(answer):
            self._create(lane)
            answer = self._post(batch)
            if _is_not_there(answer):
                raise OutcomeUnknown(f"{lane.device}/{lane.name} is not there right after it was created")
        if answer.status == 400:
            raise BatchRefused(f"the WaziGate refuses the value: {answer.text}")
        # A page of something else that answers at this address comes as 200, too.
        if answer.status != 200 or answer.body.strip():
            raise trouble(f"sending {lane.device}/{lane.name}", answer)

    def stored(self, batch: Batch, recent: int) -> list[WallUs]:
        """Return the times of a batch that the WaziGate has. Raises Unavailable, OutcomeUnknown."""
        lane = batch.lane
        since, until = _whole_second(min(batch.times_us)), _whole_second(max(batch.times_us) + SECOND_US)
        answer = self._client.get_values(lane.device, to_id(lane.name), since, until, MAX_ROWS)
        if answer.status != 200:
            raise trouble(f"asking what {lane.device}/{lane.name} has", answer)
        there = _rows(answer, f"asking what {lane.device}/{lane.name} has")
        factor = kind_of(lane).factor
        found = []
        for time, value in zip(batch.times_us, batch.values, strict=True):
            row = time // SECOND_US, _canonical(wire_value(value, factor))
            if there[row]:
                there[row] -= 1
                found.append(time)
        return found

    def _post(self, batch: Batch) -> Answer:
        factor = kind_of(batch.lane).factor
        bodies = [
            msgspec.Raw(b'{"value":%b,"time":"%b"}' % (wire_value(value, factor), utc_text(time).encode()))
            for time, value in zip(batch.times_us, batch.values, strict=True)
        ]
        return self._client.post_values(batch.lane.device, to_id(batch.lane.name), bodies)

    def _create(self, lane: Lane) -> None:
        """Create the device with all its sensors, or those that it lacks."""
        wanted = [_sensor(each) for each in self._lanes_of(lane.device)]
        answer = self._client.get_sensors(lane.device)
        if _is_not_there(answer):
            name = to_text(self._names.get(lane.device, lane.device))
            answer = self._client.post_device(GateDevice(lane.device, name, wanted))
            _check_created(f"device {lane.device}", answer)
            log.info("wazigate: device created id=%s sensors=%d", lane.device, len(wanted))
            return
        if answer.status != 200:
            raise trouble(f"looking for device {lane.device}", answer)
        there = _sensor_ids(lane.device, answer)
        for sensor in wanted:
            if sensor.id not in there:
                answer = self._client.post_sensor(lane.device, sensor)
                if answer.status != 409:
                    _check_created(f"sensor {sensor.id} of {lane.device}", answer)
                log.info("wazigate: sensor created device=%s sensor=%s", lane.device, sensor.id)


def _is_not_there(answer: Answer) -> bool:
    """Return whether the device or the sensor is missing, and not the whole API."""
    return answer.status == 404 and answer.body.startswith(b"device or sensor")


def _check_created(what: str, answer: Answer) -> None:
    if answer.status == 400:
        raise Rejected(f"{what} cannot be created: {answer.text}")
    if answer.status != 200:
        raise trouble(f"creating {what}", answer)


def _sensor(lane: Lane) -> GateSensor:
    kind = kind_of(lane)
    return GateSensor(to_id(lane.name), to_text(lane.name), kind.kind or "", kind.quantity or "", kind.unit or "")


def _sensor_ids(device_id: str, answer: Answer) -> set[str]:
    try:
        sensors = msgspec.json.decode(answer.body, type=list[RemoteGateSensor] | None)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Unavailable(f"looking for device {device_id}: no list of sensors: {error}") from error
    return {sensor.id for sensor in sensors or ()}


def _whole_second(time_us: WallUs) -> str:
    return utc_text(time_us - time_us % SECOND_US)


def _rows(answer: Answer, doing: str) -> Counter[tuple[int, str]]:
    """Return how often the WaziGate has each value at each second."""
    try:
        rows = msgspec.json.decode(answer.body, type=list[dict[str, msgspec.Raw]])
        return Counter(
            (parse_utc(msgspec.json.decode(row["time"], type=str)) // SECOND_US, _canonical(bytes(row["value"])))
            for row in rows
        )
    except (ValueError, KeyError, RecursionError) as error:
        raise Unavailable(f"{doing}: no list of values: {error}") from error


def _canonical(value: bytes) -> str:
    """Return a JSON value as a store that knows only doubles gives it back."""
    return json.dumps(json.loads(value, parse_int=float), sort_keys=True)
