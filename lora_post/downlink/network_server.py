"""Put together what answers devices."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from lora_post.command import Moment
from lora_post.downlink.class_c import ClassC
from lora_post.downlink.command_frames import CommandFrames
from lora_post.downlink.commands import Commands
from lora_post.downlink.duty_cycle import DutyCycle
from lora_post.downlink.join_server import JoinServer
from lora_post.downlink.mac_layer import MacLayer
from lora_post.downlink.network import Network
from lora_post.downlink.uplink_answers import UplinkAnswers
from lora_post.metrics import Metrics
from lora_post.times import StampUs


class NetworkServer(Struct, frozen=True):
    """Answers to joins and to uplinks, and what waits for devices; they share the air time."""

    joins: JoinServer
    uplinks: UplinkAnswers
    class_c: ClassC
    commands: Commands
    duty_cycle: DutyCycle


def network_server(
    network: Network,
    now: Callable[[], Moment],
    metrics: Metrics,
    stamp_us: Callable[[], StampUs],
    duty_cycle: DutyCycle | None = None,
) -> NetworkServer:
    """Return what answers the devices of a network.

    now: by the clock of this machine. stamp_us: for readings. duty_cycle: None where gateways do not keep their own.
    """
    duty_cycle, commands = duty_cycle or DutyCycle(network.region), Commands(now, metrics, stamp_us)
    frames = CommandFrames(commands, duty_cycle)
    mac_layer = MacLayer(network)
    class_c = ClassC(network, frames, mac_layer)
    joins, uplinks = JoinServer(network, duty_cycle), UplinkAnswers(network, frames, class_c, mac_layer)
    return NetworkServer(joins, uplinks, class_c, commands, duty_cycle)
