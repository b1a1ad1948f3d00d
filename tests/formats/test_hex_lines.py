"""One frame a line, in hex or base64."""

from __future__ import annotations

import base64
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.formats.hex_lines import hex_lines_parser
from lora_post.model import Frame, Noise, NoiseReason, RxInfo
from lora_post.text import MAX_TEXT
from tests.support.parsers import (
    LAB_1,
    NOW_US,
    assert_any_cut_gives_the_same,
    assert_events_are_sound,
    capture,
    cut,
    events_of,
    frames_of,
    reasons_of,
)

HEX = LAB_1.hex()
BASE64 = base64.b64encode(LAB_1).decode()
STREAMS = {name: capture(name) for name in ("frames_hex.lines", "frames_base64.lines")}


@pytest.mark.parametrize("size", [1, 2, 3, 17, 100])
@pytest.mark.parametrize("name", STREAMS)
def test_recorded_stream_gives_the_same_however_it_is_cut(name: str, size: int) -> None:
    assert events_of("lines", cut(STREAMS[name], size)) == events_of("lines", [STREAMS[name]])


@pytest.mark.parametrize(
    "line",
    [
        HEX,
        HEX.upper(),
        LAB_1.hex(" "),
        LAB_1.hex(":").upper(),
        LAB_1.hex("-"),
        LAB_1.hex("-", 4),
        LAB_1.hex("-", -4) + "-",
        "0x" + HEX,
        "  " + HEX + "\t",
        HEX + "\r",
        BASE64,
        BASE64.rstrip("="),
        BASE64.replace("+", "-").replace("/", "_"),
    ],
)
def test_one_frame_may_be_spelled_in_many_ways(line: str) -> None:
    assert events_of("lines", [line.encode() + b"\n"]) == [Frame("gw1", NOW_US, LAB_1, RxInfo())]


@pytest.mark.parametrize("line", [b"", b"   ", b"\r", b"# a comment", b"  # " + HEX.encode()])
def test_empty_lines_and_comments_are_passed_over(line: bytes) -> None:
    assert events_of("lines", [line + b"\n"]) == []


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (HEX[:-1], "41 hex digits"),
        ("40-03-5c-a", "1 hex digits in 'a'"),
        ("not hex at all", "not hex: 'n'"),
        ("QAYAAA*", "'*' at character 7"),
        ("\xff\xfe", "neither hex ("),
        ("ab" * 256, "256 bytes, a frame has at most 255"),
    ],
)
def test_anything_else_is_noise_that_says_why(line: str, complaint: str) -> None:
    (noise, frame) = events_of("lines", [line.encode("latin-1") + b"\n" + HEX.encode() + b"\n"])
    assert isinstance(noise, Noise) and noise.reason is NoiseReason.BAD_LINE
    assert complaint in noise.detail and noise.size == len(line)
    assert isinstance(frame, Frame)


def test_last_line_needs_no_line_end() -> None:
    assert [frame.phy_payload for frame in frames_of("lines", HEX.encode())] == [LAB_1]


def test_line_that_a_writer_interrupts_is_waited_for() -> None:
    parser = hex_lines_parser("gw1", UTC)
    assert parser.feed(HEX[:20].encode(), NOW_US) == []
    assert parser.feed(b"", NOW_US + 3_600_000_000) == []
    (frame,) = parser.feed(HEX[20:].encode() + b"\n", NOW_US + 3_600_000_000)
    assert isinstance(frame, Frame) and frame.phy_payload == LAB_1


def test_endless_line_is_noise_once_and_the_next_line_counts() -> None:
    stream = b"x" * 3 * MAX_TEXT + b"\n" + HEX.encode() + b"\n"
    events = events_of("lines", [stream])
    assert [type(event) for event in events] == [Noise, Frame]
    assert reasons_of("lines", stream) == ["line-too-long"]
    assert events_of("lines", cut(stream, 1000)) == events


pieces = st.one_of(
    st.binary(max_size=30),
    st.text("0123456789abcdef:- =QANcx#\r", max_size=60).map(str.encode),
    st.sampled_from([b"\n", b"\r\n", b"#", b"0x", HEX.encode() + b"\n", BASE64.encode() + b"\n", b"y" * 2500]),
)
streams = st.lists(pieces, max_size=12).map(b"".join)


@given(streams, st.data())
def test_any_cut_gives_the_same_events(stream: bytes, data: st.DataObject) -> None:
    assert_any_cut_gives_the_same("lines", stream, data)


@given(st.lists(pieces, max_size=12))
def test_any_bytes_are_survived_and_little_is_held(chunks: list[bytes]) -> None:
    parser = hex_lines_parser("gw1", UTC)
    for chunk in chunks:
        assert_events_are_sound(parser.feed(chunk, NOW_US))
        assert len(parser._lines._held) < MAX_TEXT
    assert_events_are_sound(parser.finish(NOW_US))


@given(st.lists(st.binary(min_size=1, max_size=255), max_size=5), st.binary(max_size=100))
def test_every_frame_is_found_between_garbage(payloads: list[bytes], garbage: bytes) -> None:
    noise = b"*" + garbage.replace(b"\n", b"") + b"\n"
    stream = b"".join(noise + payload.hex().encode() + b"\n" for payload in payloads)
    assert [frame.phy_payload for frame in frames_of("lines", stream)] == payloads
