"""Options and set-up that several commands share."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from lora_post.config import Config, find_config, load_config
from lora_post.decoding import LoadedDecoders, load_decoders, shipped_folder
from lora_post.errors import ConfigError
from lora_post.model import Decoder

log = logging.getLogger(__name__)

F = TypeVar("F", bound=Callable[..., Any])

config_option = click.option(
    "-c",
    "--config",
    "config_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Configuration file; default ./lora-post.toml, then /etc/lora-post/lora-post.toml.",
)


def log_options(command: F) -> F:
    """-v and -q."""
    command = click.option("-v", "--verbose", is_flag=True, help="Also log details for finding faults.")(command)
    return click.option("-q", "--quiet", is_flag=True, help="Log only what needs attention.")(command)


def set_up_log(*, verbose: bool, quiet: bool) -> None:
    """Log to stderr; stdout is for data."""
    level = logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO
    logging.basicConfig(level=level, stream=sys.stderr, format="%(asctime)s %(levelname)-7s %(message)s")
    logging.getLogger("urllib3").setLevel(logging.WARNING)


def read_config(path: Path | None) -> Config:
    """The named configuration, or the default one; its warnings go to the log."""
    config = load_config(path or find_config())
    for warning in config.warnings:
        log.warning("%s", warning)
    return config


def optional_config(path: Path | None) -> Config | None:
    """The named configuration; else the default one, and None when there is none that can be used.

    Raises ConfigError for mistakes in a file that was named.
    """
    if path is not None:
        return load_config(path)
    try:
        found = find_config()
    except ConfigError:
        return None
    try:
        return load_config(found)
    except ConfigError as error:
        log.warning("going on without a configuration: %s", str(error).partition("\n")[0])
        return None


def load_all_decoders(config: Config | None) -> LoadedDecoders:
    """The decoders that come with lora-post, and those of the configured folder."""
    folders = [shipped_folder()]
    if config and config.decoder_folder:
        folders.append(config.decoder_folder)
    return load_decoders(*folders)


def read_decoders(config: Config | None) -> dict[str, Decoder]:
    """The decoders that come with lora-post, and those of the configured folder.

    Raises ConfigError when a device names a decoder that is not there.
    """
    loaded = load_all_decoders(config)
    for problem in loaded.problems:
        log.warning("decoder skipped: %s", problem)
    for device in config.devices if config else ():
        if device.decoder not in loaded.decoders:
            raise ConfigError(
                f"{config.path if config else ''}: device {device.id}: there is no decoder {device.decoder!r}; "
                f"there are {', '.join(sorted(loaded.decoders))}"
            )
    return loaded.decoders
