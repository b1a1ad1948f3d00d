"""Examples as makers publish them beside their codecs."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from lora_post.decoding.javascript.published import published_examples
from lora_post.decoding.javascript.yaml12 import load_yaml
from lora_post.decoding.loading import load_decoder
from lora_post.errors import DecoderCrash
from tests.support.in_process import lora_post

CODEC = """
function decodeUplink(input) {
  if (input.fPort !== 5) return { errors: ["unexpected FPort"] };
  var factor = Number(input.variables.factor || 1);
  return { data: { level: input.bytes[0] * factor, valve: input.bytes[1] ? "On" : "Off", at: input.recvTime } };
}
"""
STACK = """
uplinkDecoder:
  fileName: acme-v1.js
  examples:
    - description: open
      input: { fPort: 5, bytes: [0x1E, 1], recvTime: 2024-05-01T12:00:00Z }
      output: { data: { level: 30.0000001, valve: On, at: 2024-05-01T12:00:00Z } }
    - description: closed
      input: { fPort: 5, bytes: [30, 0], recvTime: "2024-05-01T12:00:00.000Z" }
      output: { data: { level: 30, valve: Off, at: "2024-05-01T12:00:00.000Z" } }
    - description: refused
      input: { fPort: 6, bytes: [30, 0] }
      output: { errors: [unexpected FPort] }
downlinkEncoder:
  fileName: acme-v1.js
"""
CHIRPSTACK = """[
  {"name": "doubled", "input": {"fPort": 0x05, "bytes": [30, 1], "variables": {"factor": "2"},
   "recvTime": "2024-05-01T12:00:00Z"},
   "expected": {"data": {"level": 60, "valve": "On", "at": "2024-05-01T12:00:00.000Z"}}},
]"""


@pytest.fixture
def codec(tmp_path: Path) -> Path:
    path = tmp_path / "acme" / "acme-v1.js"
    path.parent.mkdir()
    path.write_text(CODEC)
    return path


def test_the_device_repositorys_and_chirpstacks_examples_are_run(codec: Path) -> None:
    codec.with_name("acme-v1-codec.yaml").write_text(STACK)
    codec.with_name("other-codec.yaml").write_text(STACK.replace("acme-v1.js", "other.js"))
    (codec.parent.parent / "more-codec.yaml").write_text(STACK.replace("acme-v1.js", "acme/acme-v1.js"))
    codec.with_name("test_decode_acme-v1.json").write_text(CHIRPSTACK)
    ran = lora_post("decoders", "test", codec)
    assert (ran.code, ran.out) == (0, "ok    acme-v1: 7 examples\n")


def test_what_differs_is_told_by_its_place(codec: Path) -> None:
    codec.with_name("acme-v1-codec.yaml").write_text(STACK.replace("valve: On", "valve: true, lid: shut"))
    ran = lora_post("decoders", "test", codec)
    assert ran.code == 1
    assert ran.out.splitlines() == [
        f"FAIL  acme-v1: 1 of 3 examples ({codec})",
        "  example 1: payload 1e01, FPort 5",
        '    valve: expected true, got "On"',
        '    lid: expected "shut", got nothing',
    ]


@pytest.mark.parametrize(
    "text",
    ["uplinkDecoder: [", "uplinkDecoder: 5", STACK.replace("[0x1E, 1]", "zz"), STACK.replace("[0x1E, 1]", "[x]")],
)
def test_file_that_cannot_be_read_fails_with_its_name(codec: Path, text: str) -> None:
    codec.with_name("acme-v1-codec.yaml").write_text(text)
    ran = lora_post("decoders", "test", codec)
    assert ran.code == 1
    assert ran.out.startswith("FAIL  acme-v1: ")
    assert len(ran.out.splitlines()) == 1
    with pytest.raises(DecoderCrash):
        published_examples(load_decoder(codec))


def test_file_with_an_encoder_only_has_nothing_to_test(codec: Path) -> None:
    encoder = codec.with_name("acme-v1-encoder.js")
    encoder.write_text("function encodeDownlink(input) { return { bytes: [] }; }")
    ran = lora_post("decoders", "test", encoder)
    assert (ran.code, ran.out) == (
        0,
        "ok    acme-v1-encoder: for downlinks only (encodeDownlink), nothing to decode\n",
    )


def test_yaml_is_read_as_javascript_programs_read_it() -> None:
    text = "{a: on, b: No, c: 12:30, d: 010, e: 0x1F, f: 1e3, g: .5, h: ~, i: true, j: 2024-05-01T12:00:00Z"
    assert load_yaml(text + ", k: 1_000, l: 0o17}") == {
        "a": "on",
        "b": "No",
        "c": "12:30",
        "d": 10,
        "e": 31,
        "f": 1000.0,
        "g": 0.5,
        "h": None,
        "i": True,
        "j": datetime(2024, 5, 1, 12, tzinfo=UTC),
        "k": "1_000",
        "l": 15,
    }
    with pytest.raises(ValueError, match="python"):
        load_yaml("!!python/object/apply:os.getcwd []")
