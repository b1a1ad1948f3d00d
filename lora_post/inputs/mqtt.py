"""Read messages of an MQTT broker: `mqtt://user@host:1883/topic/filter?qos=1`, `mqtts://…`.

The session outlives the process, so that the broker keeps messages while lora-post is away; a message is
acknowledged only when what it says is on disk. What comes again after a kill is recognised further on.
No thread of its own: while the store cannot be written, nothing is read, and the broker keeps the rest.
"""

from __future__ import annotations

import hashlib
import logging
import math
import ssl
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from lora_post.clocks.scale import now_us
from lora_post.errors import ConfigError, Problem
from lora_post.formats import Parser
from lora_post.inputs.mqtt_bounded import BoundedClient, LongMessage
from lora_post.inputs.retained import TakenMessages
from lora_post.model import Heard, Noise, NoiseReason
from lora_post.net.mqtt_url import MqttAddress
from lora_post.secret import Secret
from lora_post.text import printable

log = logging.getLogger(__name__)

# One transaction's worth: other inputs have their turn after it.
BATCH = 64
MAX_MESSAGE = 1 << 18
# What is held of a batch: a few long messages, or many short ones.
MAX_BATCH_BYTES = 1 << 20
KEEPALIVE_S = 30
CONNECT_TIMEOUT_S = 10.0
FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 60.0


class BrokerAccount(Struct, frozen=True):
    """The password for a broker, and the authority (ca_file) of its certificate.

    ca_file: None for the authorities of the system.
    """

    password: Secret | None = None
    ca_file: Path | None = None


class MqttInput:
    """Frames out of the messages of one topic filter, each message read by a parser of its own."""

    def __init__(
        self,
        address: MqttAddress,
        login: BrokerAccount,
        client_id: str,
        make_parser: Callable[[], Parser],
        taken: TakenMessages,
        wait: Callable[[float], object] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """client_id: "" for a session that ends with the connection and takes nothing from others.

        wait: how to pass the time until the next attempt. Raises ConfigError when ca_file is of no use.
        """
        self.name = f"mqtt {address.host}:{address.port} {printable(address.topic)}"
        self._address = address
        self._make_parser = make_parser
        self._taken = taken
        self._wait = wait
        self._monotonic = monotonic
        self._retry_at = 0.0
        self._retry_s = FIRST_RETRY_S
        self._connected_at = math.inf
        self._subscribed = False
        self.trouble: Problem | None = None
        self._messages: list[MQTTMessage | LongMessage] = []
        self._unacknowledged: list[MQTTMessage | LongMessage] = []
        self._client = self._make_client(login, client_id)

    def _make_client(self, login: BrokerAccount, client_id: str) -> BoundedClient:
        client = BoundedClient(
            CallbackAPIVersion.VERSION2,
            client_id,
            clean_session=not client_id,
            manual_ack=True,
            limit=MAX_MESSAGE,
            on_long=self._messages.append,
        )
        client.connect_timeout = CONNECT_TIMEOUT_S
        if self._address.user:
            client.username_pw_set(self._address.user, login.password.reveal() if login.password else None)
        if self._address.tls:
            try:
                client.tls_set_context(ssl.create_default_context(cafile=login.ca_file))
            except OSError as error:  # ssl.SSLError is one
                why = error.strerror or "no certificate in it"
                raise ConfigError(f"[[input]] ca_file {login.ca_file}: {why}", fix="it must be a PEM file") from error
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.connect_async(self._address.host, self._address.port, KEEPALIVE_S)
        return client

    def events(self, timeout_s: float) -> Sequence[Heard]:
        if self._client.socket() is None and not self._connect(timeout_s):
            return ()
        self._client.loop(timeout_s)
        read = 0
        while read < len(self._messages) < BATCH and sum(map(_held, self._messages)) < MAX_BATCH_BYTES:
            read = len(self._messages)
            self._client.loop(0.0)
        if self._client.socket() is None and self._retry_at <= self._monotonic():
            self._lost(Problem("the connection broke off"))
        self._unacknowledged += self._messages
        events = [event for message in self._messages for event in self._read(message)]
        self._messages.clear()
        return events

    def drain(self) -> Sequence[Heard]:
        """Return nothing: what is not acknowledged comes again."""
        return ()

    def kept(self) -> None:
        if self._client.is_connected():
            for message in self._unacknowledged:
                self._client.ack(message.mid, message.qos)
        messages = [each for each in self._unacknowledged if isinstance(each, MQTTMessage)]
        for each in messages:
            self._taken.take(_topic(each), bytes(each.payload))
        self._taken.save(now=any(each.retain for each in messages))
        self._unacknowledged.clear()

    def close(self) -> None:
        self._taken.close()
        connection = self._client.socket()
        self._client.disconnect()
        # An input may be opened again: neither the connection nor a cycle of references stays behind.
        if connection is not None:
            connection.close()
        client = self._client
        client.on_connect = client.on_subscribe = client.on_message = None

    def _connect(self, timeout_s: float) -> bool:
        """Connect if it is time for it; tell whether that worked, after timeout_s if not."""
        left = self._retry_at - self._monotonic()
        if left > 0:
            self._wait(min(left, timeout_s))
            return False
        # Their numbers mean nothing to the next connection; the broker sends these messages again.
        self._unacknowledged.clear()
        try:
            self._client.reconnect()
            return True
        # Not reachable, an unknown name, a certificate that does not fit (an OSError too), a malformed name.
        except (OSError, ValueError) as error:
            self._lost(Problem(getattr(error, "verify_message", "") or str(error)))
            return False

    def _lost(self, why: Problem) -> None:
        now = self._monotonic()
        if now - self._connected_at > LONGEST_RETRY_S:
            self._retry_s = FIRST_RETRY_S
        self._connected_at = math.inf
        self._retry_at = now + self._retry_s
        self._retry_s = min(2 * self._retry_s, LONGEST_RETRY_S)
        if why != self.trouble:
            log.warning("%s: waiting for the broker: %s", self.name, printable(str(why)))
            self.trouble = why

    def _on_connect(self, client: Client, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self._lost(Problem(f"it refuses the connection: {reason}", "correct the user in url, or password"))
            return
        self._connected_at = self._monotonic()
        if self._subscribed and self._address.qos and not flags.session_present:
            log.warning("%s: the broker has not kept the session; what was published meanwhile is lost", self.name)
        client.subscribe(self._address.topic, self._address.qos)

    def _on_subscribe(self, client: Client, userdata: Any, mid: int, reasons: list[Any], properties: Any) -> None:
        if any(reason.is_failure for reason in reasons):
            self.trouble = Problem("the broker refuses this topic", "correct url, or what the user may read")
            log.error("%s: %s", self.name, self.trouble)
            return
        log.info("%s: subscribed%s", self.name, " again" if self.trouble else "")
        self.trouble = None
        self._subscribed = True
        if any(reason.value < self._address.qos for reason in reasons):
            log.warning("%s: the broker keeps nothing back for this user, it grants QoS 0 only", self.name)

    def _on_message(self, client: Client, userdata: Any, message: MQTTMessage) -> None:
        self._messages.append(message)

    def _read(self, message: MQTTMessage | LongMessage) -> list[Heard]:
        if isinstance(message, LongMessage):
            topic = printable(message.topic.decode("utf-8", "replace"))[:100]
            detail = f"a message of {message.size} bytes, at most {MAX_MESSAGE}, topic {topic}"
            return [Noise(NoiseReason.LINE_TOO_LONG, max(message.size, 1), detail)]
        payload = bytes(message.payload)
        topic = _topic(message)
        if message.retain and self._taken.has(topic, payload):
            log.info("%s: left out a retained message that was taken before: %s", self.name, printable(topic))
            return []
        parser, now = self._make_parser(), now_us()
        return [*parser.feed(payload + b"\n", now), *parser.finish(now)]


def _topic(message: MQTTMessage) -> str:
    """Return a message's topic, "" where the broker let one pass that is not UTF-8."""
    try:
        return message.topic
    except UnicodeDecodeError:
        return ""


def _held(message: MQTTMessage | LongMessage) -> int:
    return len(message.payload) if isinstance(message, MQTTMessage) else len(message.topic)


def client_id(gateway: str, url: str) -> str:
    """Return a name for this input at its broker that is the same at each start.

    23 letters and digits, which every broker takes (MQTT 3.1.1, section 3.1.3.1).
    """
    return "lorapost" + hashlib.blake2b(f"{gateway} {url}".encode()).hexdigest()[:15]
