"""`lora-post decoders try`: which sensors payloads give, what is not sent, and why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.config_text import GATEWAY, LORAWAN
from tests.support.in_process import lora_post

CODEC = """
function decodeUplink(input) {
  if (input.fPort !== 2) return { errors: ["not a report"] };
  var b = input.bytes;
  return { data: { firmware: "1.2", temperature: b[0] / 10, humidity: b[1] + " %", adc_raw: b[2] }, warnings: [] };
}
function normalizeUplink(input) { return { data: { air: { temperature: input.data.temperature } } }; }
"""


@pytest.fixture
def codec(tmp_path: Path) -> Path:
    path = tmp_path / "acme-th.js"
    path.write_text(CODEC)
    return path


def rows(out: str) -> list[list[str]]:
    return [line.split() for line in out.splitlines() if line]


def test_sensors_and_what_is_not_sent_are_shown(codec: Path) -> None:
    ran = lora_post("decoders", "try", codec, "-", stdin=b"2 DC3205\n2 DD3206\n9 00\n")
    assert ran.code == 0
    assert rows(ran.out) == [
        ["air.temperature", "22,", "22.1", "°C", "AirTemperature", "2", "of", "3"],
        ["humidity", "50", "%", "RelativeHumidity", "2", "of", "3"],
        ["adc_raw", "5,", "6", "Other", "2", "of", "3"],
        ["not", "sent:"],
        ["firmware", "1.2", "metadata:", "about", "the", "device", "or", "the", "message"],
        ["temperature", "is", "air.temperature"],
        ["1", "×", "WrongFormat:", "not", "a", "report"],
    ]


def test_makers_examples_are_taken_and_those_beside_the_codec(codec: Path) -> None:
    cases = [{"input": {"bytes": [220, 50, 5], "fPort": 2}, "output": {"data": {"temperature": 22}}}]
    examples = codec.with_name("test_decode_acme-th.json")
    examples.write_text(json.dumps(cases))
    for given in ([examples], []):
        ran = lora_post("decoders", "try", codec, *given)
        assert rows(ran.out)[0] == ["air.temperature", "22", "°C", "AirTemperature", "1", "of", "1"]


def test_rules_of_a_device_are_applied_and_named(codec: Path, tmp_path: Path) -> None:
    site = tmp_path / "site.toml"
    site.write_text(GATEWAY + LORAWAN + 'id = "pond"\nonly = ["air.*", "adc*", "firmware"]\ndrop = ["*_raw"]\n')
    ran = lora_post("decoders", "try", codec, "-", "--device", "pond", "-c", site, stdin=b"2 DC3205\n")
    assert ran.code == 0, ran.err
    assert [row[0] for row in rows(ran.out)] == [
        *("air.temperature", "firmware", "not", "temperature", "humidity", "adc_raw"),
    ]
    assert "it is not in only" in ran.out
    assert "drop has '*_raw'" in ran.out


@pytest.mark.parametrize(
    ("arguments", "stdin", "complaint"),
    [
        (["-"], b"2 0\n", "line 1"),
        (["-"], b"x 00\n", "want an FPort"),
        (["-"], b"", "there is no payload to try"),
        ([], b"", "there is no payload to try"),
        (["-", "--device", "none"], b"2 00\n", "there is no device 'none'"),
        (["absent.txt"], b"", "No such file"),
    ],
)
def test_what_cannot_be_tried_is_named(codec: Path, arguments: list[str], stdin: bytes, complaint: str) -> None:
    ran = lora_post("decoders", "try", codec, *arguments, stdin=stdin)
    assert ran.code == 2
    assert complaint in ran.err
