"""`lora-post spool`, with its sub-commands one a file."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from lora_post.cli._log import set_up_log
from lora_post.cli._options import config_option
from lora_post.cli._spool import opened
from lora_post.cli.spool import drop, move, reset_counter, retry, salvage, take_over
from lora_post.cli.spool._view import show


@click.group(name="spool", invoke_without_command=True)
@config_option
@click.pass_context
def command(context: click.Context, config_path: Path | None) -> None:
    """Show, retry or drop what waits to be sent.

    Without a further word it shows what is in the spool, what is held back and why, and the command that
    sends it again. A sensor is parked when the server refuses all of it, for example because the device
    id belongs to another account; a single reading is refused when only it is at fault. What is parked is
    tried again by itself once a day, what is refused is not.

    \b
        lora-post spool -c lora-post.toml
        lora-post spool retry pond-7/temperature_3
        lora-post spool move pond-7 farm-1-pond-7
        lora-post spool drop pond-7
        lora-post spool take-over pond-7
        lora-post spool reset-counter pond-7
        lora-post spool salvage spool.db.damaged-20261122T231500Z

    All of it may be used while `lora-post run` is running.
    """
    set_up_log(verbose=False, quiet=True)
    context.obj = config_path
    if context.invoked_subcommand is None:
        with opened(config_path) as (config, spool_file):
            show(config, spool_file, _option(config_path))


for _module in (retry, drop, move, take_over, reset_counter, salvage):
    command.add_command(_module.command)


def _option(config_path: Path | None) -> str:
    """Return the -c that was given, so that the commands shown can be copied."""
    return f" -c {shlex.quote(str(config_path))}" if config_path else ""
