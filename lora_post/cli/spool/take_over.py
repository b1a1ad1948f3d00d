"""`lora-post spool take-over`"""

from __future__ import annotations

from pathlib import Path

import click

from lora_post.cli._options import config_option
from lora_post.cli._output import say
from lora_post.cli._spool import opened
from lora_post.cli.spool._target import known_device
from lora_post.sinks.waziup.stand_in import ORDERS
from lora_post.spool.facts import Facts
from lora_post.spool.lanes import sensor_states
from lora_post.spool.upkeep import release
from lora_post.text import plural


@click.command(name="take-over")
@click.argument("device")
@config_option
@click.pass_obj
def command(group_path: Path | None, device: str, config_path: Path | None) -> None:
    """Send the readings of DEVICE from this gateway, in place of the one that does.

    On Waziup a device names the gateway that sends for it; another gateway that hears it keeps its readings
    back. When the one that is named is gone for good, or has another id now, this makes the device name this
    one, at the next reading. What the other has sent is not sent again. One that still sends must be stopped
    first: it looks only once a day whose turn it is.

    A device that was created without a login belongs to `guest` on Waziup: this makes it your account's.

    \b
        lora-post spool take-over pond-7
    """
    with opened(config_path or group_path) as (config, spool_file):
        name = known_device(config, device).id
        Facts(spool_file, ORDERS).remember(name, "yes")
        is_held = any(state.device == name for state in sensor_states(spool_file))
        released = release(spool_file, name, None) if is_held else 0
    say(f"{plural(released, 'reading')} released, to be sent by `lora-post run`, which makes {name} name this gateway")
