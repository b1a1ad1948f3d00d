"""`lora-post downlink send`"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from shlex import quote

import click
from msgspec import Struct

from lora_post.cli._options import config_option, load_all_decoders, watch_decoders
from lora_post.cli._output import say
from lora_post.cli._spool import opened
from lora_post.cli.downlink._desk import device_with, now
from lora_post.command import NO_PORT, Command
from lora_post.config import Config
from lora_post.config.fleet import FleetConfig, Role
from lora_post.decoding.encode import TEXT, encode
from lora_post.decoding.time_limit import Overrun
from lora_post.downlink.reach import payload_fit, unreachable
from lora_post.errors import ConfigError, DecodeError, FrameError
from lora_post.lorawan.downlinks import FPORTS
from lora_post.model import Device, Encoded, Link
from lora_post.spool import downlinks
from lora_post.spool.joins import load_joins
from lora_post.spool.spool_file import SpoolFile
from lora_post.text import Spelling, parse_bytes, parse_duration, plural
from lora_post.uplink.join_state import JoinState
from lora_post.uplink.sessions import join_key


class _Given(Struct, frozen=True):
    """What is to be sent. values: those that it was encoded from."""

    fport: int
    payload: bytes
    values: object = None


@click.command(name="send")
@click.argument("device", metavar="DEVICE")
@click.option("--port", "fport", type=int, help="FPort, 1 to 223. Not needed with --data where the encoder knows it.")
@click.option("--payload", metavar="HEX", help="The bytes to send.")
@click.option("--data", metavar="JSON", help="Values, which the encoder of the device's decoder makes bytes of.")
@click.option("--confirmed", is_flag=True, help="Have the device acknowledge it; it is repeated at most 8 times.")
@click.option("--expires", metavar="TIME", default="24h", show_default=True, help="Do not send it later: 10m, 12h, 2d.")
@config_option
@click.pass_obj
def command(
    group_path: Path | None,
    device: str,
    fport: int | None,
    payload: str | None,
    data: str | None,
    confirmed: bool,
    expires: str,
    config_path: Path | None,
) -> None:
    """Queue something for a device; `lora-post run` sends it as soon as the device can hear it.

    A device of class A hears it after its next uplink, so that may take as long as it sleeps. One with LowCostLoRaGw's
    header does if it was built with WITH_RCVW.

    \b
        lora-post downlink send pond-7 --port 10 --payload 01ff
        lora-post downlink send pond-7 --port 10 --payload 01ff --confirmed --expires 30m
        lora-post downlink send irrigation-1 --data '{"switch_0": true}' --expires 10m
        lora-post downlink send buzzer --data '"BUZZ"' --port 1

    --data needs a decoder that can encode: a JavaScript codec with encodeDownlink, Encode or Encoder, xlpp,
    cayenne-lpp, text, utf8, or a Python decoder with `encode`.
    """
    life_s = _life_s(expires)
    with opened(config_path or group_path) as (config, spool_file):
        of = device_with(config, device)
        _check_reach(config, spool_file, of)
        if confirmed and of.link is Link.LOWCOST:
            raise ConfigError(
                f"--confirmed: {of.id} has LowCostLoRaGw's header, it acknowledges nothing", fix="leave it out"
            )
        given = _given(config, of, fport, payload, data)
        network = None if of.link is Link.SERVER else config.network
        fit = payload_fit(network.region, len(given.payload)) if network else ""
        item = Command(
            of.id,
            given.fport,
            given.payload,
            now(),
            is_confirmed=confirmed,
            life_s=life_s,
            value=given.values,
        )
        with spool_file.transaction() as db:
            item = downlinks.add(db, item, now())
    kind = " confirmed," if confirmed else ""
    say(f"downlink {item.id}: {plural(len(item.payload), 'byte')} for {of.id} on FPort {item.fport},{kind} queued")
    if fit:
        say(f"note      {fit}")
    option = f" -c {quote(str(config_path or group_path))}" if config_path or group_path else ""
    say(f"see       lora-post downlink show {item.id}{option}")


def _life_s(text: str) -> float:
    life_s = parse_duration(f"{text}in" if text.endswith("m") else text)
    if not life_s:
        raise ConfigError(f"--expires {text!r} is not a length of time", fix="write 10m, 12h or 2d")
    return life_s


def _check_reach(config: Config, spool_file: SpoolFile, device: Device) -> None:
    if config.network is None and device.link is not Link.SERVER:
        raise ConfigError(
            f"{config.path}: there is no [network], so nothing is sent to devices",
            fix='add [network] with region = "EU868", and restart `lora-post run`',
        )
    with spool_file.transaction() as db:
        if config.fleet:
            state = _known_in_fleet(config, config.fleet, db, device)
        else:
            state = load_joins(db).get(join_key(device), JoinState()) if device.root else JoinState()
    problem = unreachable(device, state, through_server=config.gives_to_servers)
    if problem:
        raise ConfigError(problem.what, fix=problem.fix)


def _known_in_fleet(config: Config, fleet: FleetConfig, db: sqlite3.Connection, device: Device) -> JoinState:
    if Role.HOME in fleet.roles:
        from lora_post.fleet.home.book import joins_at_home

        return joins_at_home(config.spool_path, device)
    if Role.UPLOADER not in fleet.roles:
        raise ConfigError("only the uploader of a fleet takes commands", fix="give it on the machine that uploads")
    from lora_post.fleet.log.place import known_joins

    return known_joins(db, device)


def _given(config: Config, device: Device, fport: int | None, payload: str | None, data: str | None) -> _Given:
    if fport is not None and fport not in FPORTS:
        raise ConfigError(f"--port {fport}: FPorts of applications are 1 to 223", fix="see the device's manual")
    if (payload is None) == (data is None):
        raise ConfigError("give either --payload HEX or --data JSON", fix="see `lora-post downlink send --help`")
    if data is not None:
        return _encoded(config, device, fport, data)
    raw = _bytes(payload or "")
    if fport is None and device.link is Link.LOWCOST:
        fport = NO_PORT
    if fport is None:
        raise ConfigError("--port is missing", fix="see the device's manual for the FPort, and add --port N")
    return _Given(fport, raw)


def _bytes(text: str) -> bytes:
    if not text:
        return b""
    try:
        spelled = parse_bytes(text)
    except FrameError as error:
        raise ConfigError(f"--payload: {error.what}", fix="write the bytes as hex, as 01ff") from None
    if spelled.spelling is not Spelling.HEX:
        raise ConfigError("--payload is base64", fix=f"write the bytes as hex: {spelled.data.hex()}")
    return spelled.data


def _encoded(config: Config, device: Device, fport: int | None, data: str) -> _Given:
    try:
        values = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"--data is not JSON: {error}", fix="""write --data '{"name": value}', in single quotes"""
        ) from None
    if isinstance(values, str):
        values = {TEXT: values}
    if not isinstance(values, dict):
        raise ConfigError("--data must be an object or a text", fix="""write --data '{"name": value}'""")
    try:
        made: Encoded = watch_decoders().call(
            lambda loaded: encode(device, loaded, values, fport), load_all_decoders(config).decoders
        )
    except DecodeError as error:
        raise ConfigError(f"--data: {error.what}", fix=error.fix) from None
    except Overrun:
        raise ConfigError("--data: the encoder gives no result", fix="give the bytes with --payload") from None
    for warning in made.warnings:
        say(f"note      {warning}", fg="yellow")
    port = fport if fport is not None else made.fport
    if port is None and device.link is Link.LOWCOST:
        port = NO_PORT
    if port is None:
        raise ConfigError("--port is missing: the encoder does not say the FPort", fix="add --port N")
    return _Given(port, made.payload, values)
