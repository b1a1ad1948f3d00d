"""The copies of a frame are waited for only where a device is heard by several gateways."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

COLLECT_S: Final = 0.2
"""So long after the first copy of a live frame others are waited for."""
ALONE_AFTER: Final = 3
"""So many frames in a row of one gateway, and it alone is believed to hear the device."""
MAX_KNOWN: Final = 50_000


class Hearers:
    """Which gateways have lately heard the devices, by address. What is forgotten costs a wait."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, int]] = {}

    def wait_s(self, address: str, gateway: str) -> float:
        """Return how long a live frame waits for other copies. gateway: that heard the first one."""
        alone, count = self._known.get(address, ("", 0))
        return 0.0 if alone == gateway and count >= ALONE_AFTER else COLLECT_S

    def heard(self, address: str, gateways: Collection[str]) -> None:
        """Take in which gateways have heard a frame, or one more copy of it."""
        alone, count = self._known.pop(address, ("", 0))
        (first, *others) = sorted(gateways)
        self._known[address] = (first, count + 1 if first == alone else 1) if not others else ("", 0)
        while len(self._known) > MAX_KNOWN:
            del self._known[next(iter(self._known))]
