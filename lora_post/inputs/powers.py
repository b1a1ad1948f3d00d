"""Choose the power to send with: what the region allows, or less where a gateway refused it.

Older packet forwarders have a table of powers and refuse all others; newer ones take the next lower one.

Sources: Lora-net/packet_forwarder: lora_pkt_fwd/src/lora_pkt_fwd.c and cfg; Lora-net/sx1302_hal: packet_forwarder.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from typing import Final

from msgspec.structs import replace

from lora_post.downlink.transmit import Window

log = logging.getLogger(__name__)

REFUSED: Final = "TX_POWER"
USUAL_DBM: Final = (20, 14, 10)
"""Every table has one of these."""
MAX_GATEWAYS: Final = 256


class Powers:
    """The most that gateways were found to send with, in dBm; it is in memory, as one refusal tells it anew.

    host: where a gateway is; who takes its name elsewhere changes nothing for it. "" where names are proved.
    """

    def __init__(self) -> None:
        self._most: OrderedDict[tuple[str, str], int] = OrderedDict()

    def within(self, gateway: str, window: Window, host: str = "") -> Window:
        """Return a window with no more power than its gateway takes."""
        slot = window.slot
        most = self._most.get((gateway, host), slot.power_dbm)
        return window if slot.power_dbm <= most else replace(window, slot=replace(slot, power_dbm=most))

    def refused(self, gateway: str, power_dbm: int, host: str = "") -> bool:
        """Note that a gateway does not send with a power; return whether there is a lower one to try."""
        lower = next((each for each in USUAL_DBM if each < power_dbm), None)
        if lower is None:
            return False
        way = gateway, host
        self._most[way] = lower = min(lower, self._most.pop(way, lower))
        if len(self._most) > MAX_GATEWAYS:
            self._most.popitem(last=False)
        log.warning("gateway %s has no entry for %d dBm in its table: %d dBm from now on", gateway, power_dbm, lower)
        return True
