"""`lora-post downlink counter`"""

from __future__ import annotations

from pathlib import Path

import click

from lora_post.cli._options import config_option
from lora_post.cli._output import say
from lora_post.cli._spool import opened
from lora_post.cli.downlink._desk import device_with
from lora_post.cli.fleet import _by_hand
from lora_post.errors import ConfigError
from lora_post.lorawan.phy_payload import MAX_FCNT
from lora_post.model import Link
from lora_post.spool.upkeep import raise_down_counters


@click.command(name="counter")
@click.argument("device", metavar="DEVICE")
@click.argument("number", metavar="N", type=click.IntRange(0, MAX_FCNT))
@config_option
@click.pass_obj
def command(group_path: Path | None, device: str, number: int, config_path: Path | None) -> None:
    """Count a device's downlinks on from N; never back.

    A device takes no downlink whose counter is not above the last one. After another network has sent to a device with
    fixed keys (ABP), or when the spool was lost or restored from a backup, N has to be above all counters that were
    used. What a device that joins is sent counts from 0 after its next join.

    \b
        lora-post downlink counter pond-7 5000
    """
    with opened(config_path or group_path) as (config, spool_file):
        of = device_with(config, device)
        if of.link is not Link.LORAWAN:
            raise ConfigError(
                f"{device} has no counter of downlinks", fix="only LoRaWAN devices that are answered here have one"
            )
        if config.fleet:
            has_any = _by_hand.raise_down_counters(config, config.fleet, spool_file, of, number)
        else:
            has_any = raise_down_counters(spool_file, of, number)
        if not has_any:
            raise ConfigError(f"{device} has no session", fix="let it join first: switch it on, or reset it")
    say(f"the next downlink for {device} has counter {number}, or a higher one that was reached already")
