"""Read from a socket until the time or the bytes that a peer may cost are used up.

The read time-out of a library begins anew with every byte, so a peer that sends one byte a minute, or bytes
without end, holds its reader for days or fills the memory.
"""

from __future__ import annotations

import io
import time
from socket import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class Budget:
    """What a peer may still cost: seconds from now on, and bytes as they come over the wire."""

    def __init__(self, silence_s: float, total_s: float, max_bytes: float) -> None:
        """silence_s: how long nothing may come."""
        self._silence_s = silence_s
        self._deadline = time.monotonic() + total_s
        self._left = max_bytes

    def wait_s(self) -> float:
        """Return for how many seconds the next bytes may be waited for. Raises TimeoutError: not at all."""
        left_s = self._deadline - time.monotonic()
        if left_s <= 0 or self._left <= 0:
            raise TimeoutError("the answer does not end")
        return min(self._silence_s, left_s)

    def spend(self, size: int) -> None:
        """Take off what was read, in bytes."""
        self._left -= size


class BoundedReader(io.RawIOBase):
    """The reading end of a socket, within a budget."""

    def __init__(self, raw: io.RawIOBase, sock: socket, budget: Budget) -> None:
        self._raw = raw
        self._sock = sock
        self._budget = budget

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        self._sock.settimeout(self._budget.wait_s())
        size: int | None = self._raw.readinto(buffer)
        self._budget.spend(size or 0)
        return size

    def close(self) -> None:
        self._raw.close()
        super().close()
