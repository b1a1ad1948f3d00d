"""util_pkt_logger's CSV."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.clocks.scale import parse_utc
from lora_post.model import Frame, Link, Noise, NoiseReason, RxInfo
from tests.support.parsers import FIXTURES, NOW_US, events_of, frames_of

LOG = (FIXTURES / "field_util_pkt_logger.pkt_logger").read_bytes()
LINE = LOG.splitlines(keepends=True)[1]


def test_line_of_the_program_is_a_frame() -> None:
    (frame,) = frames_of("pkt_logger", LOG)
    assert frame.phy_payload.hex() == "40da1b012600510001cbfa88c010482b14"
    assert frame.rx == RxInfo(-57.0, 9.0, 7, 125.0, "4/5", 868.3)
    assert frame.time_us == parse_utc("2026-11-04T12:49:04.373Z")
    assert frame.link is None


def test_format_is_recognised() -> None:
    assert len(frames_of("auto", LOG)) == 1


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"CRC_OK", b"CRC_BAD", NoiseReason.CRC),
        (b"40DA", b"4XDA", NoiseReason.BAD_LINE),
        (b"40DA", b"4DA", NoiseReason.BAD_LINE),
        (b"LORA", b"FSK", NoiseReason.BAD_LINE),
        (b',"4/5"', b"", NoiseReason.BAD_LINE),
        (b"40DA", b"00" * 255 + b"40DA", NoiseReason.BAD_LINE),
    ],
)
def test_line_of_no_use_says_why(old: bytes, new: bytes, reason: NoiseReason) -> None:
    (event,) = events_of("pkt_logger", [LINE.replace(old, new)])
    assert isinstance(event, Noise)
    assert event.reason is reason


def test_frame_without_crc_needs_a_mic() -> None:
    (frame,) = frames_of("pkt_logger", LINE.replace(b"CRC_OK", b"NO_CRC"))
    assert frame.link is Link.LORAWAN


def test_strange_time_is_that_of_arrival() -> None:
    (frame,) = frames_of("pkt_logger", LINE.replace(b"2026-11", b"2026-77"))
    assert frame.time_us == NOW_US


@given(st.lists(st.text(st.characters(codec="ascii"), max_size=12), min_size=14, max_size=18))
def test_any_line_is_survived(cells: list[str]) -> None:
    line = ",".join(f'"{cell}"' for cell in cells).encode() + b"\n"
    for event in events_of("pkt_logger", [line]):
        assert isinstance(event, (Frame, Noise))
