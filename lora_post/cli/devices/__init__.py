"""`lora-post devices`, with its sub-commands one a file."""

from __future__ import annotations

from pathlib import Path

import click

from lora_post.cli._log import set_up_log
from lora_post.cli._options import config_option
from lora_post.cli.devices._desk import look_at_desk
from lora_post.cli.devices.add import command as add
from lora_post.cli.devices.form import command as form
from lora_post.cli.devices.import_ import command as import_
from lora_post.cli.devices.list_ import command as list_
from lora_post.cli.devices.list_ import show_all
from lora_post.cli.devices.remove import command as remove
from lora_post.cli.devices.reset_nonces import command as reset_nonces
from lora_post.cli.devices.set_ import command as set_
from lora_post.cli.devices.show import command as show
from lora_post.cli.devices.test import command as test


@click.group(name="devices", invoke_without_command=True)
@config_option
@click.pass_context
def command(context: click.Context, config_path: Path | None) -> None:
    """List, add, change, remove and import devices, and try their keys.

    New devices are written to devices.toml beside the configuration; comments and other lines stay. Keys are tried
    at once on the frames that were kept of strangers:

    \b
        lora-post devices
        lora-post devices add
        lora-post devices add 26011bda --decoder cayenne-lpp --id pond-7
        lora-post devices set pond-7 decoder=dragino-lht65
        lora-post devices import devices.csv
        lora-post devices test pond-7
        lora-post devices reset-nonces buoy

    Without a further word it lists the devices, and who else was heard.
    """
    set_up_log(verbose=False, quiet=True)
    context.obj = config_path
    if context.invoked_subcommand is None:
        show_all(look_at_desk(config_path))


for _command in (list_, show, add, set_, remove, import_, test, reset_nonces, form):
    command.add_command(_command)
