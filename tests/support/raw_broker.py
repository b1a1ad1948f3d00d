"""A broker that says what it is told, also what a real one would not: for one client after the other."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple, TypeAlias

from tests.support.command import PATIENCE_S

CONNACK: Final = b"\x20\x02\0\0"
SUBSCRIBE: Final = 0x80
PUBACK: Final = 0x40


class Client(NamedTuple):
    """A connection of a client."""

    peer: socket.socket

    def packet(self) -> tuple[int, bytes]:
        """Type and content of the next packet that the client sends, but for pings."""
        while True:
            kind, length, place = self._bytes(1)[0] & 0xF0, 0, 0
            while True:
                byte = self._bytes(1)[0]
                length += (byte & 0x7F) << place
                place += 7
                if not byte & 0x80:
                    break
            content = self._bytes(length)
            if kind != 0xC0:
                return kind, content

    def welcome(self) -> None:
        """Take its CONNECT and its SUBSCRIBE."""
        self.packet()
        self.peer.sendall(CONNACK)
        kind, content = self.packet()
        assert kind == SUBSCRIBE
        self.peer.sendall(b"\x90\x03" + content[:2] + b"\x01")

    def publish(self, topic: bytes, payload: bytes, mid: int, flags: int = 0x02) -> None:
        self.begin(topic, len(payload), mid, flags)
        self.peer.sendall(payload)

    def begin(self, topic: bytes, size: int, mid: int, flags: int = 0x02) -> None:
        """Send a message up to its payload. flags: 0x02 is QoS 1, 0x01 retained."""
        start = struct.pack("!H", len(topic)) + topic + struct.pack("!H", mid)
        self.peer.sendall(bytes([0x30 | flags]) + _length(len(start) + size) + start)

    def stream(self, size: int) -> None:
        """Send so many bytes of a payload."""
        piece = b"x" * (1 << 20)
        for _ in range(size // len(piece)):
            self.peer.sendall(piece)
        self.peer.sendall(piece[: size % len(piece)])

    def expect_ack(self, mid: int) -> None:
        """Wait until the client acknowledges this message."""
        while self.packet() != (PUBACK, struct.pack("!H", mid)):
            pass

    def _bytes(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            data = self.peer.recv(size - len(found))
            if not data:
                raise ConnectionError("the client has gone")
            found += data
        return found


Serve: TypeAlias = Callable[[Client], None]


def _length(size: int) -> bytes:
    found = bytearray()
    while size > 0x7F:
        found.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*found, size])


@contextmanager
def raw_broker(*serve: Serve) -> Iterator[int]:
    """Serves the first client like this, the next one like that, all others as the last; gives its port."""

    def accept() -> None:
        for number in range(1 << 30):
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            peer.settimeout(PATIENCE_S)
            with peer, contextlib.suppress(OSError):
                serve[min(number, len(serve) - 1)](Client(peer))

    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
