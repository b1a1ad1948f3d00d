"""`lora-post decoders test` with captured frames, and with a decoder that hangs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from lora_post.decoding.examples import check_decoder
from lora_post.decoding.time_limit import TimeLimit
from lora_post.model import Decoder, Example, Reading
from tests.support.in_process import lora_post

DECODER = """
from lora_post import Decoder, Example, Reading


def decode(payload, fport):
    return [Reading("level", payload[0] / 10, "m")]


DECODER = Decoder("probe", decode, "v", "m", "s", [Example("0A", gives=[Reading("level", 1.0, "m")])])
"""
DEVICES = """
[gateway]
id = "gw1"
[decoders]
folder = "own"
[[device]]
address = 3
decoder = "probe"
[[device]]
address = 4
decoder = "text"
"""


@pytest.fixture(autouse=True)
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A decoder in own/, and beside it a capture of two frames, one of them for another decoder."""
    monkeypatch.chdir(tmp_path)
    for folder in ("own", "fixtures"):
        Path(folder).mkdir()
    Path("own/probe.py").write_text(DECODER)
    Path("lora-post.toml").write_text(DEVICES)
    Path("fixtures/devices.toml").write_text(DEVICES.replace('folder = "own"', 'folder = "../own"'))
    Path("fixtures/pond.lines").write_text("011003000A\n01100400 5c21312e35\n")
    out = lora_post("replay", "--dry-run", "--format", "lines", "fixtures/pond.lines", "-c", "lora-post.toml").out
    uplinks = [json.loads(line) for line in out.splitlines()]
    for uplink in uplinks:
        uplink["time"] = "2026-03-01T12:00:00Z"
        for reading in uplink["readings"]:
            reading["time"] = "2026-03-01T12:00:00Z"
    Path("fixtures/pond.expected.json").write_text(json.dumps({"uplinks": uplinks}))


def test_captures_beside_the_decoders_folder_are_run() -> None:
    ran = lora_post("decoders", "test", "own/probe.py")
    assert ran.out.splitlines() == [
        "ok    probe: 1 example",
        f"ok    probe: 1 captured frame in {Path('fixtures').absolute()}",
    ]
    assert ran.code == 0


def test_difference_in_a_capture_is_shown_as_what_was_expected_and_got() -> None:
    Path("own/probe.py").write_text(DECODER.replace("/ 10", "/ 20").replace("1.0", "0.5"))
    ran = lora_post("decoders", "test", "probe", "--fixtures", "fixtures")
    assert ran.code == 1
    assert ran.out.splitlines() == [
        "ok    probe: 1 example",
        "FAIL  probe: fixtures/pond.lines; - expected, + got",
        "  frame 1, gw1-3, payload 0a",
        "    - level = 1.0 m (Level, 2026-03-01T12:00:00Z)".replace("Level", quantity()),
        "    + level = 0.5 m (Level, 2026-03-01T12:00:00Z)".replace("Level", quantity()),
    ]


def quantity() -> str:
    expected = json.loads(Path("fixtures/pond.expected.json").read_text())
    return str(expected["uplinks"][0]["readings"][0]["quantity"])


def test_frame_that_is_not_heard_any_more_is_told() -> None:
    Path("fixtures/pond.lines").write_text("01100400 5c21312e35\n")
    ran = lora_post("decoders", "test", "probe")
    assert ran.code == 1
    assert "frames heard: 1, expected: 2" in ran.out


def test_list_tells_the_memory_that_a_codec_takes() -> None:
    Path("own/codec.js").write_text("function decodeUplink(input) { return { data: { x: 1 } }; }")
    assert re.search(r"own/codec\.js \([1-9][0-9]* KiB in use\)", lora_post("decoders").out)


def test_damaged_expectation_is_told_with_its_file() -> None:
    Path("fixtures/pond.expected.json").write_text("[")
    ran = lora_post("decoders", "test", "probe")
    assert ran.code == 2
    assert "fixtures/pond.expected.json" in ran.err


def test_example_over_which_a_decoder_hangs_is_told_with_the_line() -> None:
    def decode(payload: bytes, fport: int) -> list[Reading]:
        while payload:
            pass
        return [Reading("x", 1)]

    examples = [Example("00", gives=[Reading("x", 1)]), Example("", gives=[Reading("x", 1)])]
    with TimeLimit(0.1) as watch:
        (failure,) = check_decoder(Decoder("mine", decode, "v", "m", "s", examples), watch)
    (complaint,) = failure.complaints
    assert failure.number == 1
    assert complaint.startswith("expected no error, got DecoderHang: no result in 0.1 s (test_examples.py line ")
