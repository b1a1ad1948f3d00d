"""`lora-post fleet status`"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lora_post.cli._options import config_option
from lora_post.cli._output import print_table, say
from lora_post.cli.fleet._hub import connected, fleet_of
from lora_post.spool.spool_file import SpoolFile

if TYPE_CHECKING:
    from lora_post.fleet.log.entry import Reception
    from lora_post.fleet.status import FleetStatus


@click.command(name="status")
@click.option("--devices", is_flag=True, help="Also which gateways heard each device last, and who decides about it.")
@config_option
def command(config_path: Path | None, devices: bool) -> None:
    """Show gateways, workers and how far everything has come; for the configuration of a worker or uploader.

    A gateway's key does not allow it to look at the others. Who hears whom is told by the spool of this machine: an
    uploader knows all devices, a worker its own.
    """
    config, fleet = fleet_of(config_path)
    with connected(config, fleet) as link:
        from lora_post.fleet.status import look

        if not config.spool_path.exists():
            show(look(link))
            return
        with closing(SpoolFile(config.spool_path)) as spool_file:
            status = look(link, spool_file)
    show(status)
    if devices:
        say("")
        rows = [[each.device, ", ".join(map(_heard, each.heard_by))] for each in status.hearings]
        print_table(("device", "heard by"), sorted(rows))
        for owned in status.owned:
            say(owned.line)


def _heard(by: Reception) -> str:
    return by.gateway if by.snr_db is None else f"{by.gateway} {by.snr_db:g} dB"


def show(status: FleetStatus) -> None:
    """Print what a fleet is at."""
    for line in status.lines:
        say(line)
