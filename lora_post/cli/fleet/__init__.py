"""`lora-post fleet`, with its sub-commands one a file."""

from __future__ import annotations

import click

from lora_post.cli.fleet.begin_anew import command as begin_anew
from lora_post.cli.fleet.demo import command as demo
from lora_post.cli.fleet.give_back import command as give_back
from lora_post.cli.fleet.init import command as init
from lora_post.cli.fleet.status import command as status
from lora_post.cli.fleet.take_over import command as take_over


@click.group(name="fleet")
def command() -> None:
    """Set up a fleet of gateways, and look at it: many gateways, shared devices.

    \b
        lora-post fleet demo
        lora-post fleet init fleet --hub hub1.example.org --gateway north-1 --worker desk
        lora-post fleet status -c lora-post.toml
    """


for _command in (init, status, take_over, give_back, demo, begin_anew):
    command.add_command(_command)
