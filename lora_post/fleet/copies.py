"""The copies of a frame are waited for only where several gateways have lately heard its device."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Set
from typing import Final

LATELY: Final = 4
"""So many transmissions of a device tell which gateways hear it."""
MAX_GATEWAYS: Final = 64
MAX_KNOWN: Final = 50_000


class Hearers:
    """Which gateways have lately heard the devices, by address. What is forgotten costs a wait."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, deque[set[str]]] = OrderedDict()

    def began(self, address: str) -> None:
        """Note that the first copy of a frame came."""
        self._known.setdefault(address, deque(maxlen=LATELY)).append(set())
        self._known.move_to_end(address)
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)

    def heard(self, address: str, gateway: str) -> None:
        """Note that a gateway heard it."""
        newest = self._known[address][-1]
        if len(newest) < MAX_GATEWAYS:
            newest.add(gateway)

    def is_complete(self, address: str, gateways: Set[str]) -> bool:
        """Tell whether all have heard the newest frame that are likely to. gateways: that have."""
        *before, _ = self._known[address]
        return bool(before) and all(each <= gateways for each in before)
