"""Formats are found out, and never in silence when they are not."""

from __future__ import annotations

import logging
from datetime import UTC
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lora_post.formats import FORMATS
from lora_post.formats.auto import MAX_HELD, MAX_NOISE, SAY_AFTER, AutoParser
from lora_post.formats.guarded import GuardedParser
from lora_post.formats.signatures import MAGIC_SIZE, MAGICS, formats_of
from lora_post.model import Frame, Noise, NoiseReason
from tests.support.parsers import FIXTURES, LAB_1, NOW_US, assert_any_cut_gives_the_same, assert_events_are_sound, cut

CAPTURES = sorted(path for name in FORMATS for path in FIXTURES.glob(f"*.{name}"))
IDS = [path.name for path in CAPTURES]
LINE = b"radio_rx  " + LAB_1.hex().encode() + b"\r\n"
CHATTER = [
    b"^$Low-level gw status ON\n",
    b"INFO: [main] concentrator started\n",
    b"ok\r\n4294967245\r\n",
    b"OK\r\n+READY\r\n",
    b"-57\r\n8\r\n",
    b"\r\n\n",
    b"2026-03-01 12:00:00 started\n1772366400\n",
    b'{"hello": 1}\n{"a"\n',
    b"\xff\xfe\x00\x01 line noise \x80\n",
    b"# a comment\n",
    b"bm90IGEgZnJhbWUgYXQgYWxs\n",
]


def auto() -> AutoParser:
    parser = FORMATS["auto"]("gw1", UTC)
    assert isinstance(parser, GuardedParser) and isinstance(parser.inner, AutoParser)
    return parser.inner


def read(parser: AutoParser, *chunks: bytes) -> list[Frame | Noise]:
    found = [event for chunk in chunks for event in parser.feed(chunk, NOW_US)]
    return found + parser.finish(NOW_US)


def unknown(events: list[Frame | Noise]) -> list[str]:
    return [e.detail for e in events if isinstance(e, Noise) and e.reason is NoiseReason.UNKNOWN_FORMAT]


@pytest.mark.parametrize("capture", CAPTURES, ids=IDS)
def test_capture_is_recognised_and_gives_what_its_own_parser_gives(capture: Path) -> None:
    name, stream = capture.suffix[1:], capture.read_bytes()
    for size in (1, 7, 4096):
        parser, own = auto(), FORMATS[name]("gw1", UTC)
        expected = [event for chunk in cut(stream, size) for event in own.feed(chunk, NOW_US)]
        assert read(parser, *cut(stream, size)) == expected + own.finish(NOW_US)
        assert parser.chosen == name


@pytest.mark.parametrize("capture", [path for path in CAPTURES if path.suffix not in (".pcap", ".capture")], ids=str)
@settings(max_examples=8)
@given(chatter=st.lists(st.sampled_from(CHATTER), max_size=5).map(b"".join))
def test_chatter_before_the_first_frame_misleads_nobody(capture: Path, chatter: bytes) -> None:
    parser = auto()
    read(parser, chatter + capture.read_bytes())
    assert parser.chosen == capture.suffix[1:]


@given(noise=st.binary(max_size=300), data=st.data())
def test_noise_before_the_first_line_misleads_nobody_however_it_is_cut(noise: bytes, data: st.DataObject) -> None:
    stream = noise + b"\n" + 3 * LINE
    assume(stream[:MAGIC_SIZE] not in MAGICS)  # line ends alone can be the beginning of a pcapng file
    assert_any_cut_gives_the_same("auto", stream, data)
    parser = auto()
    assert any(isinstance(event, Frame) for event in read(parser, stream))
    assert parser.chosen == "rn2483"


@pytest.mark.parametrize(
    ("line", "formats"),
    [
        (b'{"rxpk":[]}', {"rxpk"}),
        (b'{"data":"QANc","freq":868.1}', {"rxpk"}),
        (b'{"deviceInfo":{},"data":"QANc"}', {"chirpstack"}),
        (b'{"devEUI":"AA==","fCnt":1,"data":"QANc"}', {"chirpstack"}),
        (b'{"end_device_ids":{},"uplink_message":{}}', {"ttn"}),
        (b'{"payload_raw":"QANc"}', {"ttn"}),
        (b'application/1/device/2/event/up {"deviceInfo":{}}', {"chirpstack"}),
        (b'v3/farm@ttn/devices/pond/up {"uplink_message":{}}', {"ttn"}),
        (b'{"rxpk":[],"uplink_message":{}}', {"rxpk", "ttn"}),
        (b"^p1,16,3,0,15,8,-54", {"lowcost"}),
        (b"^p1,16,3", set()),
        (b"+RCV=50,5,HELLO,-99,40", {"reyax"}),
        (b"at+recv=1,-65,6,2:4865", {"rak"}),
        (LAB_1.hex().encode(), {"lines"}),
        (b"0x" + LAB_1.hex(":").encode(), {"lines"}),
        (b"4865", set()),
        (b"1772366400", set()),
    ],
)
def test_line_tells_these_formats(line: bytes, formats: set[str]) -> None:
    assert formats_of(line) == formats


def test_hex_of_unknown_frames_is_believed_when_there_is_more_of_it() -> None:
    parser = auto()
    line = bytes(range(0xE0, 0xF0)).hex().encode() + b"\n"
    assert parser.feed(line, NOW_US) == []
    assert len(parser.feed(line, NOW_US)) == 2
    assert parser.chosen == "lines"


def test_frames_keep_the_times_at_which_they_arrived_before_the_format_was_known() -> None:
    parser = auto()
    line = bytes(range(0xE0, 0xF0)).hex().encode() + b"\n"
    parser.feed(line, NOW_US)
    frames = parser.feed(line, NOW_US + 60_000_000)
    assert [frame.time_us - NOW_US for frame in frames if isinstance(frame, Frame)] == [0, 60_000_000]


def test_choice_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    read(auto(), LINE, LINE)
    assert caplog.text.count("format is rn2483") == 1


def test_what_stays_unknown_is_said_with_the_formats_to_choose_from() -> None:
    (detail,) = unknown(read(auto(), b"hello\nworld\n"))
    for name in FORMATS:
        assert name in detail or name == "auto"
    assert read(auto()) == []


def test_live_input_that_stays_unknown_is_said_early_and_held_in_bounds() -> None:
    parser = auto()
    events = [event for _ in range(2400) for event in parser.feed(b"what is this? " * 31 + b"\n", NOW_US)]
    first = parser.feed(b"", NOW_US)
    assert first == []
    details = unknown(events)
    assert len(details) >= 3
    assert len(parser._held) <= MAX_HELD
    noise = next(event for event in events if isinstance(event, Noise))
    assert SAY_AFTER < noise.size < 2 * SAY_AFTER
    assert isinstance(parser.feed(LINE, NOW_US) + parser.finish(NOW_US), list)
    assert parser.chosen == "rn2483"


def test_only_noise_from_the_chosen_parser_is_said() -> None:
    parser = auto()
    events = read(parser, LAB_1.hex().encode() + b"\n", b"not hex at all\n" * MAX_NOISE)
    (detail,) = unknown(events)
    assert "no frame: if this is not lines" in detail and "lowcost" in detail


@given(stream=st.binary(max_size=600))
def test_any_bytes_give_sound_events(stream: bytes) -> None:
    assert_events_are_sound(read(auto(), *cut(stream, 50)))
