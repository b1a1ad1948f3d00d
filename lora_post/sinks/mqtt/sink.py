"""Publish readings as MQTT messages, and announce sensors to Home Assistant.

A reading counts as delivered when the broker has acknowledged it. A broker cannot be asked what it has: a
message whose acknowledgement was lost is sent again, with the same time in it.
"""

from __future__ import annotations

from lora_post.errors import OutcomeUnknown, Unavailable
from lora_post.sinks.destination import Site
from lora_post.sinks.last_sent import LastSent
from lora_post.sinks.mqtt import MqttConfig
from lora_post.sinks.mqtt.home_assistant import Discovery, gateway_discovery, sensor_discovery
from lora_post.sinks.mqtt_connection import MqttConnection
from lora_post.sinks.reading_json import reading_objects
from lora_post.sinks.sink import Sink
from lora_post.spool.model import Batch
from lora_post.times import WallUs
from lora_post.waziup.names import to_id

PING_EVERY_S = 300  # a ping costs about 100 bytes, with what is around it


class MqttSink(Sink):
    """Publishes one message a reading."""

    goes_on = False  # it does, but it cannot be asked what came of it

    def __init__(self, config: MqttConfig, site: Site) -> None:
        self._config = config
        self._site = site
        self._connection: MqttConnection | None = None
        self._discovered: dict[tuple[str, str], Discovery] = {}  # over this connection, by device and sensor
        self._sent = LastSent()

    def send(self, batch: Batch) -> None:
        """Publish a batch. Raises Unavailable; OutcomeUnknown when not all was acknowledged."""
        connection = self._connected()
        topic = topic_of(self._config.topic, self._site.gateway_id, batch.lane.device, batch.lane.name)
        if self._config.discovery_prefix:
            self._introduce(connection, batch, topic)
        arrived = connection.publish(topic, reading_objects(batch), retain=self._config.retain)
        self._sent.note(batch, [time for time, has in zip(batch.times_us, arrived, strict=True) if has])
        if not all(arrived):
            self.close()
            text = f"{arrived.count(False)} of {len(arrived)} messages were not acknowledged"
            raise OutcomeUnknown(f"the connection to {self._config.broker.host} was lost: {text}")

    def stored(self, batch: Batch, since_us: WallUs) -> list[WallUs]:
        """Return the times of a batch that were acknowledged, as far as this process knows."""
        return self._sent.of(batch)

    def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _introduce(self, connection: MqttConnection, batch: Batch, state_topic: str) -> None:
        """Tell Home Assistant of a sensor that it does not know, or not like this. Raises Unavailable."""
        prefix, site, lane = self._config.discovery_prefix, self._site, batch.lane
        device = site.devices.get(lane.device)
        device_name = device.name if device else lane.device
        made = sensor_discovery(prefix, lane, device_name, site.gateway_id, state_topic, batch.values[-1])
        known = self._discovered.get((lane.device, lane.name))
        if made is None or made == known:
            return
        due = [made]
        if not self._discovered:
            due.insert(0, gateway_discovery(prefix, site.gateway_id, site.gateway_name))
        if known and known.topic != made.topic:
            due.insert(0, Discovery(known.topic, b""))
        for each in due:
            if not all(connection.publish(each.topic, [each.payload], retain=True)):
                self.close()
                raise Unavailable(f"the connection to {self._config.broker.host} was lost")
        self._discovered[lane.device, lane.name] = made

    def _connected(self) -> MqttConnection:
        if self._connection is not None and not self._connection.is_up:
            self.close()
        if self._connection is None:
            self._connection = MqttConnection(
                self._config.broker, f"lora-post-{self._site.gateway_id}", ping_every_s=PING_EVERY_S
            )
            self._discovered.clear()  # the broker may have lost what it retained
        return self._connection


def topic_of(template: str, gateway: str, device: str, sensor: str) -> str:
    """Return the topic of a sensor; a name fills one level of it, whatever is in the name."""
    words = {"gateway": gateway, "device": to_id(device), "sensor": to_id(sensor)}
    for word, text in words.items():
        template = template.replace(f"{{{word}}}", text)
    return template
