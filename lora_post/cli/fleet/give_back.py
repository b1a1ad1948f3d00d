"""`lora-post fleet give-back`"""

from __future__ import annotations

from pathlib import Path

import click

from lora_post.cli._options import config_option
from lora_post.cli.fleet._devices import hand_over


@click.command(name="give-back")
@click.argument("devices", nargs=-1, required=True, metavar="DEVICE…")
@config_option
def command(devices: tuple[str, ...], config_path: Path | None) -> None:
    """Let the home gateway decide about its devices again, after `take-over`.

    \b
        lora-post fleet give-back pond-1 pond-2 -c lora-post.toml
    """
    hand_over(config_path, devices, to_workers=False)
