"""`lora-post downlink`, with its sub-commands one a file."""

from __future__ import annotations

from pathlib import Path

import click

from lora_post.cli._log import set_up_log
from lora_post.cli._options import config_option
from lora_post.cli.downlink import cancel, counter, list_, send, show


@click.group(name="downlink")
@config_option
@click.pass_context
def command(context: click.Context, config_path: Path | None) -> None:
    """Send something to a device, and see what became of it.

    It waits in the spool until the device can hear it: most devices (class A) listen for a moment after each
    uplink of theirs, those of class C always. `lora-post run` with [network] sends it.

    \b
        lora-post downlink send pond-7 --port 10 --payload 01ff
        lora-post downlink send valve-2 --data '{"valve": "open"}' --confirmed
        lora-post downlink list
        lora-post downlink show 12
        lora-post downlink cancel 12
        lora-post downlink counter pond-7 5000

    All of it may be used while `lora-post run` is running. What kept a downlink from its device:
    lora-post explain downlink ID
    """
    set_up_log(verbose=False, quiet=True)
    context.obj = config_path


for _module in (send, list_, show, cancel, counter):
    command.add_command(_module.command)
