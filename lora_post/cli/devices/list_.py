"""`lora-post devices list`"""

from __future__ import annotations

from pathlib import Path

import click

from lora_post.cli._options import config_option
from lora_post.cli._output import print_table, say
from lora_post.cli.devices._desk import Desk, kind_text, look_at_desk
from lora_post.decoding.choice import decoder_names
from lora_post.explain.trial import clock_text
from lora_post.model import Device
from lora_post.spool.strangers import Stranger
from lora_post.text import plural

HEADERS = ("Id", "Address", "Kind", "Decoder", "File")
STRANGER_HEADERS = ("Address", "Heard", "Last", "RSSI", "SNR", "SF", "Refused")


@click.command(name="list")
@config_option
@click.pass_obj
def command(group_path: Path | None, config_path: Path | None) -> None:
    """List the devices of the configuration, and who else was heard.

    Devices with a mistake are left out, as by `lora-post run`, and the mistake is told.
    """
    show_all(look_at_desk(config_path or group_path))


def show_all(desk: Desk) -> None:
    """Print devices and strangers."""
    print_table(HEADERS, [_row(desk, device) for device in desk.config.devices])
    if not desk.config.devices:
        say("There is no device yet." if not desk.mistakes else "There is no device without a mistake.")
    desk.say_mistakes()
    known = {device.address_text for device in desk.config.devices}
    others = [each for each in desk.strangers if each.sender not in known]
    if others:
        say("")
        print_strangers(others, title=f"Heard, and not a device ({plural(len(others), 'sender')}):")
        say(f"add one   lora-post devices add {others[0].sender}")


def print_strangers(others: list[Stranger], *, title: str = "") -> None:
    """Print who was heard, the last one first."""
    print_table(STRANGER_HEADERS, [stranger_row(each) for each in others], title=title)


def stranger_row(stranger: Stranger) -> tuple[str, ...]:
    """Return address, number of frames, time and signal of the last one."""
    rx = stranger.last.rx
    return (
        stranger.sender,
        plural(stranger.heard, "frame"),
        clock_text(stranger.last.time_us),
        _number(rx.rssi_dbm, "dBm"),
        _number(rx.snr_db, "dB"),
        "" if rx.sf is None else f"SF{rx.sf}",
        stranger.check,
    )


def _number(value: float | None, unit: str) -> str:
    return "" if value is None else f"{value:g} {unit}"


def _row(desk: Desk, device: Device) -> tuple[str, ...]:
    file = desk.config.device_places[device.id].file
    return device.id, device.address_text, kind_text(device), ", ".join(decoder_names(device)), file.name
