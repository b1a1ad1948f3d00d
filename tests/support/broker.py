"""A real mosquitto, and what its subscribers get."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.command import PATIENCE_S, wait_until
from tests.support.programs import program


@contextmanager
def mosquitto(folder: Path, port: int, settings: str = "allow_anonymous true\n") -> Iterator[subprocess.Popen[bytes]]:
    """A broker that listens on a port of this machine and keeps nothing; killed in the end."""
    file = folder / "mosquitto.conf"
    file.write_text(f"user root\npersistence false\nlistener {port} 127.0.0.1\n{settings}")
    process = subprocess.Popen(
        [program("mosquitto"), "-c", str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        wait_until(lambda: listens(port) or process.poll() is not None, "mosquitto does not listen")
        assert process.poll() is None, process.stderr and process.stderr.read()
        yield process
    finally:
        process.kill()
        with process:
            pass


def listens(port: int) -> bool:
    """Whether somebody takes connections there."""
    try:
        socket.create_connection(("127.0.0.1", port), PATIENCE_S).close()
    except OSError:
        return False
    return True


class Listener:
    """Everything that is published, in order."""

    def __init__(self, port: int) -> None:
        self.messages: list[mqtt.MQTTMessage] = []
        self._ready = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, reconnect_on_failure=False)
        self._client.on_message = lambda _, __, message: self.messages.append(message)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.connect("127.0.0.1", port)
        self._client.subscribe("#", 1)
        self._client.loop_start()
        assert self._ready.wait(PATIENCE_S)

    def values(self) -> list[object]:
        return [json.loads(message.payload)["value"] for message in self.messages]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@contextmanager
def listener(port: int) -> Iterator[Listener]:
    made = Listener(port)
    try:
        yield made
    finally:
        made.close()
