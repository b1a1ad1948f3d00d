"""Units that a maker publishes beside a codec."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lora_post.decoding.javascript.codec import load_js_codec
from lora_post.decoding.javascript.maker_units import units_beside
from lora_post.model import Decoded

CODEC = (
    "function decodeUplink(input) { return { data: { battery: 92, history: [{ timestamp: 1715762334, level: 7 }] } }; }"
)


@pytest.fixture
def codec(tmp_path: Path) -> Path:
    path = tmp_path / "acme-decoder.js"
    path.write_text(CODEC)
    return path


def test_units_of_the_maker_are_those_of_the_readings(codec: Path) -> None:
    values = [
        {"id": "battery", "unit": "%"},
        {"id": "history._item.level", "unit": "cm"},
        {"id": "x", "unit": "cubits"},
    ]
    codec.with_name("acme-codec.json").write_text(json.dumps({"version": "1.0", "object": values}))
    found = load_js_codec(codec).decode(b"\0", 85)
    assert isinstance(found, Decoded)
    assert [(reading.name, reading.unit) for reading in found.readings] == [("battery", "%"), ("level", "cm")]


def test_value_with_two_units_has_none(codec: Path) -> None:
    values = [{"id": "t", "unit": "°C"}, {"id": "t", "unit": "°F"}, {"id": "u", "unit": "V"}, {"id": "u", "unit": "V"}]
    codec.with_name("acme-codec.json").write_text(json.dumps({"object": values}))
    assert units_beside(codec) == {"u": "V"}


@pytest.mark.parametrize("text", ["", "[]", "{", '{"object": 5}', '{"object": [{"id": 7}]}', "[" * 100_000])
def test_file_that_says_nothing_costs_nothing(codec: Path, text: str) -> None:
    codec.with_name("acme-codec.json").write_text(text)
    assert units_beside(codec) == {}
    assert units_beside(codec.with_name("other.js")) == {}
