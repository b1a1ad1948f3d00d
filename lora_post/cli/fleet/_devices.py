"""Devices of a fleet that have a home gateway."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lora_post.cli._output import say
from lora_post.cli.fleet._hub import connected_to_log, fleet_of
from lora_post.config import Config
from lora_post.errors import ConfigError
from lora_post.model import Device


def hand_over(config_path: Path | None, ids: Sequence[str], *, to_workers: bool) -> None:
    """Have workers decide about devices, or their home gateways again. Raises ConfigError, FleetError."""
    config, fleet = fleet_of(config_path)
    found = [_with_home(config, each) for each in ids]
    with connected_to_log(config, fleet) as link:
        from lora_post.fleet.home.by_hand import hand_over
        from lora_post.fleet.log.nats_log import NatsLog

        for device in found:
            say(hand_over(link, NatsLog(link), device, to_workers=to_workers))


def _with_home(config: Config, id_: str) -> Device:
    device = config.site.devices.get(id_)
    if device is None:
        raise ConfigError(f"there is no device {id_!r}", fix=f"see [[device]] in {config.path}")
    if not device.home:
        raise ConfigError(f"{id_} has no home gateway: workers decide about it", fix="there is nothing to do")
    return device
