"""The way back to LowCostLoRaGw's radio program: its file, and what it prints."""

from __future__ import annotations

import json
import logging
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from lora_post.downlink.transmit import Downlink, Transmission, Window
from lora_post.inputs.downlink_file import FILE, LOOK_US, WRITE_US, DownlinkFile
from lora_post.lorawan.region import load_region
from lora_post.metrics import Metrics
from lora_post.model import Frame, RxInfo
from lora_post.times import WallUs
from tests.support.build import NOON_US

REGION = load_region("EU868")
ANSWER = bytes.fromhex("60da1b01262000000102030405")
HEARD_US = 1_790_000_000_000_000
TMST = HEARD_US % 2**32


class Program:
    """A radio program that has just heard a frame, and the machine's clock."""

    def __init__(self, folder: Path, tmst: int | None = TMST, *, after_us: int = 10_000) -> None:
        self.folder = folder
        self.told: list[Transmission] = []
        now = HEARD_US - TMST + (tmst or 0) + after_us
        self.metrics = Metrics()
        self.way_back = DownlinkFile(folder, self.metrics, lambda: WallUs(now))
        self.hear(tmst)

    def hear(self, tmst: int | None) -> None:
        self.way_back.heard([Frame("gw1", NOON_US, b"x", RxInfo(), tmst=tmst)])

    def answer(self, delay_s: int, tmst: int = TMST, windows: str = "RX1 RX2") -> None:
        rx1 = REGION.rx1(868_100_000, 12, 125_000)
        assert rx1 is not None
        found = {
            "RX1": Window("RX1", (tmst + delay_s * 1_000_000) % 2**32, rx1),
            "RX2": Window("RX2", (tmst + (delay_s + 1) * 1_000_000) % 2**32, REGION.rx2_slot()),
            "C": Window("C", None, REGION.rx2_slot()),
        }
        chosen = tuple(found[name] for name in windows.split())
        self.way_back.send(Downlink("answer", "gw1", ANSWER, chosen, self.told.append))

    def request(self) -> dict[str, Any] | None:
        path = self.folder / FILE
        return json.loads(path.read_text())["txpk"] if path.exists() else None

    def results(self) -> dict[str, int]:
        return {result: int(count) for (name, result), count in self.metrics.snapshot() if name == "downlinks"}


@pytest.mark.parametrize("delay_s", [1, 5])
def test_answer_is_written_as_the_program_reads_it(tmp_path: Path, delay_s: int) -> None:
    program = Program(tmp_path)
    assert program.way_back.station("gw1") is not None
    program.answer(delay_s)
    request = program.request()
    assert request is not None
    assert (request["tmst"], request["imme"], request["ipol"]) == (TMST + delay_s * 1_000_000, False, True)
    assert (request["modu"], request["datr"], request["size"]) == ("LORA", "SF12BW125", len(ANSWER))
    assert b64decode(request["data"]) == ANSWER and request["ant"] == request["brd"] == 0
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize(
    ("after_us", "tmst"),
    [
        (1_000_000 - LOOK_US - WRITE_US, 1_000_000),
        (1_000_001 - LOOK_US - WRITE_US, 2_000_000),
        (2_000_001 - LOOK_US - WRITE_US, None),
    ],
)
def test_window_whose_look_is_over_is_left_out(tmp_path: Path, after_us: int, tmst: int | None) -> None:
    program = Program(tmp_path, after_us=after_us)
    program.answer(1)
    request = program.request()
    assert (request["tmst"] - TMST if request else None) == tmst
    if tmst is None:
        assert program.told[0].is_sent is False and "too late" in program.told[0].why


@pytest.mark.parametrize("delay_s", [2, 3, 7])
def test_delays_that_the_program_would_take_for_another_window_are_refused(tmp_path: Path, delay_s: int) -> None:
    program = Program(tmp_path)
    program.answer(delay_s, windows="RX1")
    assert program.request() is None and "rx_delay_s" in program.told[0].why


def test_window_across_the_wrap_is_refused(tmp_path: Path) -> None:
    tmst = 2**32 - 1_500_000
    program = Program(tmp_path, tmst)
    program.answer(5, tmst)
    assert program.request() is None and "wraps" in program.told[0].why
    program.answer(1, tmst)
    request = program.request()
    assert request is not None and request["tmst"] == tmst + 1_000_000


@pytest.mark.parametrize(("tmst", "windows"), [(TMST, "C"), (None, "RX1 RX2")])
def test_only_uplinks_are_answered(tmp_path: Path, tmst: int | None, windows: str) -> None:
    program = Program(tmp_path, tmst)
    program.answer(1, windows=windows)
    assert program.request() is None and "answers uplinks only" in program.told[0].why


def test_only_the_last_reception_is_answered(tmp_path: Path) -> None:
    program = Program(tmp_path)
    program.hear(TMST + 300_000)
    program.answer(1)
    assert program.request() is None and "last reception" in program.told[0].why


@pytest.mark.parametrize(
    ("printed", "is_sent", "why"),
    [
        ([b"^$Target RX1\n^$Packet sent in 40\n"], True, ""),
        ([b"^$Pac", b"ket sent\n"], True, ""),
        ([b"^$WARNING: too late for RX1, try RX2\n", b"^$Packet sent\n"], True, ""),
        ([b"^$Send error\n"], False, "the radio program says: Send error"),
        ([b"^$WARNING: downlink tmst in the past, abort\n"], False, "says: downlink tmst in the past, abort"),
    ],
)
def test_what_the_program_says_of_it_is_told(
    tmp_path: Path, printed: list[bytes], is_sent: bool, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    program = Program(tmp_path)
    program.way_back.listen(b"^$Packet sent\n", WallUs(0))  # of nobody's
    program.answer(1)
    for data in printed:
        program.way_back.listen(data, WallUs(0))
    program.way_back.listen(b"^$Packet sent\n", WallUs(0))
    (told,) = program.told
    assert told.is_sent is is_sent and why in told.why
    assert "by the radio program" in caplog.text


def test_program_that_says_nothing_until_the_next_frame(tmp_path: Path) -> None:
    program = Program(tmp_path)
    program.answer(1)
    program.hear(TMST + 60_000_000)
    assert [each.is_sent for each in program.told] == [None]


def test_folder_that_cannot_be_written_is_no_way_back(tmp_path: Path) -> None:
    program = Program(tmp_path / "missing")
    assert program.way_back.station("gw1") is None
    program.answer(1)
    assert program.told[0].is_sent is False and FILE in program.told[0].why
