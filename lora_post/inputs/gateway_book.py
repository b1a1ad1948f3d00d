"""Remember the packet forwarders that were heard, and tell which are silent."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from heapq import nsmallest
from threading import Lock
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from lora_post.errors import Problem
from lora_post.text import plural

log = logging.getLogger(__name__)

# Packet forwarders ask for downlinks every 5 to 30 s, also when they hear nothing.
SILENT_AFTER_S: Final = 120.0
MAX_GATEWAYS: Final = 10_000
"""A stranger can make EUIs up; so many take 10 MB."""
MAX_NAMED: Final = 3
MAX_LINES: Final = 100
"""In a minute; what is beyond is counted."""
_MINUTE_S: Final = 60.0


class GatewayHealth(Struct):
    """One gateway.

    last_s: monotonic time of its last datagram. stat: the last numbers it told of itself.
    """

    gateway: str
    address: str
    last_s: float
    datagrams: int = 0
    silent: bool = False
    stat: Mapping[str, float] = {}


class GatewayBook:
    """All gateways of one port, safe to share between threads.

    Logs once when one comes, falls silent and returns. Of more than MAX_GATEWAYS, those heard last are known.
    """

    def __init__(
        self, where: str, monotonic: Callable[[], float] = time.monotonic, expected: Collection[str] = frozenset()
    ) -> None:
        """where: how logs call the port. expected: the EUIs of those that are listened to, all when it is empty."""
        self._monotonic = monotonic
        self._expected = sorted(expected)
        self._most = max(MAX_GATEWAYS, len(expected))
        self._lock = Lock()
        self._opened_s = monotonic()
        # Each in the order in which they were heard last.
        self._speaking: OrderedDict[str, GatewayHealth] = OrderedDict()
        self._silent: OrderedDict[str, GatewayHealth] = OrderedDict()
        self._is_new = True
        self._missing: Problem | None = None
        self._lines = _Lines(where)

    def heard(self, gateway: str, address: str) -> None:
        """Note a datagram of this gateway from this address."""
        now = self._monotonic()
        with self._lock:
            health = self._speaking.get(gateway)
            if health is None:
                health = self._speaking[gateway] = self._come(gateway, address, now)
            else:
                self._speaking.move_to_end(gateway)
            health.address = address
            health.last_s = now
            health.datagrams += 1

    def _come(self, gateway: str, address: str, now: float) -> GatewayHealth:
        self._is_new = True
        health = self._silent.pop(gateway, None)
        if health is not None:
            health.silent = False
            self._lines.write(now, f"gateway {gateway} is back after {now - health.last_s:.0f} s")
            return health
        if len(self._speaking) + len(self._silent) >= self._most:
            (self._silent or self._speaking).popitem(last=False)
        self._lines.write(now, f"gateway {gateway} at {address}")
        return GatewayHealth(gateway, address, now)

    def told(self, gateway: str, stat: Mapping[str, float]) -> None:
        """Note the numbers that a gateway told of itself."""
        with self._lock:
            health = self._speaking.get(gateway) or self._silent.get(gateway)
            if health is not None:
                health.stat = stat

    def look_for_silent(self) -> None:
        """Note which gateways are silent."""
        now = self._monotonic()
        with self._lock:
            while self._speaking:
                health = next(iter(self._speaking.values()))
                if health.last_s >= now - SILENT_AFTER_S:
                    break
                self._speaking.popitem(last=False)
                self._silent[health.gateway] = health
                self._is_new = health.silent = True
                figures = " ".join(f"{name}={value:g}" for name, value in health.stat.items())
                self._lines.write(
                    now,
                    f"gateway {health.gateway} at {health.address} is silent, for {SILENT_AFTER_S:.0f} s; "
                    f"{figures or 'no figures from it'}",
                )

    def missing(self) -> Problem | None:
        """Say which of the expected gateways are silent; if none is expected, whether all are."""
        with self._lock:
            if self._is_new and self._monotonic() - self._opened_s >= SILENT_AFTER_S:
                self._is_new = False
                self._missing = self._find_missing()
            return self._missing

    def _find_missing(self) -> Problem | None:
        if not self._expected and self._speaking:
            return None
        silent = [key for key in self._expected or sorted(self._silent) if key not in self._speaking]
        if not silent:
            return None
        names = ", ".join(silent[:MAX_NAMED]) + (", …" if len(silent) > MAX_NAMED else "")
        return Problem(f"gateway {names} is silent", "is it powered, and does its packet forwarder send to this port?")

    def __len__(self) -> int:
        return len(self._speaking) + len(self._silent)

    def snapshot(self, most: int) -> list[GatewayHealth]:
        """Return a copy of so many entries by their EUIs, the silent ones first where there are more."""
        with self._lock:
            chosen = nsmallest(most, self._silent) if self._silent else []
            chosen += nsmallest(most - len(chosen), self._speaking)
            return [replace(self._silent.get(key) or self._speaking[key]) for key in sorted(chosen)]


class _Lines:
    """Writes what is new of gateways to the log, a few lines a minute: made-up EUIs must not fill it."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._since = 0.0
        self._written = self._left_out = 0

    def write(self, now: float, text: str) -> None:
        if now - self._since >= _MINUTE_S:
            if self._left_out:
                log.info("%s: %s more came, fell silent or returned", self._where, plural(self._left_out, "gateway"))
            self._since, self._written, self._left_out = now, 0, 0
        if self._written < MAX_LINES:
            self._written += 1
            log.info("%s: %s", self._where, text)
        else:
            self._left_out += 1
