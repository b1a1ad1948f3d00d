"""Change what the log of a fleet has of a device, for commands that change the spool of one box."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lora_post.cli.fleet._hub import connected
from lora_post.config import Config
from lora_post.config.fleet import FleetConfig, Role
from lora_post.errors import ConfigError
from lora_post.model import Device
from lora_post.spool.spool_file import SpoolFile

if TYPE_CHECKING:
    from lora_post.fleet.by_hand import Change


def raise_down_counters(config: Config, fleet: FleetConfig, spool_file: SpoolFile, device: Device, fcnt: int) -> bool:
    """Raise the counters of downlinks in a device's sessions to a number; False without a session."""
    from lora_post.fleet.by_hand import with_down_counter

    return _change(config, fleet, spool_file, device, with_down_counter(fcnt))


def reset_counter(config: Config, fleet: FleetConfig, spool_file: SpoolFile, device: Device) -> bool:
    """Forget the frame counters of a device's sessions; False when it has none."""
    from lora_post.fleet.by_hand import without_counter

    return _change(config, fleet, spool_file, device, without_counter)


def reset_nonces(config: Config, fleet: FleetConfig, spool_file: SpoolFile, device: Device) -> bool:
    """Forget the DevNonces of a device's joins; False when it has none."""
    from lora_post.fleet.by_hand import without_nonces

    return _change(config, fleet, spool_file, device, without_nonces)


def _change(config: Config, fleet: FleetConfig, spool_file: SpoolFile, device: Device, change: Change) -> bool:
    """Change the state of a device in the log. Raises ConfigError, FleetError."""
    if not fleet.roles & {Role.WORKER, Role.UPLOADER}:
        raise ConfigError("a gateway does not have the log of its fleet", fix="do it on a worker, or on the uploader")
    with connected(config, fleet) as link:
        from lora_post.fleet.by_hand import change_by_hand
        from lora_post.fleet.nats_log import NatsLog

        return change_by_hand(NatsLog(link), spool_file, device, change)
