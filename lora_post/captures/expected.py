"""Compare captured frames with what is expected of them: NAME.<format>, NAME.expected.json.

The configuration is NAME.toml, or devices.toml of the same folder. Expected is what a dry run prints:
`{"uplinks": [one object for each frame that was heard, …]}`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC
from difflib import ndiff
from itertools import zip_longest
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from lora_post.clocks.scale import parse_utc
from lora_post.config import Config, load_config
from lora_post.decoding.choice import Decoding, decoder_names
from lora_post.errors import ConfigError
from lora_post.formats import FORMATS
from lora_post.metrics import Metrics
from lora_post.model import Decoder, Noise
from lora_post.run.pipeline import Pipeline
from lora_post.spool.ledger import MemoryLedger
from lora_post.uplink.outcome import Outcome
from lora_post.uplink.outcome_json import ReadingJson, outcome_json

DEVICES: Final = "devices.toml"
HEARD_US: Final = parse_utc("2026-03-01T12:00:00Z")
"""The time of frames whose capture tells none."""


class Expected(Struct):
    """The file of what is expected, as far as it is read here."""

    uplinks: list[dict[str, object]]


class CaptureResult(Struct, frozen=True):
    """The result of one capture for one decoder. frames: that it read. differences: in words."""

    capture: Path
    frames: int
    differences: tuple[str, ...]


def captures_in(folder: Path) -> list[Path]:
    """Return the captures of a folder that have expectations, sorted."""
    return sorted(path for path in folder.glob("*.*") if path.suffix[1:] in FORMATS and _expected_path(path).is_file())


def check_captures(folder: Path, decoders: Mapping[str, Decoder], name: str) -> Iterator[CaptureResult]:
    """Run the captures of a folder that have frames for this decoder. Raises ConfigError."""
    for capture in captures_in(folder):
        own = capture.with_suffix(".toml")
        config = load_config(own if own.is_file() else folder / DEVICES)
        if any(name in decoder_names(device) for device in config.devices):
            result = _check(capture, config, decoders, name)
            if result.frames:
                yield result


def _check(capture: Path, config: Config, decoders: Mapping[str, Decoder], name: str) -> CaptureResult:
    path = _expected_path(capture)
    try:
        expected = msgspec.json.decode(path.read_bytes(), type=Expected).uplinks
        data = capture.read_bytes()
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigError(f"{path}: {error}") from error
    got = _replayed(data, capture.suffix[1:], config, decoders)
    frames = 0
    lines: list[str] = []
    if len(got) != len(expected):
        lines.append(f"frames heard: {len(got)}, expected: {len(expected)}")
    nothing: dict[str, object] = {}
    for number, (found, wanted) in enumerate(zip_longest(got, expected, fillvalue=nothing), start=1):
        if name not in (found.get("decoder"), wanted.get("decoder")):
            continue
        frames += 1
        changes = [line for line in ndiff(_said(wanted), _said(found)) if line[0] in "-+"]
        if changes:
            frame = found or wanted
            fport = "" if frame.get("fport") is None else f", FPort {frame.get('fport')}"
            lines.append(f"frame {number}, {frame.get('device')}{fport}, payload {frame.get('payload')}")
            lines += [f"  {line}" for line in changes]
    return CaptureResult(capture, frames, tuple(lines))


def _replayed(
    data: bytes, input_format: str, config: Config, decoders: Mapping[str, Decoder]
) -> list[dict[str, object]]:
    """Return what a dry run prints."""
    outcomes: list[Outcome] = []
    decoding = Decoding(config.devices, decoders)
    pipeline = Pipeline(MemoryLedger(config.devices), decoding, Metrics(), outcomes.append)
    parser = FORMATS[input_format](config.gateway_id, UTC)
    pipeline.handle([*parser.feed(data, HEARD_US), *parser.finish(HEARD_US)])
    found = [outcome_json(outcome) for outcome in outcomes if not isinstance(outcome, Noise)]
    return [msgspec.to_builtins(uplink) for uplink in found]


def _said(uplink: Mapping[str, object]) -> list[str]:
    """Return what a decoder said of a frame, line by line."""
    readings, warnings = uplink.get("readings"), uplink.get("warnings")
    lines = [_reading_line(reading) for reading in readings] if isinstance(readings, list) else []
    return lines + [f"warning: {warning}" for warning in warnings] if isinstance(warnings, list) else lines


def _reading_line(reading: ReadingJson) -> str:
    value = msgspec.json.encode(reading.get("value")).decode()
    channel = "" if reading.get("channel") is None else f", channel {reading.get('channel')}"
    of = f"{reading.get('quantity')}, {reading.get('time')}{channel}"
    return f"{reading.get('sensor')} = {value} {reading.get('unit') or ''}".rstrip() + f" ({of})"


def _expected_path(capture: Path) -> Path:
    return capture.with_name(f"{capture.stem}.expected.json")
