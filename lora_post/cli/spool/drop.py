"""`lora-post spool drop`"""

from __future__ import annotations

from pathlib import Path

import click

from lora_post.cli._options import config_option
from lora_post.cli._output import confirm, say
from lora_post.cli._spool import opened
from lora_post.cli.spool._target import Target, target_of
from lora_post.spool.lanes import parked
from lora_post.spool.spool_file import SpoolFile
from lora_post.spool.undecoded import load as load_undecoded
from lora_post.spool.upkeep import drop, drop_sink, drop_undecoded, held_by_sink
from lora_post.text import plural


@click.command(name="drop")
@click.argument("target", metavar="DEVICE[/SENSOR]", required=False)
@click.option("--all", "everything", is_flag=True, help="Everything that is parked or refused.")
@click.option("--undecoded", is_flag=True, help="Payloads that could not be decoded, in place of readings.")
@click.option("--destination", metavar="NAME", help="All that waits for one that has left the configuration.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
@click.pass_obj
def command(
    group_path: Path | None,
    target: str | None,
    everything: bool,
    undecoded: bool,
    destination: str | None,
    yes: bool,
    config_path: Path | None,
) -> None:
    """Delete parked and refused readings, or payloads that could not be decoded, for good.

    What is queued stays and goes out; a parked sensor stays parked. Asks first, unless --yes is given.

    \b
        lora-post spool drop pond-7/temperature_3
        lora-post spool drop pond-7 --undecoded
        lora-post spool drop --all --yes
        lora-post spool drop --destination mqtt         after its table was taken out of the configuration
    """
    if sum((target is not None, everything, destination is not None)) != 1:
        raise click.UsageError("name a DEVICE or DEVICE/SENSOR, or give --all or --destination")
    if destination is not None:
        if undecoded:
            raise click.UsageError("--undecoded goes with a DEVICE or --all: a payload is of no destination yet")
        _drop_destination(config_path or group_path, destination, yes=yes)
        return
    with opened(config_path or group_path) as (_, spool_file):
        wanted = target_of(spool_file, target)
        if undecoded:
            _drop_undecoded(spool_file, wanted, yes=yes)
            return
        held = [item for item in parked(spool_file) if wanted.covers(item)]
        count = plural(sum(item.readings for item in held), "reading")
        if not held:
            say("nothing is parked or refused there")
            return
        _ask(count, yes=yes)
        say(f"{plural(drop(spool_file, wanted.device, wanted.name), 'reading')} deleted")


def _drop_destination(config_path: Path | None, name: str, *, yes: bool) -> None:
    with opened(config_path) as (config, spool_file):
        if name in config.destinations:
            raise click.UsageError(f"[{name}] is in the configuration and may be sending; take it out first")
        held = held_by_sink(spool_file)
        if name not in held:
            raise click.UsageError(f"nothing waits for {name!r}; there is {', '.join(sorted(held)) or 'nothing'}")
        _ask(plural(held[name], "reading"), yes=yes)
        say(f"{plural(drop_sink(spool_file, name), 'reading')} deleted")


def _drop_undecoded(spool_file: SpoolFile, wanted: Target, *, yes: bool) -> None:
    if wanted.name is not None:
        raise click.UsageError("a payload that is not decoded is of no sensor: name the DEVICE alone")
    count = len(load_undecoded(spool_file, wanted.device))
    if not count:
        say("every payload there was decoded")
        return
    _ask(plural(count, "payload"), yes=yes)
    say(f"{plural(drop_undecoded(spool_file, wanted.device), 'payload')} deleted")


def _ask(count: str, *, yes: bool) -> None:
    confirm(f"Delete {count} for good?", f"{count} would be deleted", yes=yes)
