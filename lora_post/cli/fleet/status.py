"""`lora-post fleet status`"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lora_post.cli._options import config_option
from lora_post.cli._output import print_table, say
from lora_post.cli.fleet._hub import connected, fleet_of
from lora_post.clocks.scale import utc_text
from lora_post.times import WallUs

if TYPE_CHECKING:
    from lora_post.fleet.status import FleetStatus


@click.command(name="status")
@config_option
def command(config_path: Path | None) -> None:
    """Show gateways, workers and how far everything has come; for the configuration of a worker or uploader.

    A gateway's key does not allow it to look at the others.
    """
    config, fleet = fleet_of(config_path)
    with connected(config, fleet) as link:
        from lora_post.fleet.status import look

        show(look(link))


def show(status: FleetStatus) -> None:
    """Print what a fleet is at."""
    rows = [
        [
            each.gateway,
            str(each.waiting),
            "" if each.oldest_us is None else utc_text(WallUs(each.oldest_us))[:19].replace("T", " "),
            "" if each.round_trip_ms is None else f"{each.round_trip_ms:g} ms",
            each.version,
        ]
        for each in status.gateways
    ]
    headings = ("gateway", "frames that wait", "oldest (UTC)", "round trip", "version")
    print_table(headings, rows, title=f"Gateways: {len(rows)}")
    say("")
    held = Counter(status.holders)
    nobody = held.pop("", 0)
    for name, count in sorted(held.items()):
        say(f"worker {name}: {count} of {len(status.holders)} partitions")
    if nobody:
        say(f"nobody: {nobody} of {len(status.holders)} partitions; is a worker running?")
    say(f"frames under way: {status.under_way}; entries in the log: {status.entries}")
    for name, position in sorted(status.read.items()):
        say(f"uploader {name}: {status.last - position} entries behind, within a minute")
