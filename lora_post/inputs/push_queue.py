"""Hand PUSH_DATA bodies from the socket's thread to the pipeline's: bounded, fair, each once."""

from __future__ import annotations

from collections import deque
from enum import Enum
from threading import Condition

from msgspec import Struct

from lora_post.times import WallUs
from lora_post.uplink.heard_twice import DATAGRAM_WINDOW_US

MAX_BYTES = 1 << 20
# However much one gateway sends, three quarters of the queue are left to the others.
MAX_SHARE = MAX_BYTES // 4
# What a waiting datagram costs beside its bytes, roughly.
OVERHEAD = 200
KEEP_RECENT = 4096


class Push(Struct, frozen=True, gc=False):
    """The body of a PUSH_DATA, as it arrived at time_us (µs since 1970). arrived_s: the same moment, monotonic.

    host: that it came from.
    """

    gateway: str
    token: int
    body: bytes
    time_us: WallUs
    arrived_s: float
    host: str = ""


class Taken(Enum):
    """What became of a datagram."""

    QUEUED = "queued"
    REPEATED = "repeated"
    FULL = "full"


class PushQueue:
    """First in, first out, for two threads."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._waiting: deque[Push] = deque()
        self._bytes = 0
        self._bytes_of: dict[str, int] = {}
        self._recent: dict[int, int] = {}
        self.peak_bytes = 0

    def put(self, push: Push) -> Taken:
        """Queue a body, unless it was queued a moment ago, or the queue is full."""
        mark = hash((push.gateway, push.token, push.body))
        size = len(push.body) + OVERHEAD
        with self._changed:
            seen_us = self._recent.get(mark)
            if seen_us is not None and abs(push.time_us - seen_us) < DATAGRAM_WINDOW_US:
                return Taken.REPEATED
            share = self._bytes_of.get(push.gateway, 0) + size
            if self._bytes + size > MAX_BYTES or share > MAX_SHARE:
                return Taken.FULL
            self._recent.pop(mark, None)
            self._recent[mark] = push.time_us
            if len(self._recent) > KEEP_RECENT:
                del self._recent[next(iter(self._recent))]
            self._bytes += size
            self._bytes_of[push.gateway] = share
            self.peak_bytes = max(self.peak_bytes, self._bytes)
            self._waiting.append(push)
            if len(self._waiting) == 1:
                self._changed.notify()
        return Taken.QUEUED

    def take(self, limit: int, timeout_s: float) -> list[Push]:
        """Return the oldest bodies, at most `limit`; empty when nothing comes within timeout_s."""
        with self._changed:
            if not self._waiting:
                self._changed.wait(timeout_s)
            found = [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
            for push in found:
                size = len(push.body) + OVERHEAD
                self._bytes -= size
                left = self._bytes_of[push.gateway] - size
                if left:
                    self._bytes_of[push.gateway] = left
                else:
                    del self._bytes_of[push.gateway]
        return found
