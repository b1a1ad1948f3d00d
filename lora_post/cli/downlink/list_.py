"""`lora-post downlink list`"""

from __future__ import annotations

from pathlib import Path

import click

from lora_post.cli._options import config_option
from lora_post.cli._output import print_table, say
from lora_post.cli._spool import opened
from lora_post.cli.downlink._desk import device_with, fate_text, time_text
from lora_post.command import Command
from lora_post.spool import downlinks

SHOWN = 50
HEADERS = ("ID", "Device", "FPort", "Payload", "Given", "Fate", "Last")


@click.command(name="list")
@click.argument("device", required=False)
@config_option
@click.pass_obj
def command(group_path: Path | None, device: str | None, config_path: Path | None) -> None:
    """Show the last 50 downlinks, of one device or of all, with what became of them.

    \b
        lora-post downlink list
        lora-post downlink list pond-7
    """
    with opened(config_path or group_path) as (config, spool_file):
        found = downlinks.load(spool_file, device, SHOWN)
    if not found and device is not None:
        device_with(config, device)
    if not found:
        say("no downlink yet; `lora-post downlink send --help` shows how to send one")
        return
    print_table(HEADERS, [_row(each) for each in found])


def _row(item: Command) -> tuple[str, ...]:
    last = item.steps[-1].text if item.steps else ""
    payload = f"{item.payload.hex()[:16]}…" if len(item.payload) > 8 else item.payload.hex() or "(empty)"
    given = time_text(item.made.wall_us)
    return str(item.id), item.device, str(item.fport), payload, given, fate_text(item), last
