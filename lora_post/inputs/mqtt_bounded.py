"""Bound the memory of paho's client: a message beyond a limit is read and dropped.

MQTT tells a packet's length before its content (3.1.1, section 2.2.3), so nobody need hold a message to know that it is
too long. It is told of as soon as its topic and number have come, and may be acknowledged while the rest is
still on its way: a connection that breaks off in the middle has then got past it, too.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from msgspec import Struct
from paho.mqtt.client import Client
from paho.mqtt.enums import MQTTErrorCode

_PUBLISH: Final = 0x30
_PUBLISH_QOS: Final = 0xF4
_QOS_2: Final = 0x04
_MAX_HEAD: Final = 5
_DROP_AT_ONCE: Final = 1 << 16
_DROPS_IN_A_ROW: Final = 16  # so that others have their turn


class LongMessage(Struct, frozen=True):
    """A message that was too long. mid: its number, 0 with QoS 0. size: bytes of its payload."""

    mid: int
    qos: int
    topic: bytes
    size: int


class BoundedClient(Client):
    """Reads packets of at most `limit` bytes; tells `on_long` of each longer message, in their order."""

    def __init__(self, *arguments: Any, limit: int, on_long: Callable[[LongMessage], None], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._limit = limit
        self._on_long = on_long
        self._begin()

    def _begin(self) -> None:
        self._head = bytearray()
        self._due = 0  # bytes of the head that paho has not read yet
        self._left = 0  # bytes of this packet's content that have not come yet
        self._start: bytearray | None = None  # of a message that is too long: topic and number
        self._dropping = False

    def wake(self) -> None:
        """End the wait of `loop`; for any thread, which is all that another one may do."""
        if self._sockpairW is not None:
            with suppress(OSError):  # it is full, so the loop is awake
                self._sockpairW.send(b"\0")

    def reconnect(self) -> MQTTErrorCode:
        """Connect anew; what was half read is forgotten."""
        self._begin()
        return super().reconnect()

    def _sock_recv(self, bufsize: int) -> bytes:
        if self._dropping:
            self._drop()
        if not self._due and not self._left:
            self._read_head()
        if self._due:
            at = len(self._head) - self._due
            given = bytes(self._head[at : at + bufsize])
            self._due -= len(given)
            if not self._due and not self._left:
                self._head.clear()
            return given
        data = super()._sock_recv(min(bufsize, self._left))
        self._left = self._left - len(data) if data else 0
        if not self._left:
            self._head.clear()
        return data

    def _read_head(self) -> None:
        """Read a packet's type and length. Raises BlockingIOError while there is no packet that may be held."""
        while len(self._head) < 2 or self._head[-1] & 0x80:
            if len(self._head) == _MAX_HEAD:
                raise ConnectionError("a packet's length is not understood")
            self._head += self._some(1)
        if self._head[0] & _PUBLISH_QOS == _PUBLISH | _QOS_2:
            raise ConnectionError("a message of QoS 2, which was not asked for")  # paho would hold it for an answer
        length = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(self._head[1:]))
        if length <= self._limit:
            self._due, self._left = len(self._head), length
            return
        if self._head[0] & 0xF0 != _PUBLISH:
            raise ConnectionError(f"a packet of {length} bytes that is no message")
        if self._start is None:
            self._start, self._left = bytearray(), 0
        self._read_start(self._start, length)
        self._head.clear()
        self._start, self._dropping = None, True
        self._drop()

    def _read_start(self, start: bytearray, length: int) -> None:
        qos = self._head[0] >> 1 & 3
        want = 2
        while len(start) < want:
            start += self._some(want - len(start))
            if len(start) >= 2:
                want = 2 + int(struct.unpack_from("!H", start)[0]) + (2 if qos else 0)
        topic = bytes(start[2 : want - 2 if qos else want])
        mid = int(struct.unpack_from("!H", start, want - 2)[0]) if qos else 0
        self._left = max(length - want, 0)
        self._on_long(LongMessage(mid, qos, topic, self._left))

    def _drop(self) -> None:
        """Read the rest of a message that is too long. Raises BlockingIOError while there is more of it."""
        for _ in range(_DROPS_IN_A_ROW):
            if not self._left:
                self._dropping = False
                return
            self._left -= len(self._some(min(self._left, _DROP_AT_ONCE)))
        raise BlockingIOError

    def _some(self, size: int) -> bytes:
        """Read at most so many bytes, and at least one."""
        data = super()._sock_recv(size)
        if not data:
            raise ConnectionError("the connection broke off")
        return data
