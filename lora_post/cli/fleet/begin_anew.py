"""`lora-post fleet begin-anew`"""

from __future__ import annotations

from pathlib import Path

import click

from lora_post.cli._options import config_option
from lora_post.cli._output import say
from lora_post.cli.fleet._hub import connected, fleet_of


@click.command(name="begin-anew")
@config_option
def command(config_path: Path | None) -> None:
    """Begin with an empty log where the hub has lost it and there is no backup.

    Workers do not do that by themselves: a log that is gone may be a server that was started with the wrong disk.
    Counters of downlinks go on 1024 further, and gateways hand in once more what they have kept.
    """
    config, fleet = fleet_of(config_path)
    with connected(config, fleet) as link:
        from lora_post.fleet.log.streams import ensure_streams

        ensure_streams(link, fleet.replicas, may_make_log=True)
    say("The log is there. Workers go on by themselves.")
