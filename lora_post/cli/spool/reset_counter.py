"""`lora-post spool reset-counter`"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from lora_post.cli._options import config_option, existing_spool, read_config
from lora_post.cli._output import confirm, say
from lora_post.cli.fleet import _by_hand
from lora_post.cli.spool._target import known_device
from lora_post.spool.spool_file import SpoolFile
from lora_post.spool.upkeep import reset_counter


@click.command(name="reset-counter")
@click.argument("device")
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
@click.pass_obj
def command(group_path: Path | None, device: str, yes: bool, config_path: Path | None) -> None:
    """Accept a device again whose frame counter started anew, because it was flashed or lost its power.

    Frames with a lower counter than the last accepted one are refused as replays. After this the next frame
    of DEVICE is accepted whatever its counter is, and a recording of its frames would be, too. Works while
    `lora-post run` is running. A device that does this often: fcnt = "restarts" in its [[device]].

    \b
        lora-post spool reset-counter pond-7
        lora-post spool reset-counter pond-7 --yes
    """
    config = read_config(config_path or group_path)
    known = known_device(config, device)
    with closing(SpoolFile(existing_spool(config))) as spool_file:
        question = f"Forget the counter of {device}? A recording, too, is then accepted once more."
        confirm(question, "recorded frames would be accepted once more", yes=yes)
        if config.fleet:
            was_there = _by_hand.reset_counter(config, config.fleet, spool_file, known)
        else:
            was_there = reset_counter(spool_file, known)
        if was_there:
            say(f"the next frame of {device} is accepted whatever its counter is")
        else:
            say(f"no frame of {device} has been accepted yet, so there is no counter to forget")
