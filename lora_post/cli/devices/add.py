"""`lora-post devices add`"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from msgspec.structs import replace

from lora_post.cli._options import config_option
from lora_post.cli._output import say
from lora_post.cli.devices._desk import Desk, open_desk, say_behind_server, say_trial
from lora_post.cli.devices.list_ import print_strangers
from lora_post.config import Change, Config, examine_config
from lora_post.config.device_file import append_devices, editing, file_for_devices
from lora_post.config.keys import KEY_NAMES, ROOT, SESSION_10, SESSION_11
from lora_post.decoding.choice import unknown_decoder
from lora_post.errors import ConfigError, Problem
from lora_post.explain.trial import decoders_for, readings_text
from lora_post.lowcost import header as lowcost
from lora_post.migrate.qr_code import is_qr_code, read_qr_code
from lora_post.model import Device
from lora_post.text import bare_hex, plural
from lora_post.toml_table import TableReader

MAX_OFFERED = 5
HEX_DIGITS = {"dev_addr": 8, "dev_eui": 16, "join_eui": 16}
KEY_DIGITS = 32
LABELS = {
    "nwk_skey": "NwkSKey",
    "app_skey": "AppSKey",
    "f_nwk_s_int_key": "FNwkSIntKey",
    "s_nwk_s_int_key": "SNwkSIntKey",
    "nwk_s_enc_key": "NwkSEncKey",
    "join_eui": "JoinEUI (AppEUI)",
    "app_key": "AppKey",
    "nwk_key": "NwkKey",
    "lsc_key": "LSC key",
}


def option_of(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def variable_of(name: str) -> str:
    return f"LORA_POST_{name.upper()}"


def key_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option for each key; from a variable, a key stays out of the shell's history."""
    for name in reversed(KEY_NAMES):
        option = click.option(option_of(name), envvar=variable_of(name), metavar="HEX", help=LABELS[name])
        command = option(command)
    return command


@click.command(name="add")
@click.argument("address", required=False)
@key_options
@click.option("--join-eui", metavar="HEX", help="JoinEUI, of a device that joins; older name: AppEUI.")
@click.option("--dev-eui", metavar="HEX", help="DevEUI, beside a DevAddr.")
@click.option("--decoder", help="One of `lora-post decoders`.")
@click.option("--id", "id_", metavar="ID", help="Its id on Waziup. Default: the gateway's id, -, and its address.")
@click.option("--name", help="What people call it. Default: the id.")
@click.option("--fcnt", type=click.Choice(["strict", "16bit", "restarts", "unchecked"]), help="Default: strict.")
@click.option("--anyway", is_flag=True, help="Add it although frames that were kept of it make no sense.")
@config_option
@click.pass_obj
def command(
    group_path: Path | None,
    /,
    address: str | None,
    join_eui: str | None,
    dev_eui: str | None,
    decoder: str | None,
    id_: str | None,
    name: str | None,
    fcnt: str | None,
    anyway: bool,
    config_path: Path | None,
    **keys: str | None,
) -> None:
    """Add one device to devices.toml, once its keys were tried.

    ADDRESS is a DevAddr (8 hex digits), a DevEUI (16), an address of LowCostLoRaGw (2 to 255), or the text of a QR
    code (LoRa Alliance TR005). In a terminal, what is missing is asked for; without ADDRESS, choose among those that
    were heard. Keys can also be given by variables, LORA_POST_APP_SKEY and so on.

    \b
        lora-post devices add
        lora-post devices add 26011bda --decoder cayenne-lpp --id pond-7
        lora-post devices add LW:D0:70B3D57ED0019A7C:008B1A90C8D4A8B2:00AA00BB
    """
    desk = open_desk(config_path or group_path)
    asks = sys.stdin.isatty()
    given = {**keys, "join_eui": join_eui, "dev_eui": dev_eui, "fcnt": fcnt}
    given["decoder"] = decoder and (desk.decoder_like(decoder) or decoder)
    given["id"] = id_
    table: dict[str, object] = address_fields(address or _ask_address(desk, asks))
    table |= {key: bare_hex(text) if digits_of(key) else text for key, text in given.items() if text}
    complete_keys(desk, table, asks)
    if not asks:
        require_keys(table)
    device = device_of(desk, table)
    is_well = say_trial(desk.try_device(device))
    if not is_well and not anyway and not (asks and click.confirm("Add it anyway?")):
        raise ConfigError("the frames that were kept of it make no sense with this", fix="correct it, or add --anyway")
    if not device.decoder and not device.decoder_by_fport:
        table["decoder"] = _ask_decoder(desk, device, asks)
        device = device_of(desk, table)
        say_trial(desk.try_device(device))
    desk.check_decoders([device])
    table = with_names(desk.config.gateway_id, device, table, id_, name, asks)
    with editing(desk.path):
        written = append_devices(desk.path, [table], os.environ)
    say(f"added     {table.get('id') or device.id} to {written}")
    if not asks:
        say_behind_server([device], "remove it and give --join-eui and --app-key")


def address_fields(text: str) -> dict[str, object]:
    """Return the fields of [[device]] that an address, an EUI or a QR code gives. Raises ConfigError."""
    if is_qr_code(text):
        return dict(read_qr_code(text))
    if re.fullmatch(r"[0-9]{1,3}", text.strip(), re.ASCII):
        return {"address": int(text)}
    digits = bare_hex(text)
    for name, size in (("dev_addr", 8), ("dev_eui", 16)):
        if re.fullmatch(rf"[0-9a-f]{{{size}}}", digits):
            return {name: digits}
    raise ConfigError(
        f"address {text!r}", fix="give DevAddr (8 hex digits), DevEUI (16), 2 to 255, or the text of a QR code"
    )


def _ask_address(desk: Desk, asks: bool) -> str:
    known = {device.address_text for device in desk.config.devices}
    others = [each for each in desk.strangers if each.sender not in known]
    if not asks:
        raise ConfigError("no address is given", fix="`lora-post devices` shows who was heard")
    if others:
        print_strangers(others, title="Heard, and not a device:")
    default = others[0].sender if others else None
    return str(click.prompt("DevAddr, DevEUI, address or QR code", default=default, value_proc=_valid_address))


def _valid_address(text: str) -> str:
    try:
        address_fields(text)
    except ConfigError as error:
        raise click.BadParameter(str(error)) from None
    return text


def require_keys(table: dict[str, object]) -> None:
    """Raise ConfigError that names the options of the keys that a device lacks."""
    if "dev_addr" in table and "app_key" not in table:
        names: Sequence[str] = SESSION_11 if any(key in table for key in SESSION_11[:-1]) else SESSION_10
    else:
        names = ["app_key"] if "join_eui" in table and "dev_addr" not in table else []
    if missing := [name for name in names if name not in table]:
        options = " and ".join(option_of(name) for name in missing)
        variables = " and ".join(map(variable_of, missing))
        raise ConfigError(f"{' and '.join(missing)} missing", fix=f"give {options}, or set {variables}")


def complete_keys(desk: Desk, table: dict[str, object], asks: bool) -> None:
    """Ask for the keys that are missing; without a terminal, the check of the table tells."""
    if "app_key" in table or ("dev_eui" in table and "dev_addr" not in table):
        heard = desk.join_eui_of(str(table.get("dev_eui", "")))
        if asks and "app_key" not in table:
            app_key = ask_hex("app_key", default="")
            table |= {"app_key": app_key} if app_key else {}
        if "app_key" in table and "join_eui" not in table and (heard or asks):
            table["join_eui"] = ask_hex("join_eui", default=heard or None) if asks else heard
        return
    if not asks:
        return
    if "dev_addr" in table:
        _ask_keys(table, SESSION_11 if any(key in table for key in SESSION_11[:-1]) else SESSION_10)
    elif _is_encrypted(desk, str(table["address"])) and not {"lsc_key", *SESSION_10} & table.keys():
        _ask_keys(table, SESSION_10)


def _ask_keys(table: dict[str, object], names: Sequence[str]) -> None:
    for name in names:
        if name not in table:
            table[name] = ask_hex(name)


def ask_hex(name: str, default: str | None = None) -> str:
    """Ask for a key, which is not shown, or an EUI; returns its digits."""
    hint = ", empty where a network server decrypts its frames" if name == ROOT[0] else ""
    hint = f" (32 hex digits, not shown as you type or paste{hint})" if name in KEY_NAMES else ""
    return str(
        click.prompt(
            LABELS[name] + hint,
            default=default,
            show_default=bool(default),
            hide_input=name in KEY_NAMES,
            value_proc=lambda text: _valid_hex(name, text, default),
        )
    )


def _valid_hex(name: str, text: str, default: str | None) -> str:
    digits, size = bare_hex(text), digits_of(name)
    if re.fullmatch(rf"[0-9a-f]{{{size}}}", digits) or (default is not None and text == default):
        return digits
    raise click.BadParameter(f"{plural(len(digits), 'character')}, it must be {size} hex digits")


def digits_of(name: str) -> int:
    return KEY_DIGITS if name in KEY_NAMES else HEX_DIGITS.get(name, 0)


def _is_encrypted(desk: Desk, sender: str) -> bool:
    """Tell whether a sender with the four-byte header was heard, and said that it encrypts."""
    frames = [each.last.phy_payload for each in desk.strangers if each.sender == sender]
    return any(len(each) > 1 and each[1] & lowcost.ENCRYPTED for each in frames)


def device_of(desk: Desk, table: dict[str, object]) -> Device:
    """Return the device of a table, without decoder when none is named. Raises ConfigError."""
    unnamed = {"decoder": "?"} if "decoder" not in table and not _has_rule(desk, table) else {}
    config, mistakes = _examine(desk, table | unnamed)
    if config is None or mistakes:
        raise ConfigError("\n".join(map(str, mistakes)))
    device = config.devices[-1]
    return replace(device, decoder="") if unnamed else device


def _has_rule(desk: Desk, table: dict[str, object]) -> bool:
    _, mistakes = _examine(desk, table)
    return not any("decoder is missing" in mistake.what for mistake in mistakes)


def _examine(desk: Desk, table: dict[str, object]) -> tuple[Config | None, tuple[Problem, ...]]:
    """Return the configuration as it would be with one more device, and its mistakes."""
    more = TableReader({"device": [table]}, file_for_devices(desk.path), os.environ, ["new device"])
    return examine_config(desk.path, os.environ, Change(more=(more,)))


def _ask_decoder(desk: Desk, device: Device, asks: bool) -> str:
    fitting = dict(decoders_for(desk.try_device(device), desk.decoders))
    shown = [f"{name}: {readings_text(readings)}" for name, readings in list(fitting.items())[:MAX_OFFERED]]
    if not asks:
        fits = f"; these read its payload: {', '.join(fitting)}" if fitting else ""
        raise ConfigError(f"no decoder is given{fits}", fix="add --decoder, see `lora-post decoders`")
    for line in shown:
        say(f"reads     {line}")
    default = next(iter(fitting), None)
    return str(click.prompt("Decoder", default=default, value_proc=lambda text: _valid_decoder(desk, text)))


def _valid_decoder(desk: Desk, text: str) -> str:
    if found := desk.decoder_like(text):
        return found
    raise click.BadParameter(str(unknown_decoder(text, desk.decoders, desk.loaded.faults)))


def with_names(
    gateway: str, device: Device, table: dict[str, object], id_: str | None, name: str | None, asks: bool
) -> dict[str, object]:
    """Return the table with id and name in front, as far as they are not the default."""
    id_ = id_ or (click.prompt("Id on Waziup", default=device.id) if asks else device.id)
    name = name or (click.prompt("Name", default=id_) if asks else id_)
    default = f"{gateway}-{device.address_text}"
    names = {"id": id_ if id_ != default else "", "name": name if name != id_ else ""}
    return {key: text for key, text in names.items() if text} | {k: v for k, v in table.items() if k != "id"}
