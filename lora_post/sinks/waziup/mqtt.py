"""Send values to Waziup Cloud over MQTT; the rest, and what is not acknowledged, over HTTP.

A PUBACK of the platform is no proof of storage. It acknowledges values of an unknown sensor and of a device that
is not ours, and drops them; over a value that it cannot read, and over a device that is not there, it falls silent
for the rest of the connection. So a sensor's first batch goes over HTTP, which creates what is missing and says
what is refused; its next one is looked for in the history once it is acknowledged, and later ones from time to
time, the sooner the more there are. Whatever is then missing or unanswered goes over HTTP again.

Source: Waziup/wazicloud-api: src/MQTT.hs.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lora_post.errors import OutcomeUnknown, SinkError
from lora_post.net.mqtt_url import Broker
from lora_post.net.traffic import Traffic
from lora_post.sinks.mqtt_connection import MqttConnection
from lora_post.sinks.sink import Sink
from lora_post.sinks.waziup.sink import WaziupSink
from lora_post.sinks.waziup_values import value_objects
from lora_post.spool.model import Batch, Lane
from lora_post.times import WallUs
from lora_post.waziup.names import to_id

log = logging.getLogger(__name__)

# What may be acknowledged without a look: a look costs about 2 kB, with a login 4 kB.
LOOK_AFTER_READINGS = 100
LOOK_AFTER_S = 24 * 3600.0
HTTP_AFTER_LOSS_S = 24 * 3600.0
HTTP_AFTER_SILENCE_S = 600.0  # it may have been the link; a bad value is found meanwhile
# Pings would cost more than a new connection; the platform closes idle HTTP connections after as long.
IDLE_S = 30.0


@dataclass(slots=True)
class _Sensor:
    """How far MQTT is trusted with one sensor.

    is_there: HTTP has delivered something since the last trouble. http_until, looked_at: monotonic times.
    unlooked: readings that were acknowledged since then.
    """

    http_until: float = 0.0
    is_there: bool = False
    looked_at: float = -math.inf
    unlooked: int = 0

    def is_look_due(self, readings: int, now: float) -> bool:
        return self.unlooked + readings > LOOK_AFTER_READINGS or now - self.looked_at >= LOOK_AFTER_S


class WaziupMqttSink(Sink):
    """Sends batches of one sensor; raises a SinkError when they did not arrive."""

    looks_back = WaziupSink.looks_back

    def __init__(
        self,
        http: WaziupSink,
        broker: Broker,
        client_id: str,
        traffic: Traffic,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """client_id: not a gateway's id, or the platform would show it come and go at each batch."""
        self._http = http
        self._broker = broker
        self._client_id = client_id
        self._traffic = traffic
        self._monotonic = monotonic
        self._connection: MqttConnection | None = None
        self._used_at = 0.0
        self._sensors: dict[tuple[str, str], _Sensor] = {}
        self.ask_time = http.ask_time

    def clock_us(self) -> WallUs:
        """Return the server's time."""
        return self._http.clock_us()

    def close(self) -> None:
        """End the connections."""
        self._disconnect()
        self._http.close()

    def prepare(self) -> None:
        """Leave a connection that is not used; gateway and heartbeat as over HTTP."""
        if self._monotonic() - self._used_at > IDLE_S:
            self._disconnect()
        self._http.prepare()

    def send(self, batch: Batch) -> None:
        """Deliver a batch. Raises Unavailable, OutcomeUnknown, Rejected."""
        sensor = self._sensors.setdefault(_key(batch.lane), _Sensor())
        if not sensor.is_there or self._monotonic() < sensor.http_until:
            self._http.send(batch)
            sensor.is_there = True
            return
        self._http.make_ready(batch)
        since_us = self.clock_us()
        self._publish(batch)
        if sensor.is_look_due(len(batch.times_us), self._monotonic()):
            self._look(batch, sensor, since_us)
        else:
            sensor.unlooked += len(batch.times_us)
        self._http.follow_up(batch)

    def stored(self, batch: Batch, since_us: WallUs) -> Sequence[WallUs]:
        """Return the times of a batch that the server has, as `WaziupSink.stored` does."""
        return self._http.stored(batch, since_us)

    def _publish(self, batch: Batch) -> None:
        """Publish a batch; return when it is acknowledged. Raises Unavailable, OutcomeUnknown."""
        lane = batch.lane
        connection = self._connected()
        topic = f"devices/{lane.device}/sensors/{to_id(lane.name)}/value"
        arrived = connection.publish(topic, value_objects(batch), retain=False)
        connection.count(self._traffic)
        self._used_at = self._monotonic()
        if all(arrived):
            return
        text = f"{arrived.count(False)} of {len(arrived)} values were not acknowledged"
        is_silent = connection.is_up
        self._disconnect()
        if not is_silent:
            raise OutcomeUnknown(f"the connection to {self._broker.host} was lost: {text}")
        self._sensors[_key(lane)] = _Sensor(self._monotonic() + HTTP_AFTER_SILENCE_S)
        raise OutcomeUnknown(f"{self._broker.host} fell silent over {lane.device}/{lane.name}: {text}")

    def _look(self, batch: Batch, sensor: _Sensor, since_us: WallUs) -> None:
        """Look for the last value in the history: those before it went the same way.

        Raises OutcomeUnknown when it is not there, or the look fails.
        """
        lane = batch.lane
        last = Batch(lane, batch.times_us[-1:], batch.values[-1:])
        try:
            is_stored = self._http.stored(last, since_us)
        except SinkError as error:
            what = f"acknowledged, and the look for it failed: {error.what}"
            raise OutcomeUnknown(what, error.retry_after_s, fix=error.fix) from error
        now = self._monotonic()
        if is_stored:
            sensor.looked_at, sensor.unlooked = now, 0
            return
        self._sensors[_key(lane)] = _Sensor(now + HTTP_AFTER_LOSS_S)
        log.warning(
            "values of %s/%s were acknowledged by %s and not stored; they are sent over HTTP, for a day%s",
            lane.device,
            lane.name,
            self._broker.host,
            f"; {sensor.unlooked} before them were not looked for and may be missing" if sensor.unlooked else "",
        )
        raise OutcomeUnknown(
            f"{self._broker.host} acknowledged values of {lane.device}/{lane.name} without storing them"
        )

    def _connected(self) -> MqttConnection:
        is_idle = self._monotonic() - self._used_at > IDLE_S
        if self._connection is not None and (is_idle or not self._connection.is_up):
            self._disconnect()
        if self._connection is None:
            self._connection = MqttConnection(self._broker, self._client_id, ping_every_s=0)
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection.count(self._traffic)
            self._connection = None


def _key(lane: Lane) -> tuple[str, str]:
    """Return what names a sensor; a lane's number goes to another one when its lane is dropped."""
    return lane.device, lane.name
