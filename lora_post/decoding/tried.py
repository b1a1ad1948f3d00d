"""What payloads give with a decoder, sensor by sensor: what a person needs to set rules."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from msgspec import Struct

from lora_post.model import Reading, Value
from lora_post.uplink.model import Report
from lora_post.waziup.kinds import describe
from lora_post.waziup.names import to_id

MAX_VALUES = 3  # different ones that are shown
MAX_TEXT = 40
METADATA = "metadata: about the device or the message"


class TriedSensor(Struct):
    """A sensor as some payloads give it. values: the first different ones. payloads: that have it."""

    id: str
    unit: str
    quantity: str
    values: list[str]
    payloads: int


class NotSent(Struct):
    """What is not a sensor. values: the first different ones. why: the reason."""

    name: str
    values: list[str]
    why: str


class Tried(Struct):
    """What payloads give. said: problems and warnings, each once, with the number of payloads in front."""

    sensors: list[TriedSensor]
    not_sent: list[NotSent]
    said: list[str]


def summary(reports: Sequence[Report]) -> Tried:
    """Return what these payloads of one device type give."""
    sensors: dict[str, TriedSensor] = {}
    not_sent: dict[tuple[str, str], NotSent] = {}
    said: dict[str, int] = {}
    for report in reports:
        for name in {to_id(reading.name) for reading in report.readings}:
            if name in sensors:
                sensors[name].payloads += 1
        for reading in report.readings:
            _note(sensors.setdefault(to_id(reading.name), _sensor(reading)).values, reading.value)
        for kept in report.metadata:
            row = not_sent.setdefault((kept.name, METADATA), NotSent(kept.name, [], METADATA))
            _note(row.values, kept.value)
        for left in report.left_out:
            not_sent.setdefault((left.name, left.why), NotSent(left.name, [], left.why))
        for text in _said(report):
            said[text] = said.get(text, 0) + 1
    return Tried(list(sensors.values()), list(not_sent.values()), [f"{count} × {text}" for text, count in said.items()])


def _sensor(reading: Reading) -> TriedSensor:
    quantity = describe(reading.name, reading.unit, reading.quantity, reading.channel).quantity
    return TriedSensor(to_id(reading.name), reading.unit, quantity, [], 1)


def _note(values: list[str], value: Value) -> None:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    short = text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"
    if short not in values and len(values) <= MAX_VALUES:
        values.append(short if len(values) < MAX_VALUES else "…")


def _said(report: Report) -> Iterable[str]:
    return (*report.warnings, *([report.problem] if report.problem else []))
