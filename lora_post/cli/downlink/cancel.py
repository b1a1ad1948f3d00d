"""`lora-post downlink cancel`"""

from __future__ import annotations

from pathlib import Path

import click

from lora_post.cli._options import config_option
from lora_post.cli._output import say
from lora_post.cli._spool import opened
from lora_post.cli.downlink._desk import command_with, now
from lora_post.command import Fate
from lora_post.errors import ConfigError
from lora_post.spool import downlinks


@click.command(name="cancel")
@click.argument("number", metavar="ID", type=int)
@config_option
@click.pass_obj
def command(group_path: Path | None, number: int, config_path: Path | None) -> None:
    """Take back a downlink that waits, or that is not acknowledged yet.

    What was on air already cannot be taken back; it is not sent again.

    \b
        lora-post downlink cancel 12
    """
    with opened(config_path or group_path) as (_, spool_file), spool_file.transaction() as db:
        item = command_with(spool_file, number)
        if item.is_over:
            raise ConfigError(f"downlink {number} is over: {item.fate.value}", fix="there is nothing to cancel")
        downlinks.change(db, [item.ended(now(), Fate.CANCELLED, "cancelled by hand")])
    said = ", but it may have been on air already" if item.sealed else ""
    say(f"downlink {number} for {item.device} is cancelled{said}")
