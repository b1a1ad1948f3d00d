"""Choose the data rate and power of a device (ADR) by how well its last uplinks were heard.

Source: Semtech's algorithm as chirpstack/chirpstack: chirpstack/src/adr/default.rs has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from lora_post.downlink.settings import Limits, Rate
from lora_post.lorawan.region import Region

UPLINKS: Final = 20
"""So many are looked at; with fewer nothing is changed."""
MARGIN_DB: Final = 10
"""What is left for weather, leaves and people."""
STEP_DB: Final = 3
REQUIRED_SNR_DB: Final = {7: -7.5, 8: -10.0, 9: -12.5, 10: -15.0, 11: -17.5, 12: -20.0}
# How often each frame is sent, by the share that is lost and by how often it was sent until now.
_NB_TRANS: Final = ((0.05, (1, 1, 2)), (0.10, (1, 2, 3)), (0.30, (2, 3, 3)), (1.0, (3, 3, 3)))


class HeardUplink(Struct, frozen=True):
    """How an uplink was heard."""

    fcnt: int
    snr_db: float


def adapted(heard: Sequence[HeardUplink], now: Rate, region: Region, limits: Limits) -> Rate:
    """Return how a device is to send. heard: its last uplinks, that were sent as `now`."""
    max_rate, max_power = min(region.adr[0], limits.max_rate), min(region.adr[1], limits.max_power)
    if len(heard) < UPLINKS or now.data_rate > max_rate:
        return now
    required = REQUIRED_SNR_DB[region.data_rates[now.data_rate].sf]
    margin = max(each.snr_db for each in heard) - required - MARGIN_DB
    steps = int(margin / STEP_DB)
    rate, power = now.data_rate, max(now.power, limits.min_power)
    if steps > 0:
        faster = min(steps, max_rate - rate)
        return Rate(rate + faster, max(power, min(power + steps - faster, max_power)), _nb_trans(heard, now.nb_trans))
    return Rate(rate, max(power + steps, limits.min_power), _nb_trans(heard, now.nb_trans))


def _nb_trans(heard: Sequence[HeardUplink], now: int) -> int:
    sent = heard[-1].fcnt - heard[0].fcnt + 1
    lost = 1 - len(heard) / sent if sent > len(heard) else 0.0
    row = next(row for most, row in _NB_TRANS if lost < most)
    return row[min(max(now, 1), 3) - 1]
