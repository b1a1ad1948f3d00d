"""Print an explained frame or payload."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from lora_post.cli._output import print_table, say
from lora_post.errors import BadMIC, NoKey, UnknownDevice
from lora_post.explain.fields import Field, mac_fields
from lora_post.explain.frame import Explanation, Mic
from lora_post.model import Reading
from lora_post.text import as_text, escaped_json
from lora_post.times import WallUs
from lora_post.uplink.join_state import Join
from lora_post.uplink.model import Refusal, Report
from lora_post.uplink.outcome_json import reading_json

INDENT = "  "
VERDICT_COLOURS = {Mic.OK: "green", Mic.BAD: "red", Mic.NOT_CHECKED: "yellow"}
FIELD_HEADERS = ("Field", "On air", "Size", "Meaning")


def show_frame(found: Explanation, outcome: Report | Refusal | Join, place: str, *, hint_keys: bool) -> None:
    """Print everything about one frame. hint_keys: say that keys can be given by hand."""
    say(f"{place}{found.title}", bold=True)
    print_table(FIELD_HEADERS, list(_field_rows(found.fields)))
    if found.mic is not None:
        say(f"MIC       {_mic_text(found, outcome)}", fg=VERDICT_COLOURS[found.mic])
    if found.device is not None and found.device.id:
        say(f"device    {found.device.id}, {found.device.name}")
    if isinstance(outcome, Refusal):
        if outcome.check != BadMIC.check:
            say(f"refused   {outcome.check}: {outcome.detail}")
        if outcome.fix:
            say(f"fix       {outcome.fix}")
        if hint_keys and outcome.check in (UnknownDevice.check, NoKey.check) and found.payload is None:
            say("          keys can also be given with --nwk-skey and --app-skey")
    if found.payload:
        _show_bytes(found.payload)
    if isinstance(outcome, Report):
        _show_report(outcome)
    if place:
        say("")


def show_payload(report: Report, place: str) -> None:
    """Print everything about one clear payload."""
    uplink = report.uplink
    say(f"{place}payload of {len(uplink.payload)} bytes on FPort {uplink.fport}", bold=True)
    _show_bytes(uplink.payload)
    if uplink.fport == 0:
        print_table(FIELD_HEADERS, list(_field_rows(mac_fields(uplink.payload))))
    _show_report(report)
    if place:
        say("")


def _mic_text(found: Explanation, outcome: Report | Refusal | Join) -> str:
    if isinstance(outcome, Refusal) and outcome.check == BadMIC.check:
        return f"BAD: {outcome.detail}"
    if found.mic is Mic.OK and found.device is not None:
        return f"OK, with the keys of {found.device.id}" if found.device.id else "OK, with the keys given"
    return str(found.mic)


def _field_rows(fields: Iterable[Field], depth: int = 0) -> Iterator[tuple[str, str, str, str]]:
    for field in fields:
        yield INDENT * depth + field.name, field.raw, field.size, field.meaning
        yield from _field_rows(field.parts, depth + 1)


def _show_bytes(payload: bytes) -> None:
    say(f"payload   {payload.hex() or '(empty)'}")
    if payload:
        say(f"as text   {as_text(payload)}")


def _show_report(report: Report) -> None:
    uplink = report.uplink
    decoder = uplink.device.decoder_for(uplink.fport)
    if decoder:
        say(f"decoder   {decoder}")
    if report.data is not None:
        say(f"data      {_data_text(report.data)}")
    for warning in report.warnings:
        say(f"warning   {warning}", fg="yellow")
    if report.problem:
        say(f"problem   {report.problem}", fg="red")
    if report.readings:
        headers = ("Sensor", "Value", "Unit", "Channel", "Quantity", "Age")
        print_table(headers, [_reading_row(reading) for reading in report.readings])


def _data_text(data: object) -> str:
    """Return a codec's own result on one line."""
    try:
        return escaped_json(json.dumps(data, ensure_ascii=False, default=repr).encode("utf-8", "backslashreplace"))
    except (ValueError, RecursionError):
        return "(cannot be shown)"


def _reading_row(reading: Reading) -> tuple[str, ...]:
    row = reading_json(reading, WallUs(0))
    value = row["value"] if isinstance(row["value"], str) else json.dumps(row["value"], ensure_ascii=False)
    channel = "" if reading.channel is None else f"channel {reading.channel}"
    age = f"{reading.age_s:g} s before" if reading.age_s else ""
    if reading.at_s is not None:
        age = f"at {row['time']}"
    return row["sensor"], value, reading.unit, channel, row["quantity"], age
