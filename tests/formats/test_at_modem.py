"""Serial modules that print payloads in hex: RN2483, RAK."""

from __future__ import annotations

from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.formats import FORMATS
from lora_post.formats.at_modem import MAX_LINE, MAX_PAUSE_US, rak_parser, rn2483_parser
from lora_post.model import Frame, Noise, NoiseReason
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

HEX = LAB_1.hex().upper().encode()
TEXT = b"\\!TC/22.5/HU/85"
STREAMS = {
    "at_rn2483.rn2483": [(LAB_1, -57, 8), (TEXT, None, -3), (LAB_1[:8], None, None), (b"\n\x00\xff", None, None)],
    "at_rak_rui3.rak": [(LAB_1, -57, 8), (b"Hello Rak3172", -28, 5), (TEXT, -61, 7), (b"", -99, -3)],
    "at_rak811.rak": [(b"He", -65, 6), (b"", -70, 5), (b"\x10\x29", -73, 24)],
}


def lines(*texts: bytes) -> bytes:
    return b"".join(text + b"\r\n" for text in texts)


def heard(name: str, stream: bytes) -> list[tuple[bytes, float | None, float | None]]:
    return [(frame.phy_payload, frame.rx.rssi_dbm, frame.rx.snr_db) for frame in frames_of(name, stream)]


@pytest.mark.parametrize("name", STREAMS)
def test_recorded_stream_gives_its_frames(name: str) -> None:
    assert heard(name.partition(".")[2], capture(name)) == STREAMS[name]


@pytest.mark.parametrize("size", [1, 2, 3, 17, 100])
@pytest.mark.parametrize("name", STREAMS)
def test_recorded_stream_gives_the_same_however_it_is_cut(name: str, size: int) -> None:
    stream, form = capture(name), name.partition(".")[2]
    assert events_of(form, cut(stream, size)) == events_of(form, [stream])


def test_recorded_noise_is_reported_and_answers_are_not() -> None:
    assert reasons_of("rn2483", capture("at_rn2483.rn2483")) == ["receive-error", "bad-line"]
    assert reasons_of("rak", capture("at_rak_rui3.rak")) == ["receive-error", "bad-line"]
    assert reasons_of("rak", capture("at_rak811.rak")) == []


# RN2483


@pytest.mark.parametrize(
    ("answers", "rssi", "snr"),
    [
        ([b"8", b"-57", b"ok"], -57, 8),
        ([b"8", b"-57", b"12"], -57, 8),
        ([b"-3", b"invalid_param"], None, -3),
        ([b"-128", b"ok", b"-57"], None, -128),
        ([b"ok", b"8", b"-57"], None, None),
        ([b"4294967245", b"8"], None, None),
        ([], None, None),
    ],
)
def test_numbers_behind_a_frame_are_its_snr_and_rssi(answers: list[bytes], rssi: int | None, snr: int | None) -> None:
    stream = lines(b"4294967245", b"ok", b"radio_rx  " + HEX, *answers)
    assert heard("rn2483", stream) == [(LAB_1, rssi, snr)]
    assert reasons_of("rn2483", stream) == []


def test_frame_comes_with_the_second_number_and_has_the_time_of_its_own_line() -> None:
    parser = rn2483_parser("gw1", UTC)
    assert parser.feed(lines(b"radio_rx  " + HEX), NOW_US) == []
    assert parser.feed(lines(b"8"), NOW_US + 100_000) == []
    (frame,) = parser.feed(lines(b"-57"), NOW_US + 200_000)
    assert isinstance(frame, Frame) and frame.time_us == NOW_US
    assert parser.finish(NOW_US) == []


def test_frame_does_not_wait_for_numbers_that_nobody_asks_for() -> None:
    parser = rn2483_parser("gw1", UTC)
    assert parser.feed(lines(b"radio_rx " + HEX), NOW_US) == []
    assert parser.feed(b"", NOW_US + MAX_PAUSE_US) == []
    (frame,) = parser.feed(b"", NOW_US + MAX_PAUSE_US + 1)
    assert isinstance(frame, Frame) and frame.phy_payload == LAB_1
    assert parser.feed(lines(b"8"), NOW_US + MAX_PAUSE_US + 2) == []


@pytest.mark.parametrize("line", [b"radio_rx  40XY", b"radio_rx  405", b"radio_rx", b"radio_rx  40 03", b"radio_rx 40"])
def test_damaged_frame_of_an_rn2483_is_noise_and_the_next_one_counts(line: bytes) -> None:
    found = heard("rn2483", lines(line, b"radio_rx  " + HEX))
    assert found[-1] == (LAB_1, None, None)
    assert reasons_of("rn2483", lines(line)) == ([] if line == b"radio_rx 40" else ["bad-line"])


# RAK


@pytest.mark.parametrize(
    ("stream", "found", "reasons"),
    [
        ([b"+EVT:RXP2P:-28:5:4865"], [(b"He", -28, 5)], []),
        ([b"", b"+EVT:RXP2P, RSSI -61, SNR 7", b"", b"+EVT:4865"], [(b"He", -61, 7)], []),
        ([b"+EVT:RXP2P, RSSI -61, SNR 7", b"OK", b"+EVT:4865"], [], ["no-payload", "stray-payload"]),
        ([b"+EVT:RXP2P, RSSI -61, SNR 7", b"+EVT:RXP2P:-28:5:4865"], [(b"He", -28, 5)], ["no-payload"]),
        ([b"+EVT:RX_1, RSSI -61, SNR 7", b"+EVT:15:4865"], [], []),
        ([b"+EVT:RX_1:-34:15:UNICAST:15:4865"], [], []),
        ([b"+EVT:RXP2P RECEIVE TIMEOUT", b"+EVT:TXP2P DONE", b"+EVT:JOINED", b"OK"], [], []),
        ([b"+EVT:RXP2P RECEIVE ERROR"], [], ["receive-error"]),
        ([b"+EVT:RXP2P:-28:5:486"], [], ["bad-line"]),
        ([b"+EVT:RXP2P:-28:4865"], [], ["bad-line"]),
        ([b"+EVT:RXP2P:loud:5:4865"], [], ["bad-line"]),
        ([b"at+recv=1,-65,6,2:4865"], [(b"He", -65, 6)], []),
        ([b"at+recv=0,-70,5,0"], [(b"", -70, 5)], []),
        ([b"at+recv=0,1,-73,24,2,4865"], [(b"He", -73, 24)], []),
        ([b"at+recv=0,1,-73,24,0"], [(b"", -73, 24)], []),
        ([b"at+recv=3,0,0", b"at+recv=2,0,0,0,0", b"ERROR: 6"], [], []),
        ([b"at+recv=1,-65,6,3:4865"], [], ["bad-line"]),
        ([b"at+recv=1,-65,6,2"], [], ["bad-line"]),
        ([b"at+recv=1,-65"], [], ["bad-line"]),
    ],
)
def test_lines_of_rak_modules(stream: list[bytes], found: list[object], reasons: list[str]) -> None:
    assert heard("rak", lines(*stream)) == found
    assert reasons_of("rak", lines(*stream)) == reasons


# Damage


@pytest.mark.parametrize(
    ("name", "line"),
    [("rn2483", b"radio_rx  " + HEX), ("rak", b"+EVT:RXP2P:-57:8:" + HEX), ("rak", b"at+recv=1,-65,6,21:" + HEX)],
)
def test_frame_behind_a_damaged_line_end_is_found(name: str, line: bytes) -> None:
    assert [frame.phy_payload for frame in frames_of(name, b"\xff\x00ok\x7f" + line + b"\r\n")] == [LAB_1]


@pytest.mark.parametrize("name", ["rn2483", "rak"])
def test_line_without_end_is_given_up_after_a_pause_and_the_next_one_counts(name: str) -> None:
    whole = {"rn2483": b"radio_rx  ", "rak": b"+EVT:RXP2P:-57:8:"}[name] + HEX
    parser = FORMATS[name]("gw1", UTC)
    parser.feed(whole[:30], NOW_US)
    (noise,) = parser.feed(b"", NOW_US + MAX_PAUSE_US + 1)
    assert isinstance(noise, Noise) and noise.reason is NoiseReason.TRUNCATED
    events = parser.feed(whole + b"\r\n", NOW_US + 2 * MAX_PAUSE_US) + parser.finish(NOW_US)
    assert [event.phy_payload for event in events if isinstance(event, Frame)] == [LAB_1]


def test_line_cut_short_by_the_end_of_input_is_no_frame() -> None:
    assert reasons_of("rak", b"+EVT:RXP2P:-57:8:4003") == ["truncated"]
    assert frames_of("rak", b"+EVT:RXP2P:-57:8:4003") == []


pieces = st.one_of(
    st.binary(max_size=30),
    st.sampled_from(
        [
            b"\n",
            b"\r\n",
            *(lines(b"radio_rx  " + digits) for digits in (HEX, b"40", b"4")),
            *(lines(text) for text in (b"8", b"-57", b"ok", b"radio_err", b"invalid_param")),
            b"radio_rx ",
            b"+EVT:",
            lines(b"+EVT:RXP2P:-57:8:" + HEX),
            lines(b"+EVT:RXP2P, RSSI -57, SNR 8"),
            lines(b"+EVT:" + HEX),
            lines(b"at+recv=1,-65,6,2:4865"),
            b"at+recv=",
            b"z" * 700,
        ]
    ),
)
streams = st.lists(pieces, max_size=12).map(b"".join)


@pytest.mark.parametrize("name", ["rn2483", "rak"])
@given(stream=streams, data=st.data())
def test_any_cut_gives_the_same_events(name: str, stream: bytes, data: st.DataObject) -> None:
    assert_any_cut_gives_the_same(name, stream, data)


@pytest.mark.parametrize("make", [rn2483_parser, rak_parser])
@given(chunks=st.lists(pieces | st.just(b""), max_size=12))
def test_any_bytes_are_survived_and_little_is_held(make: type, chunks: list[bytes]) -> None:
    parser = make("gw1", UTC)
    now_us = NOW_US
    for chunk in chunks:
        now_us += MAX_PAUSE_US + 1
        assert_events_are_sound(parser.feed(chunk, now_us))
        assert len(parser._lines._held) < MAX_LINE
    assert_events_are_sound(parser.finish(now_us))


@given(st.lists(st.binary(min_size=1, max_size=255), max_size=5), st.binary(max_size=100))
def test_every_frame_is_found_between_garbage(payloads: list[bytes], garbage: bytes) -> None:
    noise = garbage.replace(b"\n", b"") + b"\n"
    stream = b"".join(noise + lines(b"+EVT:RXP2P:-57:8:" + payload.hex().encode()) for payload in payloads)
    assert [frame.phy_payload for frame in frames_of("rak", stream)] == payloads
    stream = b"".join(noise + lines(b"radio_rx  " + payload.hex().encode()) for payload in payloads)
    assert [frame.phy_payload for frame in frames_of("rn2483", stream)] == payloads
