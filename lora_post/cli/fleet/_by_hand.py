"""Change what the log of a fleet has of a device, for commands that change the spool of one box."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lora_post.cli.fleet._hub import connected_to_log
from lora_post.config import Config
from lora_post.config.fleet import FleetConfig, Role
from lora_post.model import Device
from lora_post.spool.spool_file import SpoolFile

if TYPE_CHECKING:
    from lora_post.fleet.log.by_hand import Change


def raise_down_counters(config: Config, fleet: FleetConfig, spool_file: SpoolFile, device: Device, fcnt: int) -> bool:
    """Raise the counters of downlinks in a device's sessions to a number; False without a session."""
    from lora_post.fleet.log.by_hand import with_down_counter

    return _change(config, fleet, spool_file, device, with_down_counter(fcnt))


def reset_counter(config: Config, fleet: FleetConfig, spool_file: SpoolFile, device: Device) -> bool:
    """Forget the frame counters of a device's sessions; False when it has none."""
    from lora_post.fleet.log.by_hand import without_counter

    return _change(config, fleet, spool_file, device, without_counter)


def reset_nonces(config: Config, fleet: FleetConfig, spool_file: SpoolFile, device: Device) -> bool:
    """Forget the DevNonces of a device's joins; False when it has none."""
    from lora_post.fleet.log.by_hand import without_nonces

    return _change(config, fleet, spool_file, device, without_nonces)


def _change(config: Config, fleet: FleetConfig, spool_file: SpoolFile, device: Device, change: Change) -> bool:
    """Change the state of a device in the log. Raises ConfigError, FleetError."""
    from lora_post.fleet.log.by_hand import change_by_hand, last_view

    if Role.HOME in fleet.roles:
        from lora_post.fleet.home.book import existing_log
        from lora_post.fleet.hub.subjects import log_subject
        from lora_post.fleet.log.view import View

        with existing_log(config.spool_path) as own:
            if own is None:
                return False
            return change_by_hand(own, View(log_subject(device)), device, change, config.gateway_id)
    with connected_to_log(config, fleet) as link:
        from lora_post.fleet.log.nats_log import NatsLog

        log = NatsLog(link)
        return change_by_hand(log, last_view(log, spool_file, device), device, change)
