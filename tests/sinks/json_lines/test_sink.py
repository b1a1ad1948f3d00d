"""The file of [json_lines], as a crash, a full disk and rotation leave it."""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path

import pytest

from lora_post.errors import OutcomeUnknown, SinkError, Unavailable
from lora_post.sinks.json_lines.sink import JsonLinesFile, JsonLinesOutput
from lora_post.spool.model import Batch, Lane
from tests.support.build import NOON_US

pytestmark = pytest.mark.usefixtures("believed_clock")

LANE = Lane(1, "pond-7", "temperature_3", "°C", "", 3)


def batch(*values: object, lane: Lane = LANE, start: int = 0) -> Batch:
    times = tuple(NOON_US + (start + index) * 1_000_000 for index in range(len(values)))
    return Batch(lane, times, tuple(json.dumps(value).encode() for value in values))


def sink(path: Path, *, max_bytes: int = 1 << 20, keep: int = 3) -> JsonLinesFile:
    made = JsonLinesFile(path, max_bytes=max_bytes, keep=keep)
    made.prepare()
    return made


def values(path: Path) -> list[object]:
    return [json.loads(line)["value"] for line in path.read_text().splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "readings.jsonl"


def test_line_has_the_documented_shape(path: Path) -> None:
    sink(path).send(batch(27.2))
    assert path.read_bytes().decode() == (
        '{"device":"pond-7","sensor":"temperature_3","value":27.2,"unit":"°C","quantity":"Temperature",'
        '"time":"2026-03-01T12:00:00Z"}\n'
    )


def test_nothing_that_came_by_radio_ends_a_line_or_reaches_a_terminal(path: Path) -> None:
    strange = Lane(2, "pond-7", "a\nb\x1b[2J/../\u2028", "", "", None)
    sink(path).send(batch("x\ny\x1b\u202e\u2028", {"k\n": ["\x85"]}, lane=strange))
    text = path.read_text()
    assert text.count("\n") == 2
    assert all(line.isprintable() for line in text.split("\n"))
    assert values(path) == ["x\ny\x1b\u202e\u2028", {"k\n": ["\x85"]}]


def test_full_file_is_rotated_and_the_oldest_is_given_up(path: Path) -> None:
    writer = sink(path, max_bytes=100, keep=2)
    for index in range(5):
        writer.send(batch(index, start=index))
    assert [values(path.with_name(name)) for name in ("readings.jsonl.2", "readings.jsonl.1", "readings.jsonl")] == [
        [2],
        [3],
        [4],
    ]
    assert len(list(path.parent.iterdir())) == 3


def test_rotation_that_a_crash_cut_short_loses_nothing_more(path: Path) -> None:
    writer = sink(path, max_bytes=100, keep=3)
    for index in range(4):
        writer.send(batch(index, start=index))
    path.with_name("readings.jsonl.1").rename(path.with_name("readings.jsonl.1-as-if-gone"))
    writer.send(batch(4, start=4))
    assert [values(path.with_name(f"readings.jsonl.{n}")) for n in (3, 2, 1)] == [[0], [1], [3]]


def test_without_full_files_to_keep_it_starts_anew(path: Path) -> None:
    writer = sink(path, max_bytes=100, keep=0)
    writer.send(batch(1))
    writer.send(batch(2, start=1))
    assert values(path) == [2]
    assert len(list(path.parent.iterdir())) == 1


@pytest.mark.parametrize("torn", [b'{"device":"pond-7","sen', b"{", b"\0\0\0", b'{"device":"p\0\0'])
def test_torn_last_line_is_repaired(path: Path, torn: bytes, caplog: pytest.LogCaptureFixture) -> None:
    sink(path).send(batch(1))
    with path.open("ab") as file:
        file.write(torn)
    sink(path).send(batch(2, start=1))
    assert values(path) == [1, 2]
    assert "cut off by a crash" in caplog.text


def test_only_a_torn_line_is_repaired_too(path: Path) -> None:
    path.write_bytes(b'{"dev')
    sink(path).send(batch(2))
    assert values(path) == [2]


@pytest.mark.parametrize("content", [b"root:x:0:0", b"line\nanother program's", b"x" * (2 << 20)])
def test_file_of_another_program_is_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(Unavailable, match="not end like a file of lora-post"):
        sink(path, max_bytes=4 << 20).send(batch(1))
    assert path.read_bytes() == content


def test_what_is_in_the_file_after_a_crash_is_not_written_again(path: Path) -> None:
    sink(path).send(batch(*range(5)))
    after = sink(path)
    assert after.stored(batch(*range(8)), 8) == list(batch(*range(5)).times_us)
    assert after.stored(batch(*range(100, 105)), 5) == []  # other values at these times
    # Still so when other sensors have gone on in the meantime.
    other = Lane(2, "pond-7", "h", "", "", None)
    for index in range(30):
        after.send(batch(*range(100), lane=other, start=index * 100))
    assert len(after.stored(batch(*range(5)), 5)) == 5


def test_what_went_out_just_before_a_rotation_is_found_after_a_crash(path: Path) -> None:
    sink(path, max_bytes=100).send(batch(1))
    path.rename(path.with_name("readings.jsonl.1"))
    assert len(sink(path).stored(batch(1), 1)) == 1


def test_what_this_process_wrote_is_known_without_a_look(path: Path) -> None:
    writer = sink(path)
    writer.send(batch(1, 2))
    path.unlink()
    assert len(writer.stored(batch(1, 2, 3), 3)) == 2


def test_full_disk_leaves_no_half_batch(path: Path) -> None:
    """A limit on the size of files fails a write in its middle, as a full disk does."""
    import signal

    writer = sink(path)
    writer.send(batch(1))
    size = path.stat().st_size
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 150, hard))
    try:
        with pytest.raises(Unavailable):
            writer.send(batch(2, 3, start=1))
        assert path.stat().st_size == size
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert writer.stored(batch(2, 3, start=1), 2) == []
    writer.send(batch(2, 3, start=1))
    assert values(path) == [1, 2, 3]


def test_place_that_cannot_be_written_is_trouble_that_passes(tmp_path: Path) -> None:
    folder = tmp_path / "usb"
    writer = JsonLinesFile(folder / "x.jsonl", max_bytes=100, keep=1)
    writer.prepare()
    with pytest.raises(Unavailable, match="No such file"):
        writer.send(batch(1))
    folder.mkdir()
    writer.send(batch(1))
    assert values(folder / "x.jsonl") == [1]


def test_what_is_no_file_is_not_written(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for place in (pipe, tmp_path):
        writer = JsonLinesFile(place, max_bytes=1 << 20, keep=1)
        with pytest.raises(SinkError):
            writer.send(batch(1))


def test_output_without_a_reader_is_unavailable() -> None:
    reading, writing = os.pipe()
    output = JsonLinesOutput(writing)
    output.send(batch(1))
    assert json.loads(os.read(reading, 1000))["value"] == 1
    assert len(output.stored(batch(1, 2), 2)) == 1
    os.close(reading)
    with pytest.raises(Unavailable, match="its reader has ended"):
        output.send(batch(2))
    os.close(writing)
    with pytest.raises(OutcomeUnknown):
        output.send(batch(2))
    assert output.stored(batch(2), 1) == []  # the one before it had the same time
