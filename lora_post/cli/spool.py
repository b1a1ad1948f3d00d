"""`lora-post spool`"""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import click
from msgspec import Struct

from lora_post.boots import estimate_text, estimates
from lora_post.checks.storage import megabytes
from lora_post.cli import reset_counter, salvage
from lora_post.cli.delivery import spool_path
from lora_post.cli.options import config_option, load_all_decoders, log, read_config, set_up_log, watch_decoders
from lora_post.cli.output import print_table, say
from lora_post.clock import utc_text
from lora_post.config import Config
from lora_post.decoder_choice import Decoding
from lora_post.decoder_watch import WatchedDecoding
from lora_post.errors import ConfigError, StoreError
from lora_post.model import Device, Frame, Link, Report, RxInfo, Uplink
from lora_post.spool import (
    EVICTED,
    MAX_SENSORS,
    TOO_MANY_SENSORS,
    SpoolReader,
    SpoolWriter,
)
from lora_post.spool_upkeep import (
    Parked,
    SensorState,
    Undecoded,
    decode_again,
    drop,
    drop_sink,
    held_by_sink,
    move,
    parked,
    release,
    sensor_states,
    undecoded,
)
from lora_post.store import Store, tallies
from lora_post.thinning import THINNED
from lora_post.waziup_names import to_id

VALUE_WIDTH = 40
HEADERS = ("Device", "Sensor", "Waiting", "Refused", "State", "Oldest")


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
        with _open(config_path) as (config, store):
            _show(config, store, _option(config_path))


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
    with _open(config_path or group_path) as (config, store):
        wanted = _target(store, target)
        reports = [] if wanted.name else _decode_again(config, store, wanted.device)
        known = wanted.device is None or any(state.device == wanted.device for state in sensor_states(store))
        released = release(store, wanted.device, wanted.name) if known else 0
    good = [report for report in reports if report.problem is None]
    say(f"{_count(released, 'reading')} released; they go out while `lora-post run` is running")
    if reports:
        say(f"{_count(len(good), 'payload')} decoded, with {_count(sum(len(r.readings) for r in good), 'reading')}")
    failed = Counter((r.uplink.device.id, r.problem) for r in reports if r.problem is not None)
    for (device, problem), count in failed.most_common():
        say(f"{_count(count, 'payload')} of {device} still cannot be decoded: {problem}")


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
    with _open(config_path or group_path) as (_, store):
        wanted = _target(store, target)
        held = [item for item in parked(store) if wanted.covers(item)]
        count = _count(sum(item.readings for item in held), "reading")
        if not held:
            say("nothing is parked or refused there")
            return
        confirm(count)
        say(f"{_count(drop(store, wanted.device, wanted.name), 'reading')} deleted")


def _drop_destination(config_path: Path | None, name: str, confirm: Callable[[str], None]) -> None:
    with _open(config_path) as (config, store):
        if name in config.destinations:
            raise click.UsageError(f"[{name}] is in the configuration and may be sending; take it out first")
        held = held_by_sink(store)
        if name not in held:
            raise click.UsageError(f"nothing waits for {name!r}; there is {', '.join(sorted(held)) or 'nothing'}")
        confirm(_count(held[name], "reading"))
        say(f"{_count(drop_sink(store, name), 'reading')} deleted")


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
    with _open(config_path or group_path) as (config, store):
        known = [each.id for each in config.devices]
        if new_device not in known:
            raise click.UsageError(
                f"no device of the configuration has the id {new_device!r}; there are {', '.join(known)}"
            )
        say(f"{_count(move(store, device, new_device), 'reading')} moved from {device} to {new_device}")


command.add_command(salvage.command)
command.add_command(reset_counter.command)


class Target(Struct, frozen=True):
    """Which sensors are meant; None: all."""

    device: str | None
    name: str | None

    def covers(self, item: Parked) -> bool:
        return self.device in (None, item.device) and self.name in (None, item.name)


@contextmanager
def _open(config_path: Path | None) -> Iterator[tuple[Config, Store]]:
    config = read_config(config_path)
    with closing(Store(spool_path(config))) as store:
        yield config, store


def _target(store: Store, text: str | None) -> Target:
    """DEVICE or DEVICE/SENSOR, the sensor as Waziup calls it. Raises StoreError when the spool has none such."""
    if text is None:
        return Target(None, None)
    device, slash, sensor = text.partition("/")
    names = [state.name for state in sensor_states(store) if state.device == device]
    if not names and not undecoded(store, device):
        raise StoreError(f"the spool has nothing of a device {device!r}; see `lora-post spool`")
    if not slash:
        return Target(device, None)
    for name in names:
        if sensor in (to_id(name), name):
            return Target(device, name)
    raise StoreError(f"the spool has no sensor {sensor!r} of {device}; it has {', '.join(map(to_id, names)) or 'none'}")


def _decode_again(config: Config, store: Store, device: str | None) -> list[Report]:
    loaded = load_all_decoders(config)
    for problem in loaded.problems:
        log.warning("decoder skipped: %s", problem)
    devices = {each.id: each for each in config.devices}
    # All payloads are read in one transaction, for which the running lora-post waits.
    decoding = WatchedDecoding(Decoding(config.devices, loaded.decoders), loaded.decoders, watch_decoders())

    def read(row: Undecoded) -> Report:
        # A device that has left the configuration is read as it was then.
        of = devices.get(row.device) or Device(row.device, row.device, Link.LORAWAN, 0, row.decoder)
        frame = Frame(config.gateway_id, row.time_us, b"", RxInfo())
        return decoding.decode(Uplink(frame, of, row.fcnt, row.fport, row.payload, True))

    if undecoded(store, device) and not config.destinations:
        raise ConfigError(f"{config.path}: there is nowhere to send to, so nothing is decoded again; see [waziup]")
    writer = SpoolWriter(store, config.destinations, config.spool_max_bytes, config.spool_when_full)
    return decode_again(store, writer, read, device)


def _show(config: Config, store: Store, option: str) -> None:
    held = held_by_sink(store)
    sinks = [*config.destinations, *sorted(held.keys() - set(config.destinations))]
    counts = {sink: SpoolReader(store, sink).counts() for sink in sinks}
    states = sensor_states(store)
    oldest = min((state.oldest_us for state in states if state.oldest_us is not None), default=None)
    say(f"spool      {store.path}")
    say(f"size       {megabytes(store.used_bytes())} of {megabytes(config.spool_max_bytes)}")
    say(f"queued     {_count(sum(each.queued for each in counts.values()), 'reading')}")
    say(f"parked     {_count(sum(each.parked for each in counts.values()), 'reading')}")
    say(f"refused    {_count(sum(each.refused for each in counts.values()), 'reading')}")
    say(f"undecoded  {_count(len(undecoded(store)), 'payload')}")
    totals = tallies(store.db)
    say(f"evicted    {_count(totals.get(EVICTED, 0), 'reading')} so far, because it was full")
    if totals.get(TOO_MANY_SENSORS):
        dropped = _count(totals[TOO_MANY_SENSORS], "reading")
        say(f"dropped    {dropped} so far, of devices with more than {MAX_SENSORS} sensor names", fg="yellow")
    if totals.get(THINNED):
        say(f"left out   {_count(totals[THINNED], 'reading')} so far, by deadband and min_interval")
    say(f"oldest     {utc_text(oldest) if oldest is not None else 'none'}")
    for estimate in estimates(store):
        say(f"times      {estimate_text(estimate)}", fg="yellow")
    for sink, each in counts.items():
        if sink not in config.destinations:
            text = f"{_count(each.undelivered, 'reading')} wait, and it is no longer in the configuration"
            say(f"{sink:<10} {text}; delete them: lora-post spool drop --destination {sink}{option}", fg="yellow")
        elif len(counts) > 1:
            say(f"{sink:<10} {each.queued} queued, {each.parked} parked, {each.refused} refused")
    shown = [state for state in states if state.waiting or state.refused or state.is_parked]
    if shown and len(counts) > 1:
        say("")
        print_table((*HEADERS, "For"), [(*_row(state), state.sink) for state in shown])
    elif shown:
        say("")
        print_table(HEADERS, [_row(state) for state in shown])
    for item in parked(store):
        where = f"{item.device}/{to_id(item.name)}"
        to = f" for {item.sink}" if len(counts) > 1 else ""
        say("")
        count, since = _count(item.readings, "reading"), utc_text(item.since_us)
        if item.refused is None:
            say(f"{where}: {count} held back{to} since {since}")
        else:
            first = _shorten(item.refused.decode("utf-8", "replace"), VALUE_WIDTH)
            say(f"{where}: {count} refused{to}, the first of {since}: {first}")
        say(f"  {item.reason}")
        if item.refused is None:
            say("  it is tried again by itself after a day")
        say(f"  when that is put right: lora-post spool retry {where}{option}")
        say(f"  to give it up: lora-post spool drop {where}{option}")
    _show_undecoded(undecoded(store), option)


def _show_undecoded(rows: Sequence[Undecoded], option: str) -> None:
    for device, count in Counter(row.device for row in rows).items():
        newest = next(row for row in reversed(rows) if row.device == device)
        say("")
        say(f"{device}: {_count(count, 'payload')} not decoded, the newest from {utc_text(newest.time_us)}")
        say(f"  {newest.decoder}: {newest.problem}")
        say(f"  when the decoder is put right: lora-post spool retry {device}{option}")


def _row(state: SensorState) -> tuple[str, ...]:
    oldest = utc_text(state.oldest_us) if state.oldest_us is not None else ""
    held = "parked" if state.is_parked else "queued" if state.waiting else ""
    waiting, refused = f"{state.waiting} waiting", f"{state.refused} refused"
    return state.device, to_id(state.name), waiting, refused, held, oldest


def _shorten(text: str, width: int) -> str:
    """At most so many characters of a text."""
    return text if len(text) <= width else text[: width - 1] + "…"


def _option(config_path: Path | None) -> str:
    """The -c that was given, so that the commands shown can be copied."""
    return f" -c {shlex.quote(str(config_path))}" if config_path else ""


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
