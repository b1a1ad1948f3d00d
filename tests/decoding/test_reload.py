from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from lora_post.decoding.choice import Decoding
from lora_post.decoding.loading import load_folder
from lora_post.decoding.reload import LOOK_EVERY_S, ChangedDecoders, DecoderFolder, LiveDecoding
from lora_post.uplink.model import Report, Uplink
from tests.support.build import device, frame

FILE = """
from lora_post import ConfigError, Decoder, Reading
def decode(payload, fport):
    return [Reading("x", {value})]
DECODER = Decoder("{name}", decode, "v", "m", "s", [], {configure})
"""
NO_OPTIONS, ANY_OPTIONS = "None", "lambda options: decode"


class Running:
    """A running lora-post as far as its decoders go, with a shipped folder, a folder of its own and a clock."""

    def __init__(self, tmp_path: Path, options: dict[str, object] | None = None) -> None:
        self.folder = tmp_path / "own"
        self.folder.mkdir()
        shipped = tmp_path / "shipped"
        shipped.mkdir()
        (shipped / "a.py").write_text(FILE.format(name="a", value=0, configure=ANY_OPTIONS))
        self.device = device(decoder="a", options=options or {})
        self.shipped = load_folder(shipped)
        self.clock = 1000.0
        self.told: list[list[str]] = []

    def write(self, file: str = "a.py", name: str = "a", value: object = 1, configure: str = ANY_OPTIONS) -> Path:
        path = self.folder / file
        path.write_text(FILE.format(name=name, value=value, configure=configure))
        return path

    def start(self) -> Running:
        folder = DecoderFolder(self.folder)
        first = folder.load()
        decoding = Decoding([self.device], self.shipped.decoders | first.decoders)
        changed = ChangedDecoders()
        changed.tell = lambda names: self.told.append(list(names))
        self.live = LiveDecoding(decoding, self.shipped, folder, first, lambda: self.clock, changed)
        return self

    def report(self, wait_s: float = LOOK_EVERY_S) -> Report:
        """What an uplink gives that comes so much later."""
        self.clock += wait_s
        return self.live.decode(Uplink(frame(), self.device, 7, 2, b"\x01", True))

    def value(self, wait_s: float = LOOK_EVERY_S) -> object:
        report = self.report(wait_s)
        return report.readings[0].value if report.readings else report.problem


def test_changed_file_is_used_for_the_next_uplink_even_when_size_and_second_are_the_same(tmp_path: Path) -> None:
    running = Running(tmp_path)
    path = running.write(value=1)
    running.start()
    assert running.value() == 1
    second = path.stat().st_mtime_ns // 10**9 * 10**9
    for value in (2, 3):
        running.write(value=value)
        os.utime(path, ns=(second, second + value))
        assert running.value() == value


def test_who_shows_devices_is_told_which_decoders_are_others_now(tmp_path: Path) -> None:
    running = Running(tmp_path)
    running.write(value=1)
    running.write("b.py", name="b")
    running.start()
    assert running.value() == 1 and running.told == []
    running.write(value=22)
    running.write("c.py", name="c")
    assert running.value() == 22
    assert running.told == [["a", "c"]]


def test_folder_is_looked_at_every_two_seconds_at_most(tmp_path: Path) -> None:
    running = Running(tmp_path)
    running.write(value=1)
    running.start()
    running.write(value=22)
    assert running.value(wait_s=1.9) == 1
    assert running.value(wait_s=0.1) == 22
    running.write(value=333)
    assert running.value(wait_s=1.9) == 22
    assert running.value(wait_s=0.1) == 333


def test_added_file_goes_before_the_shipped_one_and_a_removed_one_gives_it_back(tmp_path: Path) -> None:
    running = Running(tmp_path).start()
    assert running.value() == 0
    path = running.write(value=1)
    assert running.value() == 1
    path.unlink()
    assert running.value() == 0


def test_decoder_that_nothing_replaces_is_gone_with_its_file_and_back_with_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    running = Running(tmp_path)
    running.device = device(decoder="mine")
    path = running.write("mine.py", "mine")
    running.start()
    assert running.value() == 1
    path.unlink()
    assert running.value() == "no decoder is called 'mine'"
    assert "device=pond-7: there is no decoder 'mine'; known are a" in caplog.text
    running.write("mine.py", "mine", 2)
    assert running.value() == 2


@pytest.mark.parametrize("text", ["def decode(:", "1 / 0", "DECODER = 5", ""])
def test_file_that_fails_keeps_the_old_decoder_and_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    running = Running(tmp_path)
    path = running.write(value=1)
    running.start()
    path.write_text(text)
    for _ in range(3):
        assert running.value() == 1
    running.write("other.py", "other")
    assert running.value() == 1
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(said) == 1
    assert said[0].startswith(f"decoder: {path}: ")
    assert said[0].endswith("the decoder that it gave before goes on")
    running.write(value=2)
    assert running.value() == 2


def test_file_that_never_loaded_is_told_of_once_and_used_when_it_is_put_right(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    running = Running(tmp_path).start()
    (running.folder / "a.py").write_text("1 / 0")
    for number in range(3):
        running.write("other.py", "other", number)
        assert running.value() == 0
    assert caplog.text.count("ZeroDivisionError") == 1
    running.write(value=1)
    assert running.value() == 1


def test_unchanged_files_are_not_loaded_again(tmp_path: Path) -> None:
    running = Running(tmp_path)
    path = running.write()
    path.write_text(path.read_text() + "with open(__file__ + '.log', 'a') as log:\n    log.write('loaded ')\n")
    running.start()
    running.write("other.py", "other")
    running.report()
    assert path.with_name("a.py.log").read_text() == "loaded "


def test_device_keeps_its_decoder_when_the_changed_one_refuses_its_options(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    running = Running(tmp_path, options={"step": 5})
    running.write(value=1)
    running.start()
    running.write(value=2, configure=NO_OPTIONS)
    assert running.value() == 1
    assert "device=pond-7: options: decoder 'a' has no options; remove step" in caplog.text


def test_folder_that_comes_later_is_found_and_one_that_goes_changes_nothing(tmp_path: Path) -> None:
    running = Running(tmp_path)
    running.folder.rmdir()
    running.start()
    assert running.value() == 0
    running.folder.mkdir()
    running.write(value=1)
    assert running.value() == 1
    running.folder.rename(tmp_path / "elsewhere")
    assert running.value() == 1
