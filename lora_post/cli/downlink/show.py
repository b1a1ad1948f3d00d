"""`lora-post downlink show`"""

from __future__ import annotations

import json
from pathlib import Path

import click

from lora_post.cli._options import config_option, load_all_decoders
from lora_post.cli._output import say
from lora_post.cli._spool import opened
from lora_post.cli.downlink._desk import command_with, fate_text, time_text
from lora_post.command import Command
from lora_post.config import Config
from lora_post.decoding.encode import decode_down
from lora_post.text import plural


@click.command(name="show")
@click.argument("number", metavar="ID", type=int)
@config_option
@click.pass_obj
def command(group_path: Path | None, number: int, config_path: Path | None) -> None:
    """Show one downlink: what it says, and each step until now.

    \b
        lora-post downlink show 12
    """
    with opened(config_path or group_path) as (config, spool_file):
        item = command_with(spool_file, number)
    say(f"downlink  {item.id} for {item.device}, {fate_text(item)}")
    say(f"payload   {item.payload.hex(' ') or '(empty)'} ({plural(len(item.payload), 'byte')}), FPort {item.fport}")
    if item.value is not None:
        say(f"values    {json.dumps(item.value, ensure_ascii=False)}")
    says = _read_back(config, item)
    if says is not None:
        say(f"says      {json.dumps(says, ensure_ascii=False)}")
    if item.is_confirmed:
        say(f"confirmed the device is to acknowledge it; on air {plural(item.tries, 'time')}")
    say(f"given     {time_text(item.made.wall_us)}")
    for step in item.steps:
        say(f"step      {time_text(step.at_us)}  {step.text}")


def _read_back(config: Config, item: Command) -> object:
    """Return what the codec's decodeDownlink makes of it, None where there is none."""
    device = next((each for each in config.devices if each.id == item.device), None)
    return decode_down(device, load_all_decoders(config).decoders, item.payload, item.fport) if device else None
