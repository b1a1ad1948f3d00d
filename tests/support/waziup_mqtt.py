"""The platform's MQTT in front of a real mosquitto and sandbox: stores what is published, or silently does not.

Like the platform's, it is a proxy that reads every packet of the client: values are stored by the same rules as over
HTTP before they are passed on; what is not allowed is acknowledged by the proxy itself and goes nowhere; over what it
cannot read, or a device that is not there, it never answers again.

Source: Waziup/wazicloud-api: src/MQTT.hs; packets: MQTT 3.1.1, section 3.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import requests

from lora_post.net.mqtt_url import Broker
from lora_post.secret import Secret
from lora_post.sinks.sink import Sink
from lora_post.sinks.waziup.mqtt import WaziupMqttSink
from lora_post.sinks.waziup.sink import WaziupSink
from tests.support.command import PATIENCE_S
from tests.support.upload_site import Site

CONNECT, PUBLISH, PUBACK = 1, 3, 4
VALUE = re.compile(r"devices/([^/]+)/sensors/([^/]+)/value")


class MqttSite(Site):
    """One lora-post that publishes; `now` is its clock."""

    now = 1000.0
    mqtt_port = 0
    account = "demo"

    def around(self, sink: WaziupSink) -> Sink:
        broker = Broker("[waziup]", "127.0.0.1", self.mqtt_port, False, self.account, Secret(self.account), None)
        self.sink = WaziupMqttSink(sink, broker, "lora-post-gw1", self.clients[-1]._http.traffic, lambda: self.now)
        return self.sink

    def close(self) -> None:
        self.sink.close()
        super().close()


class Platform:
    """Takes MQTT connections at `port`."""

    def __init__(self, api: str, broker_port: int) -> None:
        self._api = api
        self._broker_port = broker_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.connections = 0
        self.published: list[tuple[str, int]] = []  # topic, and what came of it as HTTP puts it
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def stored(self) -> int:
        """How many values were stored."""
        return sum(status == 204 for _, status in self.published)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join()
        for each in self._sockets:
            _end(each)
        for thread in self._threads:
            thread.join()
        for each in self._sockets:
            each.close()

    def _start(self, work: object, *arguments: object) -> None:
        self._threads.append(threading.Thread(target=work, args=arguments))  # type: ignore[arg-type]
        self._threads[-1].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            try:
                broker = socket.create_connection(("127.0.0.1", self._broker_port))
            except OSError:
                client.close()
                continue
            for each in (client, broker):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets += [client, broker]
            self._start(self._upwards, client, broker)
            self._start(self._downwards, client, broker)

    def _downwards(self, client: socket.socket, broker: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := broker.recv(1 << 16):
                client.sendall(data)
        _end(client)

    def _upwards(self, client: socket.socket, broker: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError):
            self._serve(client, broker)
        _end(client)
        _end(broker)  # one that is closed would not wake the other thread

    def _serve(self, client: socket.socket, broker: socket.socket) -> None:
        with requests.Session() as api:
            while True:
                packet = _read_packet(client)
                if packet[0] >> 4 == CONNECT:
                    if not self._log_in(api, packet):
                        return _swallow(client)
                elif packet[0] >> 4 == PUBLISH:
                    topic, number, payload = _publish_fields(packet)
                    status, text = self._store(api, topic, payload)
                    self.published.append((topic, status))
                    if status == 403:
                        client.sendall(bytes((PUBACK << 4, 2)) + number)
                        continue
                    if status == 400 and text.startswith("Error in $"):
                        continue
                    if status != 204 and text != "Sensor not found":
                        return _swallow(client)
                broker.sendall(packet)

    def _log_in(self, api: requests.Session, packet: bytes) -> bool:
        """A guest without a name; False for a wrong password."""
        flags, fields = _connect_fields(packet)
        if not flags & 0x80:
            return True
        answer = api.post(
            f"{self._api}/auth/token",
            json={"username": fields[-2].decode(), "password": fields[-1].decode()},
            timeout=PATIENCE_S,
        )
        api.headers["Authorization"] = f"Bearer {answer.text}"
        return answer.status_code == 200

    def _store(self, api: requests.Session, topic: str, payload: bytes) -> tuple[int, str]:
        found = VALUE.fullmatch(topic)
        assert found is not None, topic
        url = f"{self._api}/devices/{found[1]}/sensors/{found[2]}/value"
        answer = api.post(url, data=payload, headers={"Content-Type": "application/json"}, timeout=PATIENCE_S)
        return answer.status_code, answer.text


@contextmanager
def platform(api: str, broker_port: int) -> Iterator[Platform]:
    made = Platform(api, broker_port)
    try:
        yield made
    finally:
        made.close()


def _end(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def _swallow(client: socket.socket) -> None:
    """The connection looks alive, and nothing comes of what is sent."""
    while client.recv(1 << 16):
        pass


def _read_packet(client: socket.socket) -> bytes:
    head = _exactly(client, 1)
    length = shift = 0
    while True:
        byte = _exactly(client, 1)
        head += byte
        length |= (byte[0] & 0x7F) << shift
        shift += 7
        if byte[0] < 0x80:
            return head + _exactly(client, length)


def _exactly(client: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = client.recv(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def _body(packet: bytes) -> bytes:
    return packet[next(index for index in range(1, 5) if packet[index] < 0x80) + 1 :]


def _publish_fields(packet: bytes) -> tuple[str, bytes, bytes]:
    """Topic, packet number, payload of a message with QoS 1."""
    assert packet[0] & 0x0F == 2, "neither QoS 1, nor DUP, nor RETAIN"
    body = _body(packet)
    end = 2 + int.from_bytes(body[:2])
    return body[2:end].decode(), body[end : end + 2], body[end + 2 :]


def _connect_fields(packet: bytes) -> tuple[int, list[bytes]]:
    """The flags, and client id, name and password."""
    body = _body(packet)
    assert body[:7] == b"\x00\x04MQTT\x04", "not MQTT 3.1.1"
    rest, fields = body[10:], []
    while rest:
        end = 2 + int.from_bytes(rest[:2])
        fields.append(rest[2:end])
        rest = rest[end:]
    return body[7], fields
