"""`lora-post devices test`"""

from __future__ import annotations

from pathlib import Path

import click

from lora_post.cli import EXIT_FAILED
from lora_post.cli._options import config_option
from lora_post.cli._output import say
from lora_post.cli.devices._desk import Desk, look_at_desk, trial_problem
from lora_post.explain.trial import opened_text
from lora_post.model import Device
from lora_post.uplink.model import Report


@click.command(name="test")
@click.argument("names", metavar="[ID…]", nargs=-1)
@config_option
@click.pass_obj
def command(group_path: Path | None, names: tuple[str, ...], config_path: Path | None) -> None:
    """Try the keys of devices on the frames that were refused, or not decoded, and kept.

    A device whose frames are all accepted and decoded has none there. Exit code 0, or 1 when keys open nothing of
    what was kept.

    \b
        lora-post devices test
        lora-post devices test pond-7
    """
    desk = look_at_desk(config_path or group_path)
    desk.say_mistakes()
    devices = [desk.device(name) for name in names] or desk.config.devices
    results = [_show(desk, device, is_named=bool(names)) for device in devices]
    if not any(results) and not names:
        say("No frame of a configured device was refused, or not decoded, and kept.")
    raise SystemExit(EXIT_FAILED if "FAIL" in results else 0)


def _show(desk: Desk, device: Device, *, is_named: bool) -> str:
    """Print what came of a device; returns the verdict, "" when nothing was kept of it."""
    trial = desk.try_device(device)
    for outcome in trial.opened:
        is_read = not isinstance(outcome, Report) or outcome.problem is None
        say(
            f"{'ok' if is_read else 'unread':<9} {device.id}: {opened_text(outcome)}",
            fg="green" if is_read else "yellow",
        )
    if problem := trial_problem(trial):
        say(f"FAIL      {problem.what}", fg="red")
        say(f"fix       {problem.fix}")
        return "FAIL"
    if is_named and not trial.opened:
        say(f"none      {device.id}: no frame with its address was refused, or not decoded, and kept")
    return "ok" if trial.opened else ""
