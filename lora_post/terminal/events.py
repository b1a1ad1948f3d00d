"""Server-sent events → their data (WHATWG HTML, section 9.2.6), as far as the status page's stream uses them."""

from __future__ import annotations

from typing import Final

MAX_EVENT: Final = 1 << 20
"""What has changed is far less; the first load is not part of the stream."""


class EventTooLong(Exception):
    """An event has more than MAX_EVENT bytes."""


class EventReader:
    """The reader of a stream, however it was cut. Holds at most MAX_EVENT bytes, and what it is fed at once."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the data of the events that are complete now. Raises EventTooLong, which ends the stream."""
        *lines, rest = chunk.split(b"\n")
        found: list[bytes] = []
        for line in lines:
            self._line += line
            self._take(bytes(self._line).removesuffix(b"\r"), found)
            self._line.clear()
        self._line += rest
        if self._size + len(self._line) > MAX_EVENT:
            raise EventTooLong
        return found

    def _take(self, line: bytes, found: list[bytes]) -> None:
        if self._size + len(line) > MAX_EVENT:
            raise EventTooLong
        if not line:
            if self._data:
                found.append(b"\n".join(self._data))
            self._data.clear()
            self._size = 0
            return
        name, _, value = line.partition(b":")
        if name == b"data":  # comments keep the connection alive; this stream has no other fields
            self._data.append(value.removeprefix(b" "))
            self._size += len(line)
