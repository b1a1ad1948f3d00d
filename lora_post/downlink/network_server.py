"""What answers devices, put together."""

from __future__ import annotations

from msgspec import Struct

from lora_post.downlink.duty_cycle import DutyCycle
from lora_post.downlink.join_server import JoinServer
from lora_post.downlink.network import Network
from lora_post.downlink.uplink_answers import UplinkAnswers


class NetworkServer(Struct, frozen=True):
    """Answers to joins and to uplinks; they share the air time."""

    joins: JoinServer
    uplinks: UplinkAnswers


def network_server(network: Network) -> NetworkServer:
    """Return what answers the devices of a network."""
    duty_cycle = DutyCycle(network.region)
    return NetworkServer(JoinServer(network, duty_cycle), UplinkAnswers(network, duty_cycle))
