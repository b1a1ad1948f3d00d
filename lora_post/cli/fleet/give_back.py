"""`lora-post fleet give-back`"""

from __future__ import annotations

from pathlib import Path

import click

from lora_post.cli._options import config_option
from lora_post.cli._output import say
from lora_post.cli.fleet._devices import with_home
from lora_post.cli.fleet._hub import connected, fleet_of


@click.command(name="give-back")
@click.argument("devices", nargs=-1, required=True, metavar="DEVICE…")
@config_option
def command(devices: tuple[str, ...], config_path: Path | None) -> None:
    """Let the home gateway decide about its devices again, after `take-over`.

    \b
        lora-post fleet give-back pond-1 pond-2 -c lora-post.toml
    """
    config, fleet = fleet_of(config_path)
    found = with_home(config, fleet, devices)
    with connected(config, fleet) as link:
        from lora_post.fleet.home.by_hand import give_back
        from lora_post.fleet.nats_log import NatsLog

        for device in found:
            say(give_back(link, NatsLog(link), device))
