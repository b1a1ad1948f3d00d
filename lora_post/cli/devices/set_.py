"""`lora-post devices set`"""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from shlex import quote

import click

from lora_post.cli._options import config_option
from lora_post.cli._output import say
from lora_post.cli.devices._desk import Desk, open_desk, say_trial
from lora_post.cli.devices.add import ask_hex, digits_of
from lora_post.config import Change, examine_config
from lora_post.config.device_file import editing, with_values, write
from lora_post.config.device_tables import DeviceTable
from lora_post.config.keys import KEY_NAMES
from lora_post.config.not_toml import toml_text
from lora_post.errors import ConfigError
from lora_post.text import bare_hex, did_you_mean

_TEXTS = {name for name, kind in DeviceTable.__annotations__.items() if kind == "str" or "Literal" in str(kind)}
_LISTS = {name for name, kind in DeviceTable.__annotations__.items() if str(kind).startswith("list")}
_TRIED = {*KEY_NAMES, "address", "dev_addr", "dev_eui", "join_eui", "decoder", "decoder_by_fport", "options"}
"""With another one, frames that were kept are read otherwise."""


@click.command(name="set")
@click.argument("name", metavar="ID")
@click.argument("changes", metavar="KEY=VALUE…", nargs=-1, required=True)
@click.option("--anyway", is_flag=True, help="Change it although frames that were kept of it make no sense then.")
@config_option
@click.pass_obj
def command(
    group_path: Path | None, name: str, changes: tuple[str, ...], anyway: bool, config_path: Path | None
) -> None:
    """Change a device where it stands, once its keys were tried; comments and other lines stay.

    `KEY=` takes a key out. A secret without `=` is asked for, so that it stays out of the shell's history. All
    keys of [[device]] go: docs/configuration.md lists them.

    \b
        lora-post devices set pond-7 decoder=dragino-lht65 name=Lake
        lora-post devices set pond-7 app_skey
        lora-post devices set pond-7 drop=battery_voltage,rssi location=48.1,11.5
        lora-post devices set pond-7 decoder=
    """
    path = open_desk(config_path or group_path).path
    with editing(path):
        desk = open_desk(path)
        desk.device(name)
        place = desk.config.device_places[name]
        values = dict(_read(change) for change in changes)
        text = with_values(toml_text(place.file.read_bytes()), place.number, values)
        changed = _with_change(desk, place.file, text)
        device = next(each for each in changed.config.devices if changed.config.device_places[each.id] == place)
        changed.check_decoders([device])
        is_well = say_trial(changed.try_device(device)) if values.keys() & _TRIED else True
        if not is_well and not anyway and not _confirmed():
            raise ConfigError("frames that were kept of it make no sense with this", fix="correct it, or add --anyway")
        write(path, place.file, text, os.environ)
    say(f"changed   {device.id} in {place.file}: {', '.join(values)}")
    if device.id != name:
        say(f"note      what waits goes out as {name}, unless: lora-post spool move {quote(name)} {quote(device.id)}")


def _confirmed() -> bool:
    return sys.stdin.isatty() and click.confirm("Change it anyway?")


def _with_change(desk: Desk, file: Path, text: str) -> Desk:
    """Return the desk as it would be. Raises ConfigError."""
    config, mistakes = examine_config(desk.path, os.environ, Change({file: text}))
    if config is None or mistakes:
        raise ConfigError("\n".join(map(str, mistakes)))
    return Desk(desk.path, config)


def _read(change: str) -> tuple[str, object]:
    """Return key and value of a change; "" takes the key out. Raises ConfigError."""
    key, equals, text = change.partition("=")
    key = key.strip()
    if key not in DeviceTable.__struct_fields__ or key == "sensor":
        raise ConfigError(f"[[device]] has no key {key!r}", fix=did_you_mean(key, DeviceTable.__struct_fields__))
    if not equals:
        if not digits_of(key):
            raise ConfigError(f"{key} has no value", fix=f"write {key}=VALUE")
        return key, ask_hex(key)
    return key, _value(key, text.strip())


def _value(key: str, text: str) -> object:
    if digits_of(key):
        return bare_hex(text)
    if key in _TEXTS or not text:
        return text
    if key in _LISTS and not text.startswith("["):
        parts: Sequence[str] = [part.strip() for part in text.split(",")]
        return [_toml_value(part) if key == "location" else part for part in parts]
    return _toml_value(text)


def _toml_value(text: str) -> object:
    try:
        return tomllib.loads(f"x = {text}")["x"]
    except tomllib.TOMLDecodeError:
        return text
