"""A real MQTT broker that keeps sessions through restarts, and somebody who publishes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.broker import listens
from tests.support.command import wait_until
from tests.support.ports import free_port
from tests.support.programs import program


class Broker:
    """A mosquitto on a free port, which may be stopped and started again."""

    def __init__(self, folder: Path, *lines: str) -> None:
        """lines: of its configuration; without any, everybody may do everything."""
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        self._log = folder / "mosquitto.log"
        listener = [
            f"listener {self.port} 127.0.0.1",
            "persistence true",
            "log_type all",
            f"persistence_location {folder}/",
        ]
        self._config.write_text("\n".join([*listener, *(lines or ["allow_anonymous true"]), ""]))
        self._sessions = folder / "mosquitto.db"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([program("mosquitto"), "-c", str(self._config)], stdout=log, stderr=log)
        wait_until(lambda: listens(self.port), "mosquitto does not answer")

    def forget(self) -> None:
        """Stop, and lose all sessions."""
        self.stop()
        self._sessions.unlink(missing_ok=True)

    def knows(self, client: str) -> bool:
        """Whether this client has subscribed."""
        return f"Sending SUBACK to {client}" in self._log.read_text("utf-8", "replace")

    def subscriptions(self) -> int:
        """How many times somebody has subscribed."""
        return self._log.read_text("utf-8", "replace").count("Sending SUBACK to ")

    def delivered(self) -> int:
        """How many messages somebody has acknowledged."""
        return self._log.read_text("utf-8", "replace").count("Received PUBACK from ")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None


@contextmanager
def broker(folder: Path, *lines: str) -> Iterator[Broker]:
    found = Broker(folder, *lines)
    found.start()
    try:
        yield found
    finally:
        found.stop()


@contextmanager
def publisher(port: int) -> Iterator[mqtt.Client]:
    """A client that is connected."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2)

    def connected() -> bool:
        try:
            client.connect("127.0.0.1", port)
        except OSError:
            return False
        return True

    wait_until(connected, "no broker")
    client.loop_start()
    yield client
    client.disconnect()
    client.loop_stop()


def publish(port: int, *messages: tuple[str, bytes], qos: int = 1) -> None:
    """Returns once the broker has them all."""
    with publisher(port) as client:
        for topic, payload in messages:
            client.publish(topic, payload, qos).wait_for_publish(10)
