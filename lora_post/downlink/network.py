"""The network that this gateway is, as the configuration has it."""

from __future__ import annotations

from msgspec import Struct

from lora_post.lorawan.region import Region


class Network(Struct, frozen=True):
    """What devices are told when they join.

    net_id: 24 bits, of type 0. rx_delay_s: from the end of an uplink to RX1. name: of the region.
    """

    region: Region
    net_id: int
    rx_delay_s: int
    name: str = ""
