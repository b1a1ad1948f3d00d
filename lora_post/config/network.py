"""The [network] table → the network that answers the devices."""

from __future__ import annotations

from typing import Final

from lora_post.config.tables import NetworkTable
from lora_post.downlink.network import Network
from lora_post.lorawan.region import load_region, region_names
from lora_post.text import did_you_mean
from lora_post.toml_table import TableReader

RX_DELAYS_S: Final = range(1, 16)
_TYPE: Final = 21
"""The upper three of the 24 bits of a NetID are its type."""


def read_network(reader: TableReader) -> Network | None:
    """Return what the [network] table says, None when there is no such table or it has a mistake."""
    table = reader.table("network", NetworkTable)
    if table is None:
        return None
    start = len(reader.mistakes)
    name, names = table.region.upper(), region_names()
    if name not in names:
        reader.refuse(f"[network] region is {table.region!r}", did_you_mean(name, names))
    if table.rx_delay_s not in RX_DELAYS_S:
        reader.refuse(f"[network] rx_delay_s is {table.rx_delay_s}", "it must be between 1 and 15")
    net_id = int.from_bytes(reader.hex("[network]", "net_id", table.net_id, 3))
    if net_id >> _TYPE:
        reader.refuse(
            f"[network] net_id {table.net_id} is of type {net_id >> _TYPE}", 'write "000000", for private networks'
        )
    return None if len(reader.mistakes) > start else Network(load_region(name), net_id, table.rx_delay_s, name)
