"""What a fleet is at, as its hub says it."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from lora_post.fleet import hub_state
from lora_post.fleet.gateway import GatewayState
from lora_post.fleet.link import Link
from lora_post.fleet.streams import LOG, RAW
from lora_post.fleet.subjects import PARTS


class FleetStatus(Struct, frozen=True):
    """gateways: as they said last. holders: of partitions, by number, "" for nobody.

    under_way: raw frames that are not decided. entries: in the log. last: the position of the newest. read: how far
    uploaders have read, by name.
    """

    gateways: tuple[GatewayState, ...]
    holders: tuple[str, ...]
    under_way: int
    entries: int
    last: int
    read: dict[str, int]


def look(link: Link) -> FleetStatus:
    """Ask the hub. Raises FleetError."""
    gateways = []
    for each in hub_state.read_state(link, "gw.*.state"):
        try:
            gateways.append(msgspec.json.decode(each.data, type=GatewayState))
        except (msgspec.DecodeError, UnicodeDecodeError):  # who may write there may write anything
            continue
    leases = {each.subject: each.data.decode("utf-8", "replace") for each in hub_state.read_state(link, "lease.*")}
    read = {each.subject[4:]: int(each.data) for each in hub_state.read_state(link, "pos.*") if each.data.isdigit()}
    raw, log = (link.call(link.client.jetstream().stream_info(name)).state for name in (RAW, LOG))
    return FleetStatus(
        tuple(sorted(gateways, key=lambda state: state.gateway)),
        tuple(leases.get(f"lease.{part}", "") for part in range(PARTS)),
        int(raw.messages),
        int(log.messages),
        int(log.last_seq),
        read,
    )
