"""LowCostLoRaGw's four-byte header."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.errors import FrameError
from lora_post.lowcost import header as lowcost
from lora_post.lowcost.header import (
    BROADCAST,
    DATA,
    GATEWAY,
    Header,
    build_header,
    is_image,
    is_radiohead,
    parse_header,
)

HEADS = st.binary(min_size=4, max_size=4)
PAYLOADS = st.binary(max_size=10) | st.binary(max_size=8).map(b"\\!".__add__)  # texts have a mark
PACKETS = st.binary(max_size=20) | st.builds(bytes.__add__, HEADS, PAYLOADS)


def said_by(packet: bytes) -> Header:
    """What these four bytes say: RadioHead's are to, from, id and flags."""
    first, second, third, fourth = packet[:4]
    return Header(GATEWAY, DATA, second, third) if is_radiohead(packet) else Header(first, second, third, fourth)


@given(HEADS, PAYLOADS)
def test_parse_undoes_build(head: bytes, payload: bytes) -> None:
    header, packet = Header(*head), head + payload
    assert build_header(header) == head
    assert is_radiohead(packet) or parse_header(packet) == header


@given(PACKETS)
def test_any_bytes_are_read_or_refused(packet: bytes) -> None:
    try:
        header = parse_header(packet)
    except FrameError:
        assert len(packet) < 4
    else:
        assert header == said_by(packet)


@given(HEADS, st.binary(max_size=8))
def test_only_a_text_that_no_device_of_lowcostloragw_sends_is_radioheads(head: bytes, rest: bytes) -> None:
    is_theirs = head[0] in (BROADCAST, GATEWAY) and head[1] >> 4 in (1, 2, 3)
    assert is_radiohead(head + b"\\!" + rest) is not is_theirs
    assert not is_radiohead(head + b"\0" + rest)


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
