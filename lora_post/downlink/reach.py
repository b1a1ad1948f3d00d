"""Tell whether a device can be sent anything, and how long a payload may be."""

from __future__ import annotations

from lora_post.errors import ConfigError, Problem
from lora_post.lorawan.region import Region
from lora_post.model import Device, Link
from lora_post.uplink.join_state import JoinState


def unreachable(device: Device, state: JoinState, *, through_server: bool = False) -> Problem | None:
    """Return why nothing can be sent to a device from here; None when something can.

    state: of its joins. through_server: whether network servers are given what is to be sent.
    """
    if device.link is Link.SERVER:
        if through_server:
            return None
        return Problem(f"{device.id} is behind a network server", "have an [[input]] with mqtt://, or send it there")
    if device.root is None:
        return None
    if not state.sessions:
        return Problem(f"{device.id} has no session", "let it join first: switch it on, or reset it")
    if not state.sessions[-1].rx_delay_s:
        return Problem(f"the session of {device.id} is of another network", "let it join here: reset it")
    return None


def payload_fit(region: Region, size: int) -> str:
    """Return the lowest data rate at which a payload fits, "" when it fits at every one.

    Raises ConfigError when it fits at none.
    """
    rates = [region.data_rates[dr] for dr in dict.fromkeys(region.rx1_dr.values())]
    rates.sort(key=lambda rate: (rate.max_payload, -rate.sf, rate.bw_hz))
    fitting = [rate for rate in rates if size <= rate.max_payload]
    if not fitting:
        raise ConfigError(
            f"the payload has {size} bytes, a downlink carries at most {rates[-1].max_payload}",
            fix="send it in parts",
        )
    if len(fitting) == len(rates):
        return ""
    slowest = rates[0]
    return (
        f"{slowest.text} carries {slowest.max_payload} bytes, {size} fit from {fitting[0].text} on: it waits until the "
        "device sends that fast"
    )
