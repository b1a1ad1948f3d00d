"""`lora-post devices reset-nonces`"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from lora_post.cli._options import config_option, existing_spool
from lora_post.cli._output import confirm, say
from lora_post.cli.devices._desk import open_desk
from lora_post.cli.fleet import _by_hand
from lora_post.errors import ConfigError
from lora_post.spool.spool_file import SpoolFile
from lora_post.spool.upkeep import reset_nonces


@click.command(name="reset-nonces")
@click.argument("name", metavar="ID")
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
@click.pass_obj
def command(group_path: Path | None, name: str, yes: bool, config_path: Path | None) -> None:
    """Let a device join again with DevNonces that it has used, because it was flashed or has lost its memory.

    Recorded join-requests of it are then answered once more, which takes air time; its session goes on. Works while
    `lora-post run` is running.

    \b
        lora-post devices reset-nonces buoy
        lora-post devices reset-nonces buoy --yes
    """
    desk = open_desk(config_path or group_path)
    device = desk.device(name)
    if device.root is None:
        raise ConfigError(f"{name} does not join", fix="for a frame counter: lora-post spool reset-counter")
    with closing(SpoolFile(existing_spool(desk.config))) as spool_file:
        question = f"Forget the DevNonces of {name}? A recording, too, is then answered once more."
        confirm(question, "recorded joins would be answered once more", yes=yes)
        if desk.config.fleet:
            was_there = _by_hand.reset_nonces(desk.config, desk.config.fleet, spool_file, device)
        else:
            was_there = reset_nonces(spool_file, device)
        if was_there:
            say(f"the next join-request of {name} is accepted whatever its DevNonce is")
        else:
            say(f"no join-request of {name} has been accepted yet, so there is no DevNonce to forget")
