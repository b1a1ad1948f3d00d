"""The [network] table → the network that answers the devices."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, log2
from typing import Final

from lora_post.config.tables import NetworkTable
from lora_post.downlink.network import Network
from lora_post.errors import Problem
from lora_post.lorawan.mac_commands import MAX_EIRP_DBM
from lora_post.lorawan.region import Region, load_region, region_names
from lora_post.text import did_you_mean
from lora_post.toml_table import TableReader

RX_DELAYS_S: Final = range(1, 16)
MAX_DUTY_EXPONENT: Final = 15
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
    if name not in names:
        return None
    region = load_region(name)
    reader.mistakes += _faults(table, region)
    if len(reader.mistakes) > start:
        return None
    rx2_hz, rx2_rate = region.rx2
    rx2 = (
        rx2_hz if table.rx2_mhz is None else round(table.rx2_mhz * 1e6),
        rx2_rate if table.rx2_data_rate is None else table.rx2_data_rate,
    )
    dwell = table.uplink_dwell
    return Network(
        region,
        net_id,
        table.rx_delay_s,
        name,
        sub_band=table.sub_band,
        own_rx2=None if rx2 == region.rx2 else rx2,
        duty_exponent=min(ceil(-log2(table.device_duty_cycle)), MAX_DUTY_EXPONENT),
        tx_params=None if dwell is None else (MAX_EIRP_DBM.index(region.eirp_dbm), dwell),
    )


def _faults(table: NetworkTable, region: Region) -> Iterator[Problem]:
    """Yield what is wrong for this region."""
    low, high = (hz / 1e6 for hz in region.band)
    if table.sub_band is not None and not region.is_fixed:
        yield Problem("[network] sub_band: this region has none", "remove it")
    elif table.sub_band is not None and not 1 <= table.sub_band <= region.blocks:
        yield Problem(f"[network] sub_band is {table.sub_band}", f"it must be between 1 and {region.blocks}")
    if table.rx2_mhz is not None and not low <= table.rx2_mhz <= high:
        yield Problem(f"[network] rx2_mhz is {table.rx2_mhz}", f"it must be between {low:g} and {high:g}")
    down = [dr for dr in region.data_rates if dr >= min(region.rx2[1], *region.rx1_dr.values())]
    if table.rx2_data_rate is not None and table.rx2_data_rate not in down:
        rates = ", ".join(map(str, down))
        yield Problem(f"[network] rx2_data_rate is {table.rx2_data_rate}", f"downlinks here have one of {rates}")
    if table.uplink_dwell is not None and not region.eirp_dbm:
        yield Problem("[network] uplink_dwell: only AS923 and AU915 have a limit that devices are told", "remove it")
    if not 0 < table.device_duty_cycle <= 1:
        yield Problem(f"[network] device_duty_cycle is {table.device_duty_cycle}", "it must be above 0, and at most 1")
