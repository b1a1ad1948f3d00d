"""LowCostLoRaGw's four-byte header."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.errors import FrameError
from lora_post.lowcost import header as lowcost
from lora_post.lowcost.header import Header, build_header, is_image, parse_header

byte = st.integers(0, 255)


@given(st.builds(Header, byte, byte, byte, byte), st.binary(max_size=10))
def test_parse_undoes_build(header: Header, payload: bytes) -> None:
    assert parse_header(build_header(header) + payload) == header


@given(st.binary(max_size=20))
def test_any_bytes_build_back_or_are_refused(packet: bytes) -> None:
    try:
        header = parse_header(packet)
    except FrameError:
        assert len(packet) < 4
    else:
        assert build_header(header) == packet[:4]


def test_short_packet_is_refused_with_its_length() -> None:
    with pytest.raises(FrameError, match="the whole packet 3"):
        parse_header(b"\x01\x10\x03")


@pytest.mark.parametrize(
    ("ptype", "text"),
    [
        (0x10, "data"),
        (0x1E, "data"),
        (0x20, "acknowledgement"),
        (0x30, "request to send"),
        (0x40, "packet of unknown type"),
    ],
)
def test_packet_types_have_names(ptype: int, text: str) -> None:
    assert lowcost.type_text(ptype) == text


@pytest.mark.parametrize(
    ("payload", "image"),
    [
        ("ff51 0003 07 14 0c 0010 30313233343536373839", True),
        ("ff50 07 14 0c 0010 30313233343536373839", True),
        ("ff55 0003 07 14 0c 0010 30313233343536373839", False),
        ("ff51 0003 07 14 0d 0010 30313233343536373839", False),
        ("ff50 0167", False),
        ("5c21 54432f32322e35", False),
        ("", False),
    ],
)
def test_camera_packet_is_told_by_its_marker_and_its_length(payload: str, image: bool) -> None:
    assert is_image(bytes.fromhex(payload)) is image
