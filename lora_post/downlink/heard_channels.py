"""Find out which gateways hear more than one channel, by the frequencies of their frames."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

MAX_GATEWAYS: Final = 10_000
"""A stranger can make gateways up."""


class HeardChannels:
    """The frequencies of each gateway, the first two of them; of too many gateways those heard last."""

    def __init__(self) -> None:
        self._frequencies: OrderedDict[str, tuple[float, ...]] = OrderedDict()

    def hear(self, gateway: str, freq_mhz: float | None) -> None:
        """Note the frequency of a frame; None where it is not told."""
        if freq_mhz is None:
            return
        known = self._frequencies.pop(gateway, ())
        self._frequencies[gateway] = known if len(known) > 1 or freq_mhz in known else (*known, freq_mhz)
        while len(self._frequencies) > MAX_GATEWAYS:
            self._frequencies.popitem(last=False)

    def are_many(self, gateway: str) -> bool:
        """Tell whether a gateway was heard on more than one frequency."""
        return len(self._frequencies.get(gateway, ())) > 1
