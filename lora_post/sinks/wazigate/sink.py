"""Send readings to a WaziGate, create what is missing, ask what has arrived.

A WaziGate keeps the times of its history in whole seconds, so what has arrived is told by second and value; of two
equal values in one second, as many count as arrived as it has.

Source: Waziup/wazigate-edge: api/{auth,sensor_values,values}.go, edge/{device,sensor,values}.go.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator

import msgspec

from lora_post.clocks.scale import parse_utc, utc_text
from lora_post.errors import BatchRefused, NotSent, Rejected, Unavailable, Untold
from lora_post.net.http_client import Answer
from lora_post.sinks.destination import SinkContext
from lora_post.sinks.sink import Sink, nothing_is_sent
from lora_post.sinks.wazigate import WazigateConfig
from lora_post.sinks.wazigate.client import GateDevice, GateSensor, RemoteGateSensor, WazigateClient, trouble
from lora_post.sinks.waziup_values import kind_of, wire_values
from lora_post.spool.model import Batch, Lane
from lora_post.times import WallUs
from lora_post.waziup.names import to_id, to_text

log = logging.getLogger(__name__)

SECOND_US = 1_000_000
MAX_ROWS = 2000  # of a sensor's history that one question may bring


class WazigateSink(Sink):
    """Sends batches of one sensor; raises a SinkError when they did not arrive."""

    def __init__(self, config: WazigateConfig, context: SinkContext) -> None:
        self._client = WazigateClient(config.url, config.account, context.alive)
        self._devices = context.site.devices
        self._lanes_of = context.lanes_of

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    def send(self, batch: Batch) -> None:
        """Deliver a batch. Raises Unavailable, NotSent, OutcomeUnknown, Rejected, BatchRefused."""
        lane = batch.lane
        answer = self._post(batch)
        if _is_not_there(answer):
            with nothing_is_sent():
                self._create(lane)
            answer = self._post(batch)
            if _is_not_there(answer):
                raise NotSent(f"{lane.device}/{lane.name} is not there right after it was created")
        if answer.status == 400:
            raise BatchRefused(f"the WaziGate refuses the value: {answer.text}")
        # A page of something else that answers at this address comes as 200, too.
        if answer.status != 200 or answer.body.strip():
            raise trouble(f"sending {lane.device}/{lane.name}", answer)

    def stored(self, batch: Batch, since_us: WallUs) -> list[WallUs]:
        """Return the times of a batch that the WaziGate has, whoever sent them.

        Raises Unavailable, OutcomeUnknown, Untold.
        """
        there: Counter[tuple[int, str]] = Counter()
        for rows in self._pages(batch):
            there.update(rows)
        found = []
        for time, value in zip(batch.times_us, wire_values(batch), strict=True):
            row = time // SECOND_US, _canonical(value)
            if there[row]:
                there[row] -= 1
                found.append(time)
        return found

    def _pages(self, batch: Batch) -> Iterator[list[tuple[int, str]]]:
        """Yield the history in the span of a batch as (second, value), oldest first."""
        name = f"{batch.lane.device}/{batch.lane.name}"
        since, until = batch.times_us[0] // SECOND_US, batch.times_us[-1] // SECOND_US + 1
        while True:
            answer = self._client.get_values(
                batch.lane.device, to_id(batch.lane.name), _text(since), _text(until), MAX_ROWS
            )
            if answer.status != 200:
                raise trouble(f"asking what {name} has", answer)
            rows = _rows(answer, f"asking what {name} has")
            if len(rows) < MAX_ROWS:
                yield rows
                return
            # The last second may go on on the next page.
            last = rows[-1][0]
            if last <= since:
                raise Untold(
                    f"{name} has {MAX_ROWS} values in one second: which came from here cannot be told",
                    fix="let nothing else send to this sensor",
                )
            yield [row for row in rows if row[0] != last]
            since = last

    def _post(self, batch: Batch) -> Answer:
        bodies = [
            msgspec.Raw(b'{"value":%b,"time":"%b"}' % (value, utc_text(time).encode()))
            for time, value in zip(batch.times_us, wire_values(batch), strict=True)
        ]
        return self._client.post_values(batch.lane.device, to_id(batch.lane.name), bodies)

    def _create(self, lane: Lane) -> None:
        """Create the device with all its sensors, or those that it lacks."""
        wanted = [_sensor(each) for each in self._lanes_of(lane.device)]
        answer = self._client.get_sensors(lane.device)
        if _is_not_there(answer):
            device = self._devices.get(lane.device)
            name = to_text(device.name if device else lane.device)
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
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unavailable(f"looking for device {device_id}: no list of sensors: {error}") from error
    return {sensor.id for sensor in sensors or ()}


def _text(second: int) -> str:
    return utc_text(WallUs(second * SECOND_US))


def _rows(answer: Answer, doing: str) -> list[tuple[int, str]]:
    """Return what the WaziGate has, as (second, value)."""
    try:
        rows = msgspec.json.decode(answer.body, type=list[dict[str, msgspec.Raw]])
        return [
            (parse_utc(msgspec.json.decode(row["time"], type=str)) // SECOND_US, _canonical(bytes(row["value"])))
            for row in rows
        ]
    except (ValueError, KeyError, RecursionError) as error:
        raise Unavailable(f"{doing}: no list of values: {error}") from error


def _canonical(value: bytes) -> str:
    """Return a JSON value as a store that knows only doubles gives it back."""
    return json.dumps(json.loads(value, parse_int=float), sort_keys=True)
