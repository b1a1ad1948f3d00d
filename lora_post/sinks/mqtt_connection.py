"""Hold one connection to an MQTT broker, from CONNECT until it is lost.

A lost connection is not mended here: what was not acknowledged is the spool's to send again, so
the library must neither reconnect by itself nor repeat anything.

Source: MQTT 3.1.1 (OASIS standard), sections 3.1, 3.3, 3.4 and 4.3.2.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from socket import socket
from threading import Condition
from typing import TypeAlias

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from lora_post.errors import Unavailable
from lora_post.net.mqtt_url import Broker
from lora_post.net.traffic import Traffic
from lora_post.sinks.finding import Finding, fail, ok

Hear: TypeAlias = Callable[[str, bytes], None]
"""Takes topic and payload of a message."""

CONNECT_S = 15.0
ACKNOWLEDGE_S = 30.0  # without any progress
REFUSED_WAIT_S = 300.0


class _TlsSocket(ssl.SSLSocket):
    """A TLS socket that is closed when its handshake fails; the library may leave it open."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def _tls(ca_file: Path | None) -> ssl.SSLContext:
    """Return what TLS needs. ca_file: None for the system's authorities. Raises OSError."""
    context = ssl.create_default_context(cafile=ca_file)
    context.sslsocket_class = _TlsSocket
    return context


class MqttConnection:
    """A connection from CONNECT on, of no use once `is_up` is false. For one thread."""

    def __init__(
        self, broker: Broker, client_id: str, *, ping_every_s: int, hear: Hear = lambda topic, payload: None
    ) -> None:
        """Connect. ping_every_s: 0 for never. hear: is given what comes by `subscribe`, by another thread.

        Raises Unavailable when there is no connection, or the broker refuses the account.
        """
        self._changed = Condition()
        self._is_up = False
        self._is_lost = False
        self._refusal = ""
        self._acknowledged: set[int] = set()
        self._traffic = Traffic()
        self._counted = 0
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id, protocol=mqtt.MQTTv311, reconnect_on_failure=False
        )
        self._client.connect_timeout = CONNECT_S
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = lambda client, data, message: (
            None if message.retain else hear(message.topic, bytes(message.payload))
        )
        self._client.on_socket_close = lambda client, data, sock: self._look_at(sock)
        where = f"{broker.host} port {broker.port}"
        try:
            if broker.username:
                password = broker.password.reveal() if broker.password else None
                self._client.username_pw_set(broker.username, password)
            if broker.tls:
                self._client.tls_set_context(_tls(broker.ca_file))
            self._client.connect(broker.host, broker.port, ping_every_s)
        except (OSError, ValueError) as error:
            text = getattr(error, "verify_message", "") or getattr(error, "strerror", "") or error
            raise Unavailable(f"no connection to {where}: {text}") from error
        self._client.loop_start()
        with self._changed:
            self._changed.wait_for(lambda: self._is_up or self._is_lost or self._refusal, CONNECT_S)
        if not self._is_up:
            self.close()
            if self._refusal:
                fix = f"correct {broker.table} username and password"
                raise Unavailable(
                    f"the broker at {where} refuses the connection: {self._refusal}", REFUSED_WAIT_S, fix=fix
                )
            raise Unavailable(
                f"the broker at {where} does not answer", fix="does it speak MQTT there, with or without TLS?"
            )

    @property
    def is_up(self) -> bool:
        """Return whether it can be used, as far as is known."""
        return self._is_up and not self._is_lost

    def publish(self, topic: str, payloads: Sequence[bytes], *, retain: bool) -> list[bool]:
        """Send messages; returns which of them the broker has acknowledged."""
        with self._changed:
            self._acknowledged.clear()
        numbers = [self._client.publish(topic, payload, qos=1, retain=retain).mid for payload in payloads]
        with self._changed:
            while not self._is_lost and not self._acknowledged.issuperset(numbers):
                if not self._changed.wait(ACKNOWLEDGE_S):
                    break
            return [number in self._acknowledged for number in numbers]

    def subscribe(self, topics: Sequence[str]) -> bool:
        """Ask for topics with QoS 1; returns whether the broker has granted it. What it has kept is not heard."""
        with self._changed:
            self._acknowledged.clear()
        _, number = self._client.subscribe([(topic, 1) for topic in topics])
        with self._changed:
            self._changed.wait_for(lambda: self._is_lost or number in self._acknowledged, ACKNOWLEDGE_S)
            return number in self._acknowledged

    def count(self, traffic: Traffic) -> None:
        """Add what this connection has cost since the last time."""
        self._look_at(self._client.socket())
        traffic.bytes += self._traffic.bytes - self._counted
        self._counted = self._traffic.bytes

    def _look_at(self, sock: object) -> None:
        if isinstance(sock, socket):
            self._traffic.look_at(sock)

    def close(self) -> None:
        """End the connection."""
        self._client.disconnect()
        self._client.loop_stop()

    # Called in the library's own thread.

    def _on_connect(
        self, client: mqtt.Client, data: object, flags: mqtt.ConnectFlags, code: ReasonCode, _: Properties | None
    ) -> None:
        with self._changed:
            self._refusal = str(code) if code.is_failure else ""
            self._is_up = not code.is_failure
            self._changed.notify_all()

    def _on_disconnect(
        self, client: mqtt.Client, data: object, flags: mqtt.DisconnectFlags, code: ReasonCode, _: Properties | None
    ) -> None:
        with self._changed:
            self._is_lost = True
            self._changed.notify_all()

    def _on_subscribe(
        self, client: mqtt.Client, data: object, number: int, codes: list[ReasonCode], _: Properties | None
    ) -> None:
        with self._changed:
            if not any(code.is_failure for code in codes):
                self._acknowledged.add(number)
            self._changed.notify_all()

    def _on_publish(
        self, client: mqtt.Client, data: object, number: int, code: ReasonCode, _: Properties | None
    ) -> None:
        with self._changed:
            self._acknowledged.add(number)
            self._changed.notify_all()


def check_broker(subject: str, url_key: str, broker: Broker, gateway_id: str) -> Finding:
    """Test name, connection, TLS and account; nothing is published.

    url_key: where the address is configured.
    """
    try:
        # Another id than `lora-post run` has: a broker ends the older one of two with the same.
        MqttConnection(broker, f"lora-post-check-{gateway_id}", ping_every_s=0).close()
    except Unavailable as error:
        return fail(subject, error.what, error.fix or f"is it up, is {url_key} right, does a firewall allow it?")
    who = f"as {broker.username}" if broker.username else "without an account"
    tls = ", and its certificate is good" if broker.tls else ""
    return ok(subject, f"the broker at {broker.host} port {broker.port} accepts the connection {who}{tls}")
