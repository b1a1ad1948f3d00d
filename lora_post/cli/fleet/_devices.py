"""Devices of a fleet that have a home gateway."""

from __future__ import annotations

from collections.abc import Sequence

from lora_post.config import Config
from lora_post.config.fleet import FleetConfig, Role
from lora_post.errors import ConfigError
from lora_post.model import Device


def with_home(config: Config, fleet: FleetConfig, ids: Sequence[str]) -> list[Device]:
    """Return devices by their ids. Raises ConfigError."""
    if not fleet.roles & {Role.WORKER, Role.UPLOADER}:
        raise ConfigError("a gateway's key does not allow this", fix="run it on a worker or uploader")
    found = []
    for id_ in ids:
        device = config.site.devices.get(id_)
        if device is None:
            raise ConfigError(f"there is no device {id_!r}", fix=f"see [[device]] in {config.path}")
        if not device.home:
            raise ConfigError(f"{id_} has no home gateway: workers decide about it", fix="there is nothing to do")
        found.append(device)
    return found
