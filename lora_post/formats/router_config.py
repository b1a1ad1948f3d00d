"""What a Basics Station is told when it connects: the channels and data rates of its region.

What is said of the radios is the least that every board understands: boards keep their own calibration.

Sources: lorabasics/basicstation: doc/tcproto, "Router configuration"; src/s2e.c, src/sx130xconf.c.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

from lora_post.lorawan.region import Region

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | bool | None"

_NAMES: Final = {"EU868": "EU863", "US915": "US902"}
"""Regions that a station calls by another name; by those it keeps duty cycles and powers."""
_NUMBERS: Final = 16
_MAX_CHANNELS: Final = 8
_HALF_RADIO_HZ: Final = 400_000
"""So far from the middle of a radio a channel of 125 kHz may lie."""
SUB_BAND: Final = 2
"""Of a plan of fixed channels, the block of eight that most gateways hear."""


def router_config(name: str, region: Region, sub_band: int | None = None) -> dict[str, Json]:
    """Return the message. name: of the region. sub_band: of a plan of fixed channels; None: the usual one."""
    narrow, wide = _channels(region, (sub_band or SUB_BAND) - 1)
    low, high = region.band
    return {
        "msgtype": "router_config",
        "NetID": None,
        "JoinEui": None,
        "region": _NAMES.get(name, name),
        "hwspec": "sx1301/1",
        "freq_range": [low, high],
        "DRs": [_rate(region, number) for number in range(_NUMBERS)],
        "max_eirp": region.power_dbm,
        "sx1301_conf": [_radios(narrow, wide)],
    }


def _rate(region: Region, number: int) -> Json:
    rate = region.data_rates.get(number)
    if rate is None:
        return [-1, 0, 0]
    return [rate.sf, rate.bw_hz // 1000, 0 if number in region.rx1_dr else 1]


def _channels(region: Region, block: int) -> tuple[list[int], int | None]:
    """Return the channels of 125 kHz that a board hears, and one of 500 kHz."""
    first, *wide = region.channels
    if region.downlink_channels is not None:
        narrow = [first.hz + (block * _MAX_CHANNELS + at) * first.step for at in range(_MAX_CHANNELS)]
        return narrow, wide[0].hz + block * wide[0].step if wide else None
    usual = [each.hz + at * each.step for each in region.channels for at in range(each.count)]
    return sorted([*usual, *region.more_channels][:_MAX_CHANNELS]), None


def _radios(narrow: Sequence[int], wide: int | None) -> dict[str, Json]:
    near = [hz for hz in narrow if hz <= narrow[0] + 2 * _HALF_RADIO_HZ]
    far = [hz for hz in narrow if hz not in near]
    middles = [(min(group) + max(group)) // 2 for group in (near, far) if group]
    found: dict[str, Json] = {
        f"radio_{radio}": {"enable": radio < len(middles), "freq": middles[min(radio, len(middles) - 1)]}
        for radio in range(2)
    }
    for place in range(_MAX_CHANNELS):
        if place < len(narrow):
            radio = 0 if narrow[place] in near else 1
            found[f"chan_multiSF_{place}"] = {"enable": True, "radio": radio, "if": narrow[place] - middles[radio]}
        else:
            found[f"chan_multiSF_{place}"] = {"enable": False}
    found["chan_Lora_std"] = {"enable": False}
    if wide is not None:
        radio = min(range(len(middles)), key=lambda each: abs(wide - middles[each]))
        found["chan_Lora_std"] = {
            "enable": True,
            "radio": radio,
            "if": wide - middles[radio],
            "bandwidth": 500_000,
            "spread_factor": 8,
        }
    found["chan_FSK"] = {"enable": False}
    return found
