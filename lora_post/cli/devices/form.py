"""`lora-post devices form`: answer the form of the status page, which runs it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click
import msgspec

from lora_post.cli.devices._desk import Desk, open_desk, trial_problem
from lora_post.cli.devices.add import address_fields, complete_keys, device_of, digits_of, with_names
from lora_post.config.device_file import append_devices, device_text, editing
from lora_post.errors import ConfigError, Problem
from lora_post.explain.trial import decoders_for, opened_text, readings_text
from lora_post.status.form import MAX_BYTES, FormAnswer, FormRequest, Reads
from lora_post.text import bare_hex

MAX_OFFERED = 5


@click.command(name="form", hidden=True)
@click.pass_obj
def command(config_path: Path | None) -> None:
    """Read a device as JSON from stdin, try or add it, and print what came of it as JSON."""
    request = msgspec.json.decode(sys.stdin.buffer.read(MAX_BYTES), type=FormRequest)
    try:
        answer = _answer(open_desk(config_path), request)
    except ConfigError as error:
        problems = [error.problem] if error.fix else [Problem(line) for line in error.what.splitlines()]
        answer = FormAnswer(problems)
    click.echo(msgspec.json.encode(answer))


def _answer(desk: Desk, request: FormRequest) -> FormAnswer:
    """Return what came of it. Raises ConfigError for what cannot be a device."""
    table = address_fields(request.address)
    given = {key: text.strip() for key, text in request.fields.items() if text.strip()}
    name = given.pop("name", None)
    table |= {key: bare_hex(text) if digits_of(key) else text for key, text in given.items()}
    if "decoder" in given:
        table["decoder"] = desk.decoder_like(given["decoder"]) or given["decoder"]
    complete_keys(desk, table, asks=False)
    device = device_of(desk, table)
    trial = desk.try_device(device)
    has_decoder = bool(device.decoder or device.decoder_by_fport)
    if has_decoder:
        desk.check_decoders([device])
    fitting = () if has_decoder else decoders_for(trial, desk.decoders)
    reads = [Reads(decoder, readings_text(readings)) for decoder, readings in fitting][:MAX_OFFERED]
    table = with_names(desk.config.gateway_id, device, table, given.get("id"), name, asks=False)
    answer = FormAnswer(
        opened=[opened_text(each) for each in trial.opened],
        problem=trial_problem(trial),
        reads=reads,
        toml=device_text(table).strip(),
        id=str(table.get("id") or device.id),
    )
    return _saved(desk, table, answer) if request.save and has_decoder else answer


def _saved(desk: Desk, table: dict[str, object], answer: FormAnswer) -> FormAnswer:
    try:
        with editing(desk.path):
            written = append_devices(desk.path, [table], os.environ)
    except ConfigError as error:
        return msgspec.structs.replace(answer, mistakes=[error.problem])
    return msgspec.structs.replace(answer, written=str(written))
