"""`lora-post devices show`"""

from __future__ import annotations

from pathlib import Path

import click

from lora_post.cli._options import config_option
from lora_post.cli._output import say
from lora_post.cli.devices._desk import kind_text, look_at_desk, say_trial
from lora_post.decoding.choice import decoder_names


@click.command(name="show")
@click.argument("name", metavar="ID")
@config_option
@click.pass_obj
def command(group_path: Path | None, name: str, config_path: Path | None) -> None:
    """Show one device: where it stands, its address and decoder, and what its keys open of the frames kept.

    Keys are never shown.
    """
    desk = look_at_desk(config_path or group_path)
    desk.say_mistakes()
    device = desk.device(name)
    place = desk.config.device_places[name]
    rows = {
        "id": device.id,
        "name": device.name,
        "address": device.address_text,
        "kind": kind_text(device),
        "decoder": ", ".join(decoder_names(device)),
        "fcnt": device.fcnt.value,
        "file": f"{place.file}, [[device]] number {place.number + 1}",
    }
    for key, value in rows.items():
        say(f"{key:<9} {value}")
    say_trial(desk.try_device(device))
