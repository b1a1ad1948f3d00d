"""`lora-post devices remove`"""

from __future__ import annotations

import os
from pathlib import Path

import click

from lora_post.cli._options import config_option
from lora_post.cli._output import say
from lora_post.cli.devices._desk import open_desk
from lora_post.config.device_file import editing, without_device, write
from lora_post.config.not_toml import toml_text


@click.command(name="remove")
@click.argument("names", metavar="ID…", nargs=-1, required=True)
@config_option
@click.pass_obj
def command(group_path: Path | None, names: tuple[str, ...], config_path: Path | None) -> None:
    """Take devices out of the configuration, with their sensor tables and the comments right above them.

    What was read of them stays on the server, and what waits in the spool is still sent.
    """
    path = open_desk(config_path or group_path).path
    with editing(path):
        desk = open_desk(path)
        places = [desk.config.device_places[desk.device(name).id] for name in dict.fromkeys(names)]
        for file in dict.fromkeys(place.file for place in places):
            text = toml_text(file.read_bytes())
            for number in sorted((place.number for place in places if place.file == file), reverse=True):
                text = without_device(text, number)
            write(path, file, text, os.environ)
    for name, place in zip(dict.fromkeys(names), places, strict=True):
        say(f"removed   {name} from {place.file}")
