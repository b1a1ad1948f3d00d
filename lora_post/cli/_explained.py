"""Print an explained frame or payload."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from lora_post.cli._output import print_table, say
from lora_post.decoding.tried import METADATA
from lora_post.errors import BadMIC, NoKey, UnknownDevice
from lora_post.explain.fields import Field, mac_fields
from lora_post.explain.frame import Explanation, Mic
from lora_post.model import Reading, Value
from lora_post.text import Spelling, as_text, escaped_json, plural
from lora_post.times import WallUs
from lora_post.uplink.join_state import Join
from lora_post.uplink.model import Refusal, Report
from lora_post.uplink.outcome_json import reading_json

INDENT = "  "
VERDICT_COLOURS = {Mic.OK: "green", Mic.BAD: "red", Mic.NOT_CHECKED: "yellow"}
UNNAMED = "the device"
"""The id of a device that is in no configuration."""
NO_FRAME: dict[str, object] = {"mic": None, "fields": []}
"""What `explanation_json` says of bytes that are not a frame."""
FIELD_HEADERS = ("Field", "On air", "Size", "Meaning")


def show_frame(found: Explanation, outcome: Report | Refusal | Join, place: str, *, hint_keys: bool) -> None:
    """Print everything about one frame. hint_keys: say that keys can be given by hand."""
    say(f"{place}{found.title}", bold=True)
    print_table(FIELD_HEADERS, list(_field_rows(found.fields)))
    if found.mic is not None:
        say(f"MIC       {_mic_text(found, outcome)}", fg=VERDICT_COLOURS[found.mic])
    if found.device is not None and found.device.id not in ("", UNNAMED):
        say(f"device    {found.device.id}, {found.device.name}")
    if isinstance(outcome, Refusal):
        if outcome.check != BadMIC.check:
            say(f"refused   {outcome.check}: {outcome.detail}")
        if outcome.fix:
            say(f"fix       {outcome.fix}")
    if hint_keys and found.is_join and found.mic is not Mic.OK:
        say("          the AppKey can also be given with --app-key")
    elif hint_keys and found.payload is None and _lacks_keys(outcome):
        say("          keys can also be given with --nwk-skey and --app-skey")
    if found.payload:
        _show_bytes(found.payload)
    if isinstance(outcome, Report):
        _show_report(outcome)
    if place:
        say("")


def _lacks_keys(outcome: Report | Refusal | Join) -> bool:
    return isinstance(outcome, Refusal) and outcome.check in (UnknownDevice.check, NoKey.check)


def show_payload(report: Report, place: str, spelling: Spelling) -> None:
    """Print everything about one clear payload."""
    uplink = report.uplink
    read_as = " (read as base64)" if spelling is Spelling.BASE64 else ""
    say(f"{place}payload of {plural(len(uplink.payload), 'byte')} on FPort {uplink.fport}{read_as}", bold=True)
    _show_bytes(uplink.payload)
    if uplink.fport == 0:
        print_table(FIELD_HEADERS, list(_field_rows(mac_fields(uplink.payload))))
    _show_report(report)
    if place:
        say("")


def _mic_text(found: Explanation, outcome: Report | Refusal | Join) -> str:
    expected = f"; expected {found.expected}" if found.expected else ""
    if isinstance(outcome, Refusal) and outcome.check == BadMIC.check:
        return f"BAD: {outcome.detail}{expected}"
    if found.mic is Mic.OK and found.device is not None:
        whose = found.device.id
        return "OK, with the keys given" if whose in ("", UNNAMED) else f"OK, with the keys of {whose}"
    return f"{found.mic}{expected}"


def explanation_json(found: Explanation) -> dict[str, object]:
    """Return the verdict on the MIC and the fields of a frame, for `--json`; null and nothing where there are none."""
    verdict = None if found.mic is None else {"verdict": str(found.mic), "expected": found.expected or None}
    return {"mic": verdict, "fields": [_field_json(field) for field in found.fields]}


def _field_json(field: Field) -> dict[str, object]:
    """Return a field. on_air: hex of its bytes, or its bits; null where the parts have them."""
    return {
        "name": field.name,
        "size": field.size,
        "on_air": field.raw or None,
        "meaning": field.meaning,
        "parts": [_field_json(part) for part in field.parts],
    }


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
    if report.metadata or report.left_out:
        about = [(reading.name, _value_text(reading.value), METADATA) for reading in report.metadata]
        print_table(("Not sent", "Value", "Why"), [*about, *((left.name, "", left.why) for left in report.left_out)])


def _data_text(data: object) -> str:
    """Return a codec's own result on one line."""
    try:
        return escaped_json(json.dumps(data, ensure_ascii=False, default=repr).encode("utf-8", "backslashreplace"))
    except (ValueError, RecursionError):
        return "(cannot be shown)"


def _reading_row(reading: Reading) -> tuple[str, ...]:
    row = reading_json(reading, WallUs(0))
    value = _value_text(row["value"])
    channel = "" if reading.channel is None else f"channel {reading.channel}"
    age = f"{reading.age_s:g} s before" if reading.age_s else ""
    if reading.at_s is not None:
        age = f"at {row['time']}"
    return row["sensor"], value, reading.unit, channel, row["quantity"], age


def _value_text(value: Value) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
