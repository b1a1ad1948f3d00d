"""pcapng files, as Wireshark saves captures."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.formats.loratap import build_loratap
from lora_post.formats.pcapng import MAX_TIME_US
from lora_post.model import Frame, Noise, RxInfo
from tests.support.parsers import (
    LAB_1,
    assert_any_cut_gives_the_same,
    assert_events_are_sound,
    events_of,
    frames_of,
    reasons_of,
)

HEARD_US = 1_715_674_530_123_456


def block(kind: int, body: bytes, order: str) -> bytes:
    body += bytes(-len(body) % 4)
    size = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + size + body + size


def section(order: str = "<") -> bytes:
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(order: str = "<", resolution: int | None = None, link_type: int = 270) -> bytes:
    options = b"" if resolution is None else struct.pack(order + "HHB3xHH", 9, 1, resolution, 0, 0)
    return block(1, struct.pack(order + "HHI", link_type, 0, 0) + options, order)


def packet(ticks: int = HEARD_US, order: str = "<", number: int = 0, cut: int = 0) -> bytes:
    data = build_loratap(Frame("", HEARD_US, LAB_1, RxInfo(-57, 8.0, 12, 125.0, "4/5", 868.1)), 1)
    size = len(data)
    head = struct.pack(order + "5I", number, ticks >> 32, ticks & 0xFFFFFFFF, size - cut, size)
    return block(6, head + data[: size - cut], order)


FILE = section() + interface() + packet() + block(5, bytes(40), "<") + packet(HEARD_US + 1)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("resolution", "ticks"),
    [
        (None, HEARD_US),
        (6, HEARD_US),
        (9, HEARD_US * 1000),
        (3, HEARD_US // 1000),
        (0x80 | 10, HEARD_US * 1024 // 1_000_000),
    ],
)
def test_packet_has_the_time_of_its_interface(order: str, resolution: int | None, ticks: int) -> None:
    (frame,) = frames_of("pcap", section(order) + interface(order, resolution) + packet(ticks, order))
    assert frame.phy_payload == LAB_1
    assert abs(frame.time_us - HEARD_US) < 1000


def test_sections_may_differ_in_byte_order_and_interfaces() -> None:
    second = section(">") + interface(">", link_type=1) + interface(">") + packet(order=">", number=1)
    assert len(frames_of("pcap", FILE + second)) == 3
    assert reasons_of("pcap", FILE + second) == ["bad-header"]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (packet(cut=5), "truncated"),
        (packet(number=3), "bad-record"),
        (packet()[:-30], "damaged"),
        (bytes(64), "damaged"),
        (b"\x06\0\0\0" * 9, "damaged"),
        (block(6, b"", "<"), "damaged"),
        (b"\xff" * 5000, "damaged"),
    ],
)
def test_damage_costs_no_whole_packet(damage: bytes, reason: str) -> None:
    stream = FILE + damage + packet() + packet()
    assert len(frames_of("pcap", stream)) == 4
    assert set(reasons_of("pcap", stream)) == {reason} or damage == block(6, b"", "<")


def test_long_block_is_passed_over_without_being_held() -> None:
    stream = FILE + block(0xBAD, bytes(100_000), "<") + packet()
    assert len(frames_of("pcap", stream)) == 3 and reasons_of("pcap", stream) == []


def test_last_packet_that_is_cut_short_is_said() -> None:
    assert len(frames_of("pcap", FILE[:-3])) == 1
    assert reasons_of("pcap", FILE[:-3]) == ["truncated"]


def test_time_beyond_all_calendars_is_bounded() -> None:
    (frame,) = frames_of("pcap", section() + interface(resolution=0) + packet((1 << 64) - 1))
    assert frame.time_us == MAX_TIME_US


@given(start=st.integers(0, len(FILE)), noise=st.binary(max_size=60), gap=st.integers(0, 60), data=st.data())
def test_any_damage_gives_sound_events_and_the_packets_behind_it(
    start: int, noise: bytes, gap: int, data: st.DataObject
) -> None:
    stream = FILE[:28] + FILE[28:48] + FILE[48:][:start] + noise + FILE[48:][start + gap :] + 3 * packet() + bytes(4096)
    events = events_of("pcap", [stream])
    assert_events_are_sound(events)
    assert_any_cut_gives_the_same("pcap", stream, data)
    assert all(isinstance(event, Frame | Noise) for event in events)
    assert sum(isinstance(event, Frame) for event in events) >= 3
