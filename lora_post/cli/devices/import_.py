"""`lora-post devices import`"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click
from msgspec import Struct

from lora_post.cli._options import config_option
from lora_post.cli._output import say
from lora_post.cli.devices._desk import Desk, open_desk, say_behind_server, trial_problem
from lora_post.config import Change, examine_config
from lora_post.config.device_file import append_devices, editing
from lora_post.config.keys import KEY_NAMES
from lora_post.decoding.choice import mistakes_of
from lora_post.errors import ConfigError, Problem
from lora_post.explain.trial import opened_text
from lora_post.migrate.device_list import read_device_list
from lora_post.migrate.records import DeviceList, Record
from lora_post.model import Device
from lora_post.text import plural
from lora_post.toml_table import TableReader

MAX_SHOWN = 5
"""So many devices whose keys open frames are named."""


class Source(Struct, frozen=True):
    """A file with what is new in it: tables, each with its place. known: how many are devices already."""

    file: Path
    found: DeviceList
    tables: tuple[Mapping[str, object], ...]
    places: tuple[str, ...]
    known: int


@click.command(name="import")
@click.argument("files", metavar="FILE…", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--decoder", default="", help="The decoder of devices for which the list names none.")
@click.option("--join-eui", default="", help="The JoinEUI of devices that join and for which the list has none.")
@config_option
@click.pass_obj
def command(
    group_path: Path | None, files: tuple[Path, ...], decoder: str, join_eui: str, config_path: Path | None
) -> None:
    """Add all devices of a list to devices.toml: all of them, or none when one has a mistake.

    FILE is an export of The Things Stack or ChirpStack (CSV, or JSON as console, CLI and REST API write it), a CSV of
    your own with a header line, the text of QR codes (LoRa Alliance TR005) with AppKey behind each, or
    LowCostLoRaGw's key_LoRaWAN.py and key_AES.py. Each mistake is told with its line.

    \b
        lora-post devices import end-devices.json
        lora-post devices import devices.csv --decoder cayenne-lpp

    Columns are named as in [[device]]; deveui, AppEUI, devAddr and the like are understood too. Devices that are there
    already are left out.
    """
    path = open_desk(config_path or group_path).path
    with editing(path):
        desk = open_desk(path)
        sources = [_read(desk, file, decoder, join_eui) for file in files]
        new = _checked(desk, sources)
        tables = [table for source in sources for table in source.tables]
        if tables:
            written = append_devices(path, tables, os.environ)
            say(f"added     {plural(len(tables), 'device')} to {written}")
    for source in sources:
        for note in source.found.notes:
            say(f"note      {source.file}: {note}")
    say_behind_server(new, "give join_eui and app_key")
    if known := sum(source.known for source in sources):
        say(f"left out  {plural(known, 'device')} that are there already")
    _try(desk, new)


def _read(desk: Desk, file: Path, decoder: str, join_eui: str) -> Source:
    try:
        found = read_device_list(file.read_bytes(), file.name)
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from error
    except ConfigError as error:
        raise ConfigError(f"{file}: {error.what}", fix=error.fix) from None
    there = {_identity_of(device) for device in desk.config.devices}
    new = [record for record in found.records if _identity(record.table) not in there]
    tables = tuple(_completed(desk, record, decoder, join_eui) for record in new)
    return Source(file, found, tables, tuple(record.place for record in new), len(found.records) - len(new))


def _completed(desk: Desk, record: Record, decoder: str, join_eui: str) -> Mapping[str, object]:
    """Return the table of a record with what the options, the decoders and the join-requests heard tell beside it."""
    table = dict(record.table)
    named = str(table.get("decoder", ""))
    choice = desk.decoder_like(named) or named or decoder or desk.decoder_like(record.model)
    if choice:
        table["decoder"] = choice
    if "app_key" in table and "join_eui" not in table:
        heard = desk.join_eui_of(str(table.get("dev_eui", ""))) or join_eui
        if heard:
            table["join_eui"] = heard
    return table


def _identity(table: Mapping[str, object]) -> tuple[str, frozenset[object]]:
    """Return what tells a device: its address and its keys."""
    address = next((str(table[key]) for key in ("dev_addr", "address", "dev_eui") if key in table), "")
    return address, frozenset(table[key] for key in KEY_NAMES if key in table)


def _identity_of(device: Device) -> tuple[str, frozenset[object]]:
    return device.address_text, frozenset(key.hex() for key in device.secrets)


def _checked(desk: Desk, sources: Sequence[Source]) -> list[Device]:
    """Return the new devices. Raises ConfigError with one line for each mistake in any of the files."""
    readers = [TableReader({"device": each.tables}, each.file, os.environ, each.places) for each in sources]
    for source, reader in zip(sources, readers, strict=True):
        reader.document = {"device": list(source.tables)}
        reader.mistakes += source.found.mistakes
    config, mistakes = examine_config(desk.path, os.environ, Change(more=tuple(readers)))
    new: list[Device] = []
    if config is not None:
        places = {source.file: source.places for source in sources}
        new = [device for device in config.devices if config.device_places[device.id].file in places]
        lines = {
            id_: f"{at.file}: {places[at.file][at.number]}"
            for id_, at in config.device_places.items()
            if at.file in places
        }
        mistakes += tuple(_decoder_mistakes(desk, new, lines))
    if mistakes:
        what = "\n".join(map(str, mistakes))
        raise ConfigError(f"{what}\nnothing was added", fix=f"correct the {plural(len(mistakes), 'mistake')} first")
    return new


def _decoder_mistakes(desk: Desk, devices: Sequence[Device], lines: Mapping[str, str]) -> Iterator[Problem]:
    for mistake in mistakes_of(devices, desk.decoders, desk.loaded.faults):
        yield Problem(f"{lines[mistake.device]}: {mistake.problem.what}", mistake.problem.fix)


def _try(desk: Desk, devices: Sequence[Device]) -> None:
    """Print what the keys of new devices open of the frames that were kept."""
    opened = 0
    for device in devices:
        trial = desk.try_device(device)
        if problem := trial_problem(trial):
            say(f"tried     {problem.what}", fg="red")
            say(f"fix       {problem.fix}")
        elif trial.opened:
            opened += 1
            if opened <= MAX_SHOWN:
                say(f"tried     {device.id}: {opened_text(trial.opened[-1])}", fg="green")
    if opened > MAX_SHOWN:
        say(f"tried     {opened - MAX_SHOWN} more open the frames that were kept of them", fg="green")
