"""`lora-post explain`"""

from __future__ import annotations

from pathlib import Path

import click

from lora_post.cli._log import set_up_log
from lora_post.cli._options import config_option
from lora_post.cli._output import say
from lora_post.cli._spool import opened
from lora_post.cli.downlink._desk import command_with, fate_text, time_text
from lora_post.command import Command, Fate

SHOWN_STEPS = 3
_COLOURS = {True: "green", False: "yellow"}


@click.group(name="explain")
def command() -> None:
    """Say what became of a downlink, and what it waits for.

    \b
        lora-post explain downlink 12
    """
    set_up_log(verbose=False, quiet=True)


@command.command(name="downlink")
@click.argument("number", metavar="ID", type=int)
@config_option
def downlink(number: int, config_path: Path | None) -> None:
    """Say how far a downlink has come, and which step failed.

    The steps: it is queued, its device is heard by a gateway that can send, a window and the duty cycle have room for
    it, the gateway takes it, the device acknowledges it.

    \b
        lora-post explain downlink 12
    """
    with opened(config_path) as (_, spool_file):
        item = command_with(spool_file, number)
    say(f"downlink  {item.id} for {item.device}: {fate_text(item)}")
    for stage, is_done in _stages(item):
        say(f"{'done' if is_done else 'not done' if item.is_over else 'not yet':<9} {stage}", fg=_COLOURS[is_done])
        if not is_done:
            break
    for step in item.steps[-SHOWN_STEPS:]:
        say(f"step      {time_text(step.at_us)}  {step.text}")
    if hint := _hint(item):
        say(f"hint      {hint}")


def _stages(item: Command) -> list[tuple[str, bool]]:
    """Return what a downlink passes, in this order, and whether it has."""
    ended = item.fate in (Fate.EXPIRED, Fate.CANCELLED, Fate.REFUSED)  # that is a step, too
    was_heard = len(item.steps) > ended
    sent = item.fate in (Fate.SENT, Fate.ACKNOWLEDGED, Fate.NOT_ACKNOWLEDGED)
    stages = [
        (f"queued at {time_text(item.made.wall_us)}", True),
        ("its device is heard", was_heard or item.sealed is not None),
        (f"given to gateway {item.gateway}" if item.gateway else "given to a gateway", item.sealed is not None),
        (f"sent in {item.window}" if item.window else "sent", sent),
    ]
    return [*stages, ("acknowledged by the device", item.fate is Fate.ACKNOWLEDGED)] if item.is_confirmed else stages


def _hint(item: Command) -> str:
    """Return what a downlink waits for, and what a person can look at; "" where its steps say it."""
    if item.steps:
        asked = item.fate is Fate.SENT and item.is_confirmed
        return "the next uplink of the device tells whether it has it" if asked else ""
    if item.sealed is not None:
        return f"gateway {item.gateway} was given it, and has not said yet what became of it"
    return (
        "no uplink of the device has come since: a device of class A hears only after its own uplinks. Is it on, is it "
        "in reach, does `lora-post run` run?"
    )
