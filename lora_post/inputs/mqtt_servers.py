"""Read decrypted uplinks of network servers behind a broker, and fill their downlink queues.

The topic of a device's queue is known once an uplink of it came. paho's client belongs to the thread that reads, so
others only leave what is to be published.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from threading import Lock
from typing import Any, Final

from paho.mqtt.client import Client, MQTTMessage

from lora_post.formats.server_queues import (
    Item,
    ServerEvent,
    queue_item,
    read_server_event,
    topic_of_queue,
    topics_beside,
)
from lora_post.inputs.mqtt import MqttInput
from lora_post.inputs.mqtt_bounded import LongMessage
from lora_post.model import ClearUplink, Heard
from lora_post.text import printable

MAX_DEVICES: Final = 100_000
MAX_EVENTS: Final = 4096
MAX_TOLD: Final = 100
MAX_SHOWN: Final = 200

log = logging.getLogger(__name__)


class MqttQueues:
    """The queues of one server's devices; safe to share between threads."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._lock = Lock()
        self._topics: dict[int, str] = {}
        self._told: set[int] = set()
        self._events: list[ServerEvent] = []
        self.is_connected = False
        self.to_publish: SimpleQueue[tuple[str, bytes]] = SimpleQueue()

    def heard(self, dev_eui: int, topic: str) -> None:
        """Note the topic of an uplink; the first one of a device stays, whoever publishes another one later."""
        queue = topic_of_queue(topic, self._server)
        if not queue:
            return
        with self._lock:
            known = self._topics.get(dev_eui)
            if known is None and len(self._topics) < MAX_DEVICES:
                self._topics[dev_eui] = queue
            is_new = known not in (None, queue) and dev_eui not in self._told and len(self._told) < MAX_TOLD
            if is_new:
                self._told.add(dev_eui)
        if is_new:
            log.warning(
                "uplinks of %016x come on %s, too; downlinks go to %s as before: restart lora-post if the device was "
                "moved, and name its application in [[input]] url",
                dev_eui,
                printable(topic)[:MAX_SHOWN],
                printable(str(known))[:MAX_SHOWN],
            )

    def hear(self, topic: str, body: bytes) -> None:
        """Take a message that is not an uplink."""
        event = read_server_event(topic, body, self._server)
        with self._lock:
            if event is not None and len(self._events) < MAX_EVENTS:
                self._events.append(event)

    def knows(self, dev_eui: int) -> bool:
        with self._lock:
            return self.is_connected and dev_eui in self._topics

    def give(self, item: Item) -> None:
        with self._lock:
            topic = self._topics.get(item.dev_eui)
        if topic is not None:
            self.to_publish.put((topic, queue_item(item, self._server)))

    def told(self) -> list[ServerEvent]:
        with self._lock:
            told, self._events = self._events, []
            return told


class MqttServer(MqttInput):
    """Uplinks of a network server, and the way back through it."""

    def __init__(self, *arguments: Any, server: str, **options: Any) -> None:
        """arguments, options: of MqttInput. server: the format of its messages."""
        super().__init__(*arguments, **options)
        self.server_queue = MqttQueues(server)
        self._beside = topics_beside(self._address.topic, server)
        self._beside_mid: int | None = None

    def events(self, timeout_s: float) -> Sequence[Heard]:
        self._publish()
        events = super().events(timeout_s)
        self.server_queue.is_connected = self._client.is_connected()
        self._publish()
        return events

    def _publish(self) -> None:
        while self._client.is_connected():
            try:
                topic, body = self.server_queue.to_publish.get_nowait()
            except Empty:
                return
            self._client.publish(topic, body, qos=1)

    def _on_connect(self, client: Client, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        super()._on_connect(client, userdata, flags, reason, properties)
        if self._beside and not reason.is_failure:
            _, self._beside_mid = self._client.subscribe([(topic, self._address.qos) for topic in self._beside])

    def _on_subscribe(self, client: Client, userdata: Any, mid: int, reasons: list[Any], properties: Any) -> None:
        if mid != self._beside_mid:  # without those, one does not learn what became of downlinks
            super()._on_subscribe(client, userdata, mid, reasons, properties)

    def _read(self, message: MQTTMessage | LongMessage) -> list[Heard]:
        events = super()._read(message)
        if isinstance(message, LongMessage) or message.retain:
            return events
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return events
        for event in events:
            if isinstance(event, ClearUplink):
                self.server_queue.heard(event.dev_eui, topic)
        if not events:
            self.server_queue.hear(topic, bytes(message.payload))
        return events
