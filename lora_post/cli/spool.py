"""`lora-post spool`"""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import click
from msgspec import Struct

from lora_post.cli import reset_counter, salvage
from lora_post.cli.options import (
    config_option,
    existing_spool,
    load_all_decoders,
    log,
    read_config,
    set_up_log,
    watch_decoders,
)
from lora_post.cli.output import say
from lora_post.cli.spool_view import count_text, show
from lora_post.config import Config
from lora_post.decoding.choice import Decoding
from lora_post.decoding.hangs import LimitedDecoding, decoders_set_aside, hang_path
from lora_post.errors import ConfigError, SpoolError
from lora_post.model import Device, Frame, Link, RxInfo
from lora_post.spool import undecoded
from lora_post.spool.lanes import parked, sensor_states
from lora_post.spool.model import Parked
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from lora_post.spool.undecoded import Undecoded
from lora_post.spool.upkeep import decode_again, drop, drop_sink, held_by_sink, move, release
from lora_post.uplink.model import Report, Uplink
from lora_post.waziup_names import to_id


@click.group(name="spool", invoke_without_command=True)
@config_option
@click.pass_context
def command(context: click.Context, config_path: Path | None) -> None:
    """Show, retry or drop what waits to be sent.

    Without a further word it shows what is in the spool, what is held back and why, and the command that
    sends it again. A sensor is parked when the server refuses all of it, for example because the device
    id belongs to another account; a single reading is refused when only it is at fault. What is parked is
    tried again by itself once a day, what is refused is not.

    \b
        lora-post spool -c lora-post.toml
        lora-post spool retry pond-7/temperature_3
        lora-post spool move pond-7 farm-1-pond-7
        lora-post spool drop pond-7
        lora-post spool reset-counter pond-7
        lora-post spool salvage spool.db.damaged-20261122T231500Z

    All of it may be used while `lora-post run` is running.
    """
    set_up_log(verbose=False, quiet=True)
    context.obj = config_path
    if context.invoked_subcommand is None:
        with _open(config_path) as (config, spool_file):
            show(config, spool_file, _option(config_path))


@command.command(name="retry")
@click.argument("target", metavar="[DEVICE[/SENSOR]]", required=False)
@config_option
@click.pass_obj
def retry(group_path: Path | None, target: str | None, config_path: Path | None) -> None:
    """Send parked and refused readings again, and decode again what could not be decoded.

    Correct the cause first. Payloads are read with the decoders and the configuration of today, and their
    readings keep the time of reception; those that still fail stay.

    \b
        lora-post spool retry                           everything
        lora-post spool retry pond-7                    one device
        lora-post spool retry pond-7/temperature_3      one sensor, no payloads
    """
    with _open(config_path or group_path) as (config, spool_file):
        wanted = _target(spool_file, target)
        reports = [] if wanted.name else _decode_again(config, spool_file, wanted.device)
        known = wanted.device is None or any(state.device == wanted.device for state in sensor_states(spool_file))
        released = release(spool_file, wanted.device, wanted.name) if known else 0
    good = [report for report in reports if report.problem is None]
    say(f"{count_text(released, 'reading')} released; they go out while `lora-post run` is running")
    if reports:
        readings = sum(len(report.readings) for report in good)
        say(f"{count_text(len(good), 'payload')} decoded, with {count_text(readings, 'reading')}")
    failed = Counter((r.uplink.device.id, r.problem) for r in reports if r.problem is not None)
    for (device, problem), count in failed.most_common():
        say(f"{count_text(count, 'payload')} of {device} still cannot be decoded: {problem}")


@command.command(name="drop")
@click.argument("target", metavar="DEVICE[/SENSOR]", required=False)
@click.option("--all", "everything", is_flag=True, help="Everything that is parked or refused.")
@click.option("--destination", metavar="NAME", help="All that waits for one that has left the configuration.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
@click.pass_obj
def drop_command(
    group_path: Path | None,
    target: str | None,
    everything: bool,
    destination: str | None,
    yes: bool,
    config_path: Path | None,
) -> None:
    """Delete parked and refused readings for good.

    What is queued stays and goes out; a parked sensor stays parked. Asks first, unless --yes is given.

    \b
        lora-post spool drop pond-7/temperature_3
        lora-post spool drop --all --yes
        lora-post spool drop --destination mqtt         after its table was taken out of the configuration
    """
    if sum((target is not None, everything, destination is not None)) != 1:
        raise click.UsageError("name a DEVICE or DEVICE/SENSOR, or give --all or --destination")
    confirm = _accept if yes else _ask
    if destination is not None:
        _drop_destination(config_path or group_path, destination, confirm)
        return
    with _open(config_path or group_path) as (_, spool_file):
        wanted = _target(spool_file, target)
        held = [item for item in parked(spool_file) if wanted.covers(item)]
        count = count_text(sum(item.readings for item in held), "reading")
        if not held:
            say("nothing is parked or refused there")
            return
        confirm(count)
        say(f"{count_text(drop(spool_file, wanted.device, wanted.name), 'reading')} deleted")


def _drop_destination(config_path: Path | None, name: str, confirm: Callable[[str], None]) -> None:
    with _open(config_path) as (config, spool_file):
        if name in config.destinations:
            raise click.UsageError(f"[{name}] is in the configuration and may be sending; take it out first")
        held = held_by_sink(spool_file)
        if name not in held:
            raise click.UsageError(f"nothing waits for {name!r}; there is {', '.join(sorted(held)) or 'nothing'}")
        confirm(count_text(held[name], "reading"))
        say(f"{count_text(drop_sink(spool_file, name), 'reading')} deleted")


def _accept(count: str) -> None:
    """--yes"""


def _ask(count: str) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError(f"{count} would be deleted, and there is no terminal to ask on; add --yes")
    click.confirm(f"Delete {count} for good?", abort=True)


@command.command(name="move")
@click.argument("device")
@click.argument("new_device")
@config_option
@click.pass_obj
def move_command(group_path: Path | None, device: str, new_device: str, config_path: Path | None) -> None:
    """Send what is held of DEVICE to NEW_DEVICE instead, when its id was wrong.

    An accepted reading keeps the id that its device had in the configuration. When that id turns out to
    be somebody else's, give the device another one in the configuration, then move what waits under the
    old one.

    \b
        lora-post spool move pond-7 farm-1-pond-7
    """
    with _open(config_path or group_path) as (config, spool_file):
        known = [each.id for each in config.devices]
        if new_device not in known:
            raise click.UsageError(
                f"no device of the configuration has the id {new_device!r}; there are {', '.join(known)}"
            )
        say(f"{count_text(move(spool_file, device, new_device), 'reading')} moved from {device} to {new_device}")


command.add_command(salvage.command)
command.add_command(reset_counter.command)


class Target(Struct, frozen=True):
    """Which sensors are meant; None: all."""

    device: str | None
    name: str | None

    def covers(self, item: Parked) -> bool:
        return self.device in (None, item.device) and self.name in (None, item.name)


@contextmanager
def _open(config_path: Path | None) -> Iterator[tuple[Config, SpoolFile]]:
    config = read_config(config_path)
    with closing(SpoolFile(existing_spool(config))) as spool_file:
        yield config, spool_file


def _target(spool_file: SpoolFile, text: str | None) -> Target:
    """DEVICE or DEVICE/SENSOR, the sensor as Waziup calls it. Raises SpoolError when the spool has none such."""
    if text is None:
        return Target(None, None)
    device, slash, sensor = text.partition("/")
    names = [state.name for state in sensor_states(spool_file) if state.device == device]
    if not names and not undecoded.load(spool_file, device):
        raise SpoolError(f"the spool has nothing of a device {device!r}", fix="see `lora-post spool`")
    if not slash:
        return Target(device, None)
    for name in names:
        if sensor in (to_id(name), name):
            return Target(device, name)
    raise SpoolError(
        f"the spool has no sensor {sensor!r} of {device}", fix=f"it has {', '.join(map(to_id, names)) or 'none'}"
    )


def _decode_again(config: Config, spool_file: SpoolFile, device: str | None) -> list[Report]:
    loaded = load_all_decoders(config)
    for problem in loaded.problems:
        log.warning("decoder skipped: %s", problem)
    devices = {each.id: each for each in config.devices}
    # All payloads are read in one transaction, for which the running lora-post waits.
    aside = decoders_set_aside(hang_path(config.spool_path), loaded.decoders)
    decoding = LimitedDecoding(Decoding(config.devices, loaded.decoders), loaded.decoders, watch_decoders(), aside)

    def read(row: Undecoded) -> Report:
        # A device that has left the configuration is read as it was then.
        of = devices.get(row.device) or Device(row.device, row.device, Link.LORAWAN, 0, row.decoder)
        frame = Frame(config.gateway_id, row.time_us, b"", RxInfo())
        return decoding.decode(Uplink(frame, of, row.fcnt, row.fport, row.payload, True))

    if undecoded.load(spool_file, device) and not config.destinations:
        raise ConfigError(
            f"{config.path}: there is nowhere to send to, so nothing is decoded again", fix="see [waziup]"
        )
    writer = QueueWriter(spool_file, config.destinations, config.spool_max_bytes, config.spool_when_full)
    return decode_again(spool_file, writer, read, device)


def _option(config_path: Path | None) -> str:
    """The -c that was given, so that the commands shown can be copied."""
    return f" -c {shlex.quote(str(config_path))}" if config_path else ""
