"""`lora-post fleet take-over`"""

from __future__ import annotations

from pathlib import Path

import click

from lora_post.cli._options import config_option
from lora_post.cli.fleet._devices import hand_over


@click.command(name="take-over")
@click.argument("devices", nargs=-1, required=True, metavar="DEVICE…")
@config_option
def command(devices: tuple[str, ...], config_path: Path | None) -> None:
    """Have workers decide about devices in the place of their home gateway, until `give-back`.

    For a home gateway that is broken, stolen or moved; one without a link is taken over by itself after a while, see
    takeover_after. What it has decided in the meantime is not lost: it comes with its next link.

    \b
        lora-post fleet take-over pond-1 pond-2 -c lora-post.toml
    """
    hand_over(config_path, devices, to_workers=True)
