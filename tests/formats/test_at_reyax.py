"""REYAX modules, which print payloads as they are."""

from __future__ import annotations

from datetime import UTC

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lora_post.formats.at_reyax import MAX_LINE, MAX_PAUSE_US, ReyaxParser
from lora_post.model import Frame, Link, Noise, NoiseReason, RxInfo
from tests.support.parsers import (
    NOW_US,
    assert_any_cut_gives_the_same,
    assert_events_are_sound,
    capture,
    cut,
    events_of,
    frames_of,
    reasons_of,
)

STREAM = capture("at_reyax.reyax")

# The largest thing that is held: the longest header, 240 bytes, and a trailer that is not complete.
MAX_HELD = max(MAX_LINE, len(b"+RCV=65535,240,") + 240 + 14)


def packet(data: bytes, *, address: int = 7, trailer: bytes = b",-57,8\r\n") -> bytes:
    return b"+RCV=%d,%d,%s%s" % (address, len(data), data, trailer)


def data_of(stream: bytes) -> list[bytes]:
    return [frame.phy_payload[4:] for frame in frames_of("reyax", stream)]


def test_recorded_stream_gives_its_frames() -> None:
    found = [(f.phy_payload[2], f.phy_payload[4:], f.rx.rssi_dbm, f.rx.snr_db) for f in frames_of("reyax", STREAM)]
    assert found == [
        (50, b"HELLO", -99, 40),
        (3, b"\\!TC/22.5/HU/85", -57, 8),
        (120, b"a,b\r\n+RCV=1,2,", -101, -4),
        (7, b"\xff\xfe\x00A", -80, 11),
        (9, b"\\!TC/20.0", None, None),
        (3, b"\\!TC/22.6", -57, 8),
    ]
    assert reasons_of("reyax", STREAM) == ["bad-header", "damaged"]


@pytest.mark.parametrize("size", [1, 2, 3, 17, 100])
def test_recorded_stream_gives_the_same_however_it_is_cut(size: int) -> None:
    assert events_of("reyax", cut(STREAM, size)) == events_of("reyax", [STREAM])


def test_frame_has_the_header_that_the_address_makes() -> None:
    assert events_of("reyax", [packet(b"hi", address=200)]) == [
        Frame("gw1", NOW_US, b"\x01\x10\xc8\x00hi", RxInfo(-57, 8), Link.LOWCOST)
    ]


@pytest.mark.parametrize("address", [0, 256, 65535])
def test_address_that_no_device_can_have_is_noise_that_says_what_to_do(address: int) -> None:
    (noise, frame) = events_of("reyax", [packet(b"\\!TC/1", address=address) + packet(b"hi")])
    assert isinstance(noise, Noise) and noise.reason is NoiseReason.BAD_HEADER
    assert f"address {address}, want 1 to 255: AT+ADDRESS=" in noise.detail
    assert isinstance(frame, Frame)


@pytest.mark.parametrize(
    "stream",
    [b"+OK\r\n", b"+READY\r\n", b"+ERR=4\r\n", b"+ADDRESS=7\r\n", b"\r\n", b"noise\n", b"+PARAMETER=9,7,1,12\r\n"],
)
def test_answers_to_commands_are_passed_over(stream: bytes) -> None:
    assert events_of("reyax", [stream]) == []


@pytest.mark.parametrize(
    "header", [b"+RCV=7,241,", b"+RCV=x,2,hi", b"+RCV=7,2", b"+RCV=", b"+RCV=123456,2,hi", b"+RCV=7,-2,hi"]
)
def test_malformed_header_is_noise_and_the_next_line_counts(header: bytes) -> None:
    stream = header + b"\r\n" + packet(b"next")
    assert data_of(stream) == [b"next"]
    assert reasons_of("reyax", stream) == ["bad-header"]


@pytest.mark.parametrize(
    "damaged",
    [
        b"+RCV=8,10,SHORT,-90,3\r\n",
        b"+RCV=8,3,LONGER,-90,3\r\n",
        b"+RCV=8,5,HELLO,-90\r\n",
        b"+RCV=8,5,HELLO,loud,3\r\n",
        b"+RCV=8,240,HELLO,-90,3\r\n",
    ],
)
def test_wrong_length_costs_its_own_packet_only(damaged: bytes) -> None:
    stream = damaged + packet(b"one") + packet(b"two" * 50) + packet(b"three" * 40)
    assert data_of(stream) == [b"one", b"two" * 50, b"three" * 40]
    assert reasons_of("reyax", stream) == ["damaged"]


def test_end_of_input_inside_a_packet_still_gives_the_packets_in_it() -> None:
    stream = b"+RCV=8,240,\r\n" + packet(b"found")
    assert data_of(stream) == [b"found"]
    assert reasons_of("reyax", stream) == ["truncated"]


def test_pause_inside_a_packet_gives_it_up() -> None:
    reader = ReyaxParser("gw1", UTC)
    assert reader.feed(packet(b"0123456789")[:-5], NOW_US) == []
    assert reader.feed(b"", NOW_US + MAX_PAUSE_US) == []
    (noise,) = reader.feed(b"", NOW_US + MAX_PAUSE_US + 1)
    assert isinstance(noise, Noise) and noise.reason is NoiseReason.TRUNCATED
    assert len(reader.feed(packet(b"next"), NOW_US + 2 * MAX_PAUSE_US)) == 1


def test_endless_line_is_noise_once_and_the_next_line_counts() -> None:
    stream = b"x" * 3000 + b"\n" + packet(b"hi")
    events = events_of("reyax", [stream])
    assert [type(event) for event in events] == [Noise, Frame]
    assert reasons_of("reyax", stream) == ["line-too-long"]
    assert events_of("reyax", cut(stream, 1)) == events


@given(st.binary(max_size=240), st.sampled_from([b",-57,8\r\n", b"\r\n", b",0,0\n"]))
def test_any_data_comes_through(data: bytes, trailer: bytes) -> None:
    assert data_of(packet(data, trailer=trailer)) == [data]


pieces = st.one_of(
    st.binary(max_size=30),
    st.sampled_from(
        [
            b"\n",
            b"\r\n",
            b"+RCV=",
            b"+RCV=7,4,",
            b"+RCV=7,200,",
            b"+RCV=7,0,\r\n",
            b",-57,8\r\n",
            b"abcd,-57",
            b"+OK\r\n",
            b"x" * 200,
        ]
    ),
    st.binary(max_size=60).map(packet),
)
streams = st.lists(pieces, max_size=12).map(b"".join)


@given(streams, st.data())
def test_any_cut_gives_the_same_events(stream: bytes, data: st.DataObject) -> None:
    assert_any_cut_gives_the_same("reyax", stream, data)


@given(st.lists(pieces | st.just(b""), max_size=12))
def test_any_bytes_are_survived_and_little_is_held(chunks: list[bytes]) -> None:
    reader = ReyaxParser("gw1", UTC)
    now_us = NOW_US
    for chunk in chunks:
        now_us += MAX_PAUSE_US + 1
        assert_events_are_sound(reader.feed(chunk, now_us))
        assert len(reader._held) <= MAX_HELD
    assert_events_are_sound(reader.finish(now_us))


@given(
    st.lists(st.binary(max_size=60), min_size=1, max_size=6), st.lists(st.binary(max_size=80), min_size=6, max_size=6)
)
def test_every_packet_is_found_between_garbage(payloads: list[bytes], garbage: list[bytes]) -> None:
    assume(not any(b"+RCV" in piece for piece in garbage))
    stream = b"".join(g + b"\n" + packet(p) for g, p in zip(garbage, payloads, strict=False))
    assert data_of(stream) == payloads


@given(
    st.lists(st.text("abc\r\n,+!\\", max_size=40).map(str.encode), min_size=3, max_size=3),
    st.integers(0, 10_000),
    st.sampled_from(["lose", "add", "change"]),
    st.binary(min_size=1, max_size=5),
)
def test_damage_costs_at_most_the_packet_it_hits(payloads: list[bytes], place: int, how: str, noise: bytes) -> None:
    first, second, third = (packet(payload) for payload in payloads)
    # The digits of the length and the last line end stay, as does the line on which the next packet begins.
    begin, end = second.index(b",", 7) + 1, len(second) - 1
    at = begin + place % (end - begin)
    until = at if how == "add" else min(at + len(noise), end)
    damaged = second[:at] + (b"" if how == "lose" else noise[: end - at]) + second[until:]
    found = data_of(first + damaged + third)
    assert found[0] == payloads[0]
    assert found[-1] == payloads[2]
