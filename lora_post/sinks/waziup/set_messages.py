"""Hear at once, from its broker, of values that people set on Waziup for devices.

Such a message comes once, and only to who is connected: what was set meanwhile is found by looking.

Source: Waziup/wazicloud-api: src/MQTT.hs.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Sequence
from queue import Empty, Full, Queue
from typing import Final

import msgspec

from lora_post.errors import Unavailable
from lora_post.net.backoff import Backoff
from lora_post.net.mqtt_url import Broker
from lora_post.net.traffic import Traffic
from lora_post.sinks.mqtt_connection import MqttConnection
from lora_post.sinks.watch import Setting

log = logging.getLogger(__name__)

PING_EVERY_S: Final = 60
"""The way through a router closes when nothing comes; a ping costs 100 bytes."""
LONGEST_PAUSE_S: Final = 600.0
MAX_MESSAGES: Final = 256
MAX_BYTES: Final = 1000
_TOPIC: Final = re.compile(r"devices/([^/]+)/actuators/([^/]+)/value")


class SetMessages:
    """A subscription to the actuators of devices; for one thread."""

    def __init__(
        self, broker: Broker, client_id: str, traffic: Traffic, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._broker = broker
        self._client_id = client_id
        self._traffic = traffic
        self._monotonic = monotonic
        self._backoff = Backoff(LONGEST_PAUSE_S, first_s=5.0)
        self._messages: Queue[Setting] = Queue(MAX_MESSAGES)
        self._connection: MqttConnection | None = None
        self._devices: Sequence[str] = ()

    @property
    def is_subscribed(self) -> bool:
        """Whether it is told of values now, as far as is known."""
        return self._connection is not None and self._connection.is_up

    def follow(self, devices: Sequence[str]) -> bool:
        """Subscribe to these devices; return whether that is new: then look once. Raises Unavailable."""
        connection = self._connection
        if connection and not connection.is_up:
            log.info("the connection to %s, which tells of values that are set, was lost", self._broker.host)
            self.close()
        if self._connection and self._devices == devices:
            return False
        now = self._monotonic()
        if now < self._backoff.until:
            return False
        try:
            self._subscribe(devices)
        except Unavailable as error:
            self._backoff.fail(now, error.retry_after_s or 0.0)
            raise
        self._backoff.succeed()
        return True

    def _subscribe(self, devices: Sequence[str]) -> None:
        if self._connection is None:
            self._connection = MqttConnection(self._broker, self._client_id, ping_every_s=PING_EVERY_S, hear=self._hear)
        if devices and not self._connection.subscribe([f"devices/{each}/actuators/+/value" for each in devices]):
            self.close()
            raise Unavailable(f"the broker at {self._broker.host} does not grant the subscription to actuators")
        self._devices = devices

    def taken(self) -> list[Setting]:
        """Return what has come since the last time."""
        found = []
        while True:
            try:
                found.append(self._messages.get_nowait())
            except Empty:
                return found

    def close(self) -> None:
        """End the connection."""
        if self._connection:
            self._connection.close()
            self._connection.count(self._traffic)
            self._connection = None

    def _hear(self, topic: str, payload: bytes) -> None:
        match = _TOPIC.fullmatch(topic)
        if not match or len(payload) > MAX_BYTES:
            return
        try:
            value = msgspec.json.decode(payload)
            if value is not None:
                self._messages.put_nowait(Setting(match[1], match[2], value))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, Full) as error:
            log.warning("a value for %s of %s is left out: %s", match[2], match[1], error)
