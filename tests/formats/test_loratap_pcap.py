"""LoRaTap captures, read and written."""

from __future__ import annotations

import struct
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.formats.loratap import build_loratap, read_loratap
from lora_post.formats.loratap_pcap import MAX_RECORD, PcapParser, pcap_record, write_pcap_header
from lora_post.model import Frame, Link, Noise, NoiseReason, RxInfo
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

NAMES = ("loratap_v0_le", "loratap_v1_be", "loratap_v1_ns_le", "loratap_truncated")
STREAMS = {name: capture(f"{name}.pcap") for name in NAMES}
EUI = "b827ebfffe112233"
START_US = 1_715_674_530_123_456

V0 = bytes.fromhex("0000000f33be27a0010c52501e2034")
V1 = bytes.fromhex("0100002333c442200107ffff522134b827ebfffe112233d15a2fc3080500000201 0000")


def a_frame(payload: bytes = LAB_1, **changes: object) -> Frame:
    fields = {"gateway": EUI, "time_us": START_US, "rx": RxInfo(-57, 8.25, 7, 125.0, "4/5", 868.5)} | changes
    return Frame(phy_payload=payload, **fields)  # type: ignore[arg-type]


def file_of(*records: bytes, order: str = "<", magic: int = 0xA1B2C3D4, network: int = 270) -> bytes:
    """A capture of LoRaTap packets, one a second."""
    header = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, network)
    times = range(1_715_674_530, 1_715_674_530 + len(records))
    heads = [struct.pack(order + "IIII", s, 7, len(r), len(r)) for s, r in zip(times, records, strict=True)]
    return header + b"".join(head + record for head, record in zip(heads, records, strict=True))


def patched(header: bytes, **changes: int) -> bytes:
    """A LoRaTap header with other bytes at some places: at_9=0."""
    found = bytearray(header)
    for place, byte in changes.items():
        found[int(place.removeprefix("at_"))] = byte
    return bytes(found)


def read(record: bytes) -> Frame | Noise:
    return read_loratap(record, "gw1", START_US)


# Recorded files


@pytest.mark.parametrize("size", [1, 2, 3, 17, 100])
@pytest.mark.parametrize("name", NAMES)
def test_recorded_file_gives_the_same_however_it_is_cut(name: str, size: int) -> None:
    assert events_of("pcap", cut(STREAMS[name], size)) == events_of("pcap", [STREAMS[name]])


@pytest.mark.parametrize(
    ("name", "found"),
    [
        (
            "loratap_v0_le",
            [
                ("gw1", START_US, RxInfo(-57, 8.0, 12, 125.0, None, 868.1)),
                ("gw1", START_US + 9_876_549, RxInfo(-124.0, -5.0, 7, 250.0, None, 868.1)),
                ("gw1", START_US + 19_876_550, RxInfo(-57, 8.0, 12, 125.0, None, 868.1)),
            ],
        ),
        (
            "loratap_v1_be",
            [
                (EUI, START_US, RxInfo(-57, 8.25, 7, 125.0, "4/5", 868.5)),
                (EUI, START_US + 1_876_544, RxInfo(-57, None, None, None, None, 868.5)),
            ],
        ),
        ("loratap_v1_ns_le", [(EUI, START_US, RxInfo(-57, 8.25, 9, 125.0, "4/5", 868.3))]),
        ("loratap_truncated", [("gw1", START_US - 123_456, RxInfo(-57, 8.0, 12, 125.0, None, 868.1))]),
    ],
)
def test_recorded_file_gives_its_frames(name: str, found: list[object]) -> None:
    assert [(frame.gateway, frame.time_us, frame.rx) for frame in frames_of("pcap", STREAMS[name])] == found


def test_recorded_noise_is_reported() -> None:
    assert [reasons_of("pcap", STREAMS[name]) for name in NAMES] == [[], ["crc", "downlink"], [], ["truncated"]]


# The file


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "fraction_us"), [(0xA1B2C3D4, 7), (0xA1B23C4D, 0)])
def test_both_byte_orders_and_both_clocks_are_read(order: str, magic: int, fraction_us: int) -> None:
    (frame,) = frames_of("pcap", file_of(V0 + LAB_1, order=order, magic=magic, network=0xF400_0000 | 270))
    assert (frame.phy_payload, frame.time_us) == (LAB_1, 1_715_674_530_000_000 + fraction_us)


@pytest.mark.parametrize(
    ("stream", "complaint"),
    [
        (file_of(V0 + LAB_1, network=105), "link type 105, want 270 (LoRaTap)"),
        (b"radio_rx  40035CAB0100000002C53FAAD4", "no pcap file: it begins with radi"),
    ],
)
def test_other_files_are_refused_once_and_say_why(stream: bytes, complaint: str) -> None:
    (noise,) = events_of("pcap", [stream])
    assert isinstance(noise, Noise) and noise.reason is NoiseReason.BAD_HEADER
    assert complaint in noise.detail


def test_parser_can_go_on_with_the_next_file() -> None:
    parser = PcapParser("gw1", UTC)
    for stream in (b"x" * 100, file_of(V0 + LAB_1)[:-1], file_of(V0 + LAB_1), file_of(V1 + LAB_1, order=">")):
        last = parser.feed(stream, NOW_US)
        parser.finish(NOW_US)
    assert [event.phy_payload for event in last if isinstance(event, Frame)] == [LAB_1]


def test_packet_that_was_cut_when_it_was_captured_is_dropped_and_the_next_one_counts() -> None:
    head = struct.pack("<IIII", 1_715_674_530, 7, 20, 36)
    stream = file_of(V0 + b"one") + head + (V0 + LAB_1)[:20] + file_of(V0 + b"two", V0 + b"three")[24:]
    assert [frame.phy_payload for frame in frames_of("pcap", stream)] == [b"one", b"two", b"three"]
    assert reasons_of("pcap", stream) == ["truncated"]


def test_zeros_that_a_power_cut_left_behind_are_one_noise() -> None:
    assert reasons_of("pcap", file_of(V0 + LAB_1) + bytes(10_000)) == ["damaged"]


# The LoRaTap header


@pytest.mark.parametrize(
    ("header", "rssi", "snr"),
    [
        (V0, -57, 8.0),
        (patched(V0, at_10=60, at_13=0xEC), -124.0, -5.0),
        (patched(V0, at_10=0, at_13=0), -139, 0.0),
        (patched(V0, at_10=255), None, 8.0),
        (patched(V0, at_10=255, at_11=255), -139 + 30, 8.0),
        (patched(V0, at_13=0x80), -57 - 82 * 0.75, None),
        (V1, -57, 8.25),
        (patched(V1, at_10=90, at_11=95), -49, 8.25),
        (patched(V1, at_10=90), -49, 8.25),
        (patched(V1, at_12=255), None, 8.25),
        (patched(V1, at_27=0x09), -57, None),
    ],
)
def test_rssi_and_snr_are_read(header: bytes, rssi: float | None, snr: float | None) -> None:
    frame = read(header + LAB_1)
    assert isinstance(frame, Frame)
    assert (frame.rx.rssi_dbm, frame.rx.snr_db) == (rssi, snr)


@pytest.mark.parametrize("size", [17, 33])
def test_downlink_that_opens_a_session_is_given_on(size: int) -> None:
    accept = b"\x20" + bytes(size - 1)
    event = read(patched(V1, at_27=0x0A) + accept)
    assert isinstance(event, Frame)
    assert (event.phy_payload, event.link) == (accept, Link.LORAWAN)
    assert isinstance(read(patched(V1, at_27=0x0A) + accept[:-1]), Noise)


@pytest.mark.parametrize(
    ("flags", "outcome"),
    [
        (0x08, None),
        (0x20, Link.LORAWAN),
        (0x00, Link.LORAWAN),
        (0x10, NoiseReason.CRC),
        (0x12, NoiseReason.CRC),
        (0x0A, NoiseReason.DOWNLINK),
    ],
)
def test_flags_decide_what_a_frame_is_worth(flags: int, outcome: Link | NoiseReason | None) -> None:
    event = read(patched(V1, at_27=flags) + LAB_1)
    assert (event.reason if isinstance(event, Noise) else event.link) == outcome


def test_gateway_is_the_one_that_the_header_names() -> None:
    named, unnamed = read(V1 + LAB_1), read(V1[:15] + bytes(8) + V1[23:] + LAB_1)
    assert isinstance(named, Frame) and named.gateway == EUI
    assert isinstance(unnamed, Frame) and unnamed.gateway == "gw1"


def test_later_version_is_read_as_far_as_it_is_known() -> None:
    assert read(patched(V1, at_0=2, at_3=39) + b"more" + LAB_1) == read(V1 + LAB_1)


def test_longer_header_of_a_known_version_is_skipped_by_its_length() -> None:
    frame = read(patched(V0, at_3=17) + b"\xff\xff" + LAB_1)
    assert isinstance(frame, Frame) and frame.phy_payload == LAB_1


@pytest.mark.parametrize(
    "record",
    [
        b"",
        V0[:14],
        patched(V0, at_3=14) + LAB_1,
        patched(V0, at_3=0) + LAB_1,
        patched(V0, at_2=15, at_3=0) + LAB_1,
        patched(V0, at_3=100) + LAB_1,
        patched(V0, at_0=1) + LAB_1,
        patched(V1, at_0=2, at_3=34) + LAB_1,
        V1 + bytes(256),
    ],
)
def test_header_that_cannot_be_is_noise(record: bytes) -> None:
    event = read(record)
    assert isinstance(event, Noise) and event.reason is NoiseReason.BAD_RECORD


# Writing

levels = st.none() | st.integers(-139, 115).map(float)
radios = st.builds(
    RxInfo,
    rssi_dbm=levels,
    snr_db=st.none() | st.integers(-127, 127).map(lambda quarters: quarters / 4),
    sf=st.none() | st.integers(5, 12),
    bw_khz=st.none() | st.sampled_from([125.0, 250.0, 500.0]),
    cr=st.none() | st.sampled_from(["4/5", "4/6", "4/7", "4/8"]),
    freq_mhz=st.none() | st.integers(1, 0xFFFF_FFFF).map(lambda hz: hz / 1_000_000),
)
frames = st.builds(
    Frame,
    gateway=st.just("gw1") | st.binary(min_size=8, max_size=8).filter(any).map(bytes.hex),
    time_us=st.integers(0, 0xFFFF_FFFF * 1_000_000),
    phy_payload=st.binary(max_size=255),
    rx=radios,
    link=st.sampled_from([None, Link.LORAWAN]),
)


@given(st.lists(frames, max_size=5))
def test_what_was_written_is_read_again(written: list[Frame]) -> None:
    stream = write_pcap_header() + b"".join(map(pcap_record, written))
    assert events_of("pcap", [stream]) == written


def test_version_0_has_no_gateway_no_coding_rate_and_no_crc() -> None:
    written = a_frame(link=Link.LORAWAN)
    (frame,) = frames_of("pcap", write_pcap_header() + pcap_record(written, 0))
    assert frame == Frame("gw1", START_US, LAB_1, RxInfo(-57, 8.25, 7, 125.0, None, 868.5))


@pytest.mark.parametrize(
    ("changes", "rx"),
    [
        ({"rssi_dbm": -57.4, "snr_db": 8.2}, RxInfo(-57, 8.25)),
        ({"rssi_dbm": -300, "snr_db": -99}, RxInfo(-139, -31.75)),
        ({"rssi_dbm": 300, "snr_db": 99}, RxInfo(115, 31.75)),
        ({"bw_khz": 62.5, "cr": "4/5LI", "freq_mhz": 5000.0}, RxInfo(freq_mhz=4294.967295)),
    ],
)
def test_what_cannot_be_written_is_rounded_or_left_open(changes: dict[str, float], rx: RxInfo) -> None:
    (frame,) = frames_of("pcap", write_pcap_header() + pcap_record(a_frame(rx=RxInfo(**changes))))  # type: ignore[arg-type]
    assert frame.rx == rx


@pytest.mark.parametrize("time_us", [-5, 1 << 60])
def test_time_that_a_capture_cannot_hold_is_the_nearest_one_that_it_can(time_us: int) -> None:
    (frame,) = frames_of("pcap", write_pcap_header() + pcap_record(a_frame(time_us=time_us)))
    assert frame.time_us in (0, (1 << 32) * 1_000_000 - 1)


@pytest.mark.parametrize(
    ("frame", "sync_word"),
    [
        (a_frame(), 0x34),
        (a_frame(b"\x01\x10\x03\x00hi"), 0x12),
        (a_frame(b"\x00\x10\x03\x00hi", link=Link.LOWCOST), 0x12),
    ],
)
def test_sync_word_tells_wireshark_what_the_frame_is(frame: Frame, sync_word: int) -> None:
    assert build_loratap(frame, 0)[14] == sync_word


# Damage

RECORDS = [V1 + bytes([number]) * 20 for number in range(1, 6)]


def intact(stream: bytes) -> list[int]:
    return [frame.phy_payload[0] for frame in frames_of("pcap", stream) if len(set(frame.phy_payload)) == 1]


@given(
    st.integers(0, 10_000),
    st.sampled_from(["lose", "add", "change"]),
    st.binary(min_size=1, max_size=40),
    st.sampled_from("<>"),
)
def test_damage_costs_at_most_the_packets_that_it_hits(place: int, how: str, noise: bytes, order: str) -> None:
    stream = file_of(*RECORDS, order=order)
    size = 16 + len(RECORDS[0])
    at = 24 + size + place % size  # in the second packet
    until = at if how == "add" else at + len(noise)
    damaged = stream[:at] + (b"" if how == "lose" else noise) + stream[until:]
    found = intact(damaged)
    assert found[0] == 1
    assert found[-2:] == [4, 5]
    if until <= 24 + 2 * size:
        assert 3 in found


def test_packet_that_was_swallowed_by_a_damaged_one_is_found() -> None:
    stream = file_of(*RECORDS)
    start = 24 + 16 + len(RECORDS[0])
    damaged = stream[: start + 30] + stream[start + 35 :]
    assert [number for number in intact(damaged) if number != 2] == [1, 3, 4, 5]
    assert reasons_of("pcap", damaged) == ["damaged"]
    assert events_of("pcap", cut(damaged, 1)) == events_of("pcap", [damaged])


def test_packet_that_was_swallowed_at_the_end_is_found() -> None:
    stream = file_of(*RECORDS[:2])
    damaged = stream[:30] + stream[31:]
    assert intact(damaged) == [2]


pieces = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [
            bytes(30),
            V0,
            V1,
            file_of(V0 + LAB_1)[24:],
            file_of(V1 + LAB_1)[24:],
            file_of(V1 + LAB_1)[24:50],
            struct.pack("<IIII", 1, 2, 20, 36),
            struct.pack("<IIII", 1, 2, 1024, 1024),
        ]
    ),
)
streams = st.builds(
    bytes.__add__, st.just(write_pcap_header()) | st.binary(max_size=30), st.lists(pieces, max_size=12).map(b"".join)
)


@given(streams, st.data())
def test_any_cut_gives_the_same_events(stream: bytes, data: st.DataObject) -> None:
    assert_any_cut_gives_the_same("pcap", stream, data)


@given(st.lists(pieces, max_size=12))
def test_any_bytes_are_survived_and_little_is_held(chunks: list[bytes]) -> None:
    parser = PcapParser("gw1", UTC)
    parser.feed(write_pcap_header(), NOW_US)
    for chunk in chunks:
        assert_events_are_sound(parser.feed(chunk, NOW_US))
        assert len(parser._held) < 2 * (16 + MAX_RECORD)
    assert_events_are_sound(parser.finish(NOW_US))
