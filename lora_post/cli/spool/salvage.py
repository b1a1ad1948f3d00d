"""`lora-post spool salvage`"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import ExitStack, closing
from pathlib import Path

import click

from lora_post.cli._options import config_option, read_config
from lora_post.cli._output import say
from lora_post.clocks.scale import now_us
from lora_post.errors import Rejected, Untold
from lora_post.run.upload_thread import open_outlet
from lora_post.sinks.announced import Announced
from lora_post.spool.model import Batch
from lora_post.spool.salvage import salvage
from lora_post.spool.spool_file import SpoolFile
from lora_post.text import plural

EXIT_UNASKED = 75  # EX_TEMPFAIL of sysexits.h: try again later


@click.command(name="salvage")
@click.argument("damaged", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@config_option
@click.pass_obj
def command(group_path: Path | None, damaged: Path, config_path: Path | None) -> None:
    """Bring back what can be read of a damaged spool.

    A damaged spool is set aside as FILE, and reception goes on with a new one. This puts into the new one what
    was waiting in FILE: readings, frame counters, what was parked or refused, payloads that were not decoded.
    The server is asked first which of the readings it has, so that none arrives twice; without a link, try
    again later. FILE stays as it is, and may be salvaged again.

    \b
        lora-post spool salvage /var/lib/lora-post/spool.db.damaged-20261122T231500Z
    """
    config = read_config(config_path or group_path)
    if config.spool_path.exists() and damaged.samefile(config.spool_path):
        raise click.UsageError(f"{damaged} is the current spool; name the file that was set aside")
    with ExitStack() as stack:
        spool_file = stack.enter_context(closing(SpoolFile(config.spool_path)))
        sinks = {
            name: stack.enter_context(closing(open_outlet(name, config, spool_file, Announced()).sink))
            for name in config.destinations
        }

        def arrived(name: str, batch: Batch) -> Collection[int]:
            try:
                # Readings are not sent before they are measured.
                return sinks[name].stored(batch, min(batch.times_us[0], now_us())) if name in sinks else ()
            except Untold:
                raise
            except Rejected:  # where this account may not look, none of its readings has arrived
                return ()

        found = salvage(spool_file, damaged, arrived)
    say(f"{plural(found.readings, 'reading')} queued again, to be sent by `lora-post run`")
    say(f"left out: {found.arrived} that had arrived at the server, {found.here} that were in the spool already")
    say(f"{plural(found.refused, 'refused reading')} and {plural(found.payloads, 'undecoded payload')} are back")
    if found.untimed:
        say(f"{found.untimed} stay in the file: it does not say when the gateway was started then", fg="yellow")
    for sensor in found.unasked:
        say(f"left for another time: {sensor}", fg="yellow")
    if found.unasked:
        say("run this again when the server answers: only it knows which of these it has")
        raise SystemExit(EXIT_UNASKED)
