"""Captures of raw bytes: what is written is read again, whatever a power cut did to the file."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.captures.writer import SYNC_EVERY_S, CaptureWriter, PcapWriter
from lora_post.errors import ConfigError, SpoolError
from lora_post.formats.capture_file import MAGIC, MAX_DATA, data_lines, start_line
from lora_post.formats.loratap_pcap import pcap_record, write_pcap_header
from lora_post.model import Frame, Noise, NoiseReason, RxInfo
from tests.support.parsers import (
    LAB_1,
    NOW_US,
    assert_any_cut_gives_the_same,
    assert_events_are_sound,
    events_of,
    frames_of,
    reasons_of,
)

LINE = b"radio_rx  " + LAB_1.hex().encode() + b"\r\nok\r\n"
START = MAGIC + start_line(0, NOW_US, "rn2483", "/dev/ttyUSB0")
HEARD_US = 1_700_000_000_000_000


def lines(*chunks: bytes, step_us: int = 1000, stream: int = 0) -> bytes:
    return b"".join(
        line for n, chunk in enumerate(chunks) for line in data_lines(stream, HEARD_US + n * step_us, chunk)
    )


def test_capture_gives_the_frames_at_the_times_at_which_they_arrived() -> None:
    frames = frames_of("capture", START + lines(LINE, LINE, step_us=5_000_000))
    assert [(frame.gateway, frame.time_us, frame.phy_payload) for frame in frames] == [
        ("gw1", HEARD_US, LAB_1),
        ("gw1", HEARD_US + 5_000_000, LAB_1),
    ]


def test_streams_of_a_capture_have_parsers_of_their_own() -> None:
    middle = len(LINE) // 2
    stream = START + start_line(1, NOW_US, "reyax", "") + lines(LINE[:middle])
    stream += lines(b"+RCV=50,5,HELLO,-99,40\r\n", stream=1) + lines(LINE[middle:])
    assert sorted(len(frame.phy_payload) for frame in frames_of("capture", stream)) == [9, 21]


def test_format_that_was_not_known_then_is_found_out_now() -> None:
    assert len(frames_of("capture", MAGIC + start_line(0, 0, "auto", "stdin") + lines(LINE))) == 1


def test_what_was_given_up_in_a_pause_then_is_given_up_now() -> None:
    stream = START + lines(LINE[:20], LINE[20:], step_us=10_000_000)
    assert reasons_of("capture", stream)[0] == "truncated"
    assert frames_of("capture", stream) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"D 0 1 AAAA 00000000\n", "damaged"),
        (b"D 0 1 AAAA\n", "bad-line"),
        (b"hello\n", "bad-line"),
        (b"\n", "bad-line"),
        (b"lora-post-capture 2\n", "bad-header"),
        (start_line(3, NOW_US, "capture", ""), "bad-header"),
        (start_line(3, NOW_US, "no-such-format", ""), "bad-header"),
        (start_line(77, NOW_US, "rak", ""), "bad-header"),
        (lines(LINE, stream=9), "stray-payload"),
        (b"x" * 9000 + b"\n", "line-too-long"),
        (lines(LINE)[:-9], "truncated"),
    ],
)
def test_line_that_is_wrong_is_said_and_costs_only_itself(text: bytes, reason: str) -> None:
    good = lines(LINE)
    assert reasons_of("capture", START + good + text) == [reason]
    assert len(frames_of("capture", START + text + (b"\n" if reason == "truncated" else b"") + good)) == 1


@given(chunks=st.lists(st.binary(min_size=1, max_size=40), max_size=6), damage=st.binary(max_size=40), data=st.data())
def test_any_bytes_give_sound_events_however_the_file_is_cut(
    chunks: list[bytes], damage: bytes, data: st.DataObject
) -> None:
    stream = START + lines(*chunks) + damage + b"\n" + lines(LINE)
    assert_events_are_sound(events_of("capture", [stream]))
    assert_any_cut_gives_the_same("capture", stream, data)


# The writers


def frame(n: int = 0) -> Frame:
    return Frame("", HEARD_US + n, LAB_1, RxInfo(-57, 8.0, 12, 125.0, "4/5", 868.1))


def test_appending_goes_on_behind_what_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.capture"
    for torn in (b"", b"D 0 17000", b"\0" * 70_000):
        writer = CaptureWriter(path)
        writer.start(0, NOW_US, "rn2483", "stdin")
        writer.write(0, HEARD_US, LINE)
        writer.close()
        path.write_bytes(path.read_bytes() + torn)
    CaptureWriter(path).close()
    stream = path.read_bytes()
    assert len(frames_of("capture", stream)) == 3
    assert reasons_of("capture", stream) == []


def test_many_bytes_that_arrive_together_are_several_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.capture"
    writer = CaptureWriter(path)
    writer.start(0, NOW_US, "lines", "stdin")
    writer.write(0, HEARD_US, (LAB_1.hex().encode() + b"\n") * 1000)
    writer.close()
    assert len(frames_of("capture", path.read_bytes())) == 1000
    assert max(map(len, path.read_bytes().splitlines())) < 2 * MAX_DATA


@pytest.mark.parametrize("torn", [b"", b"\0\0", pcap_record(frame())[:-1], pcap_record(frame())[:10], bytes(4096)])
def test_appending_to_a_pcap_file_goes_on_behind_the_last_whole_packet(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(write_pcap_header() + pcap_record(frame()) + torn)
    writer = PcapWriter(path)
    writer.write(frame(1))
    writer.close()
    assert path.read_bytes() == write_pcap_header() + pcap_record(frame()) + pcap_record(frame(1))


@pytest.mark.parametrize("kind", [CaptureWriter, PcapWriter])
@pytest.mark.parametrize("size", [0, 5])
def test_file_whose_first_line_was_torn_begins_anew(tmp_path: Path, kind: type[CaptureWriter], size: int) -> None:
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    kind(whole).close()
    torn.write_bytes(whole.read_bytes()[:size])
    kind(torn).close()
    assert torn.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("kind", [CaptureWriter, PcapWriter])
def test_other_files_are_left_alone(tmp_path: Path, kind: type[CaptureWriter]) -> None:
    path = tmp_path / "diary"
    path.write_bytes(b"dear diary, today I wrote no capture\n")
    with pytest.raises(ConfigError, match="another kind"):
        kind(path)
    assert path.read_bytes() == b"dear diary, today I wrote no capture\n"
    with pytest.raises(ConfigError, match="No such file"):
        kind(tmp_path / "no" / "folder")


def test_two_programs_do_not_write_one_file(tmp_path: Path) -> None:
    writer = CaptureWriter(tmp_path / "a")
    with pytest.raises(ConfigError, match="another program"):
        CaptureWriter(tmp_path / "a")
    writer.close()
    CaptureWriter(tmp_path / "a").close()


def test_disk_is_told_to_write_at_most_every_thirty_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[float] = []
    monkeypatch.setattr(os, "fdatasync", lambda fd: synced.append(clock[0]))
    clock = [0.0]
    writer = CaptureWriter(tmp_path / "a", lambda: clock[0])
    for second in range(100):
        clock[0] = float(second)
        writer.write(0, HEARD_US, LINE)
    assert synced == [SYNC_EVERY_S, 61, 92]
    for second in range(100, 300):  # nothing arrives any more
        clock[0] = float(second)
        writer.write(0, HEARD_US, b"")
    writer.close()
    assert synced == [SYNC_EVERY_S, 61, 92, 123]


def test_record_that_a_full_disk_cuts_short_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    writer = CaptureWriter(path)
    writer.start(0, NOW_US, "rn2483", "stdin")
    whole, pwrite = path.read_bytes(), os.pwrite
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", lambda fd, data, at: pwrite(fd, data[:10], at))
        with pytest.raises(SpoolError, match="full"):
            writer.write(0, HEARD_US, LINE)
        patch.setattr(os, "pwrite", _no_space)
        with pytest.raises(SpoolError, match="No space"):
            writer.write(0, HEARD_US, LINE)
    assert path.read_bytes() == whole
    writer.write(0, HEARD_US, LINE)
    writer.close()
    assert [type(event) for event in events_of("capture", [path.read_bytes()])] == [Frame]


def _no_space(fd: int, data: bytes, at: int) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_noise_is_printable() -> None:
    (noise,) = events_of("capture", [b"\x1b[2J\n"])
    assert isinstance(noise, Noise) and noise.reason is NoiseReason.BAD_LINE and noise.detail.isprintable()
