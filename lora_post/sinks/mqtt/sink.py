"""Readings as MQTT messages on a broker of one's own.

A reading counts as delivered when the broker has acknowledged it. A broker cannot be asked what it has: a
message whose acknowledgement was lost is sent again, with the same time in it.
"""

from __future__ import annotations

from lora_post.errors import OutcomeUnknown
from lora_post.sinks.last_sent import LastSent
from lora_post.sinks.mqtt import MqttConfig
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

    def __init__(self, config: MqttConfig, gateway_id: str) -> None:
        self._config = config
        self._gateway_id = gateway_id
        self._connection: MqttConnection | None = None
        self._sent = LastSent()

    def send(self, batch: Batch) -> None:
        """Publish a batch. Raises Unavailable; OutcomeUnknown when not all was acknowledged."""
        connection = self._connected()
        topic = topic_of(self._config.topic, self._gateway_id, batch.lane.device, batch.lane.name)
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

    def _connected(self) -> MqttConnection:
        if self._connection is not None and not self._connection.is_up:
            self.close()
        if self._connection is None:
            self._connection = MqttConnection(
                self._config.broker, f"lora-post-{self._gateway_id}", ping_every_s=PING_EVERY_S
            )
        return self._connection


def topic_of(template: str, gateway: str, device: str, sensor: str) -> str:
    """Return the topic of a sensor; a name fills one level of it, whatever is in the name."""
    words = {"gateway": gateway, "device": to_id(device), "sensor": to_id(sensor)}
    for word, text in words.items():
        template = template.replace(f"{{{word}}}", text)
    return template
