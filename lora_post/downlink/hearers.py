"""Remember which gateways lately heard a device: copies are waited for where several did."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Set
from typing import Final

LATELY: Final = 4
"""So many transmissions of a device tell which gateways hear it."""
MAX_GATEWAYS: Final = 64
"""Of those that heard one frame: a packet forwarder can be made up."""
MAX_KNOWN: Final = 50_000


class Hearers:
    """The gateways that have lately heard devices, each by an id or address. What is forgotten costs a wait."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, deque[set[str]]] = OrderedDict()

    def began(self, device: str) -> None:
        """Note that the first copy of a frame came."""
        self._known.setdefault(device, deque(maxlen=LATELY)).append(set())
        self._known.move_to_end(device)
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)

    def heard(self, device: str, gateway: str) -> None:
        """Note that a gateway heard the newest frame; do nothing when there is none."""
        if (known := self._known.get(device)) and len(known[-1]) < MAX_GATEWAYS:
            known[-1].add(gateway)

    def likely(self, device: str) -> set[str] | None:
        """Return the gateways that heard the frames before the newest one; None before there are such frames."""
        *before, _ = self._known.get(device) or [set[str]()]
        return set().union(*before) if before else None

    def count(self, device: str) -> int:
        """Return how many gateways have lately heard a device, with its newest frame."""
        return len(set().union(*self._known.get(device, ())))

    def is_complete(self, device: str, gateways: Set[str]) -> bool:
        """Tell whether every likely gateway has heard the newest frame. gateways: those that have."""
        likely = self.likely(device)
        return likely is not None and likely <= gateways
