"""`lora-post spool move`"""

from __future__ import annotations

from pathlib import Path

import click

from lora_post.cli._options import config_option
from lora_post.cli._output import say
from lora_post.cli._spool import opened
from lora_post.cli.spool._target import known_device
from lora_post.spool.upkeep import move
from lora_post.text import plural


@click.command(name="move")
@click.argument("device")
@click.argument("new_device")
@config_option
@click.pass_obj
def command(group_path: Path | None, device: str, new_device: str, config_path: Path | None) -> None:
    """Send what is held of DEVICE to NEW_DEVICE instead, when its id was wrong.

    An accepted reading keeps the id that its device had in the configuration. When that id turns out to
    be that of another account, give the device another one in the configuration, then move what waits under the
    old one.

    \b
        lora-post spool move pond-7 farm-1-pond-7
    """
    with opened(config_path or group_path) as (config, spool_file):
        known_device(config, new_device)
        say(f"{plural(move(spool_file, device, new_device), 'reading')} moved from {device} to {new_device}")
