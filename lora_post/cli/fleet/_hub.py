"""The fleet of a configuration, and its hub."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lora_post.cli._options import read_config
from lora_post.config import Config
from lora_post.config.fleet import FleetConfig, Role
from lora_post.errors import ConfigError
from lora_post.text import pip_install

if TYPE_CHECKING:
    from lora_post.fleet.hub.link import Link

CONNECT_S = 10.0


def fleet_of(path: Path | None) -> tuple[Config, FleetConfig]:
    """Return a configuration and its fleet. Raises ConfigError."""
    config = read_config(path)
    if config.fleet is None:
        raise ConfigError(f"{config.path}: there is no [fleet]", fix="name the configuration of a gateway or worker")
    return config, config.fleet


@contextmanager
def connected(config: Config, fleet: FleetConfig) -> Iterator[Link]:
    """Connect to the hub as long as the block runs. Raises ConfigError, FleetError."""
    try:
        from lora_post.fleet.errors import FleetError
        from lora_post.fleet.hub.link import Link
    except ModuleNotFoundError as error:
        raise not_installed(error) from error
    with closing(Link(fleet, config.gateway_id)) as link:
        if not link.wait(CONNECT_S):
            problem = link.trouble
            raise FleetError(
                problem.what if problem else "no connection to the hub", fix=problem.fix if problem else ""
            )
        yield link


@contextmanager
def connected_to_log(config: Config, fleet: FleetConfig) -> Iterator[Link]:
    """Connect as one whose key allows to read and write the log. Raises ConfigError, FleetError."""
    if not fleet.roles & {Role.WORKER, Role.UPLOADER}:
        raise ConfigError("a gateway's key does not allow this", fix="do it on a worker, or on the uploader")
    with connected(config, fleet) as link:
        yield link


def not_installed(error: ModuleNotFoundError) -> ConfigError:
    """Return what to say where the libraries of a fleet are missing."""
    return ConfigError(f"a fleet needs {error.name}, which is not installed", fix=pip_install("lora-post[fleet]"))
