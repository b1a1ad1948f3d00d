"""The packet forwarders that were heard, and which of them are silent."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping
from threading import Lock

from msgspec import Struct
from msgspec.structs import replace

from lora_post.errors import Problem

log = logging.getLogger(__name__)

# Packet forwarders ask for downlinks every 5 to 30 s, also when they hear nothing.
SILENT_AFTER_S = 120.0
# A stranger can make EUIs up.
MAX_GATEWAYS = 256
MAX_NAMED = 3


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

    Logs once when one comes, falls silent and returns.
    """

    def __init__(self, where: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        """where: how logs call the port."""
        self._where = where
        self._monotonic = monotonic
        self._lock = Lock()
        self._opened_s = monotonic()
        self._gateways: dict[str, GatewayHealth] = {}

    def heard(self, gateway: str, address: str) -> None:
        """Note a datagram of this gateway from this address."""
        now = self._monotonic()
        with self._lock:
            health = self._gateways.get(gateway)
            if health is None:
                if len(self._gateways) >= MAX_GATEWAYS:
                    return
                health = self._gateways[gateway] = GatewayHealth(gateway, address, now)
                log.info("%s: gateway %s at %s", self._where, gateway, address)
            elif health.silent:
                health.silent = False
                log.info("%s: gateway %s is back after %d s", self._where, gateway, now - health.last_s)
            health.address = address
            health.last_s = now
            health.datagrams += 1

    def told(self, gateway: str, stat: Mapping[str, float]) -> None:
        """Note the numbers that a gateway told of itself."""
        with self._lock:
            if gateway in self._gateways:
                self._gateways[gateway].stat = stat

    def look_for_silent(self) -> None:
        """Note which gateways are silent; forget them when the book is full."""
        since = self._monotonic() - SILENT_AFTER_S
        with self._lock:
            if len(self._gateways) >= MAX_GATEWAYS:
                self._gateways = {key: health for key, health in self._gateways.items() if not health.silent}
            for health in self._gateways.values():
                if not health.silent and health.last_s < since:
                    health.silent = True
                    log.info(
                        "%s: gateway %s at %s is silent, for %d s; %s",
                        self._where,
                        health.gateway,
                        health.address,
                        SILENT_AFTER_S,
                        " ".join(f"{name}={value:g}" for name, value in health.stat.items()) or "no figures from it",
                    )

    def missing(self, expected: Collection[str]) -> Problem | None:
        """Say which of the expected gateways are silent; if none is expected, whether all are."""
        with self._lock:
            if self._monotonic() - self._opened_s < SILENT_AFTER_S:
                return None
            speaking = {key for key, health in self._gateways.items() if not health.silent}
            known = sorted(expected or self._gateways)
        silent = [key for key in known if key not in speaking]
        if not silent or (not expected and speaking):
            return None
        names = ", ".join(silent[:MAX_NAMED]) + (", …" if len(silent) > MAX_NAMED else "")
        return Problem(f"gateway {names} is silent", "is it powered, and does its packet forwarder send to this port?")

    def snapshot(self) -> list[GatewayHealth]:
        """Return a copy of all entries."""
        with self._lock:
            return [replace(health) for health in self._gateways.values()]
