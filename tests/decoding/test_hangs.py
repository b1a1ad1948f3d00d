from __future__ import annotations

import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from lora_post.decoding.choice import Decoding
from lora_post.decoding.hangs import MAX_HANGS, LimitedDecoding, time_text, watched_loading
from lora_post.decoding.loading import LoadedDecoders, load_decoder
from lora_post.decoding.reload import LOOK_EVERY_S, DecoderFolder, LiveDecoding
from lora_post.decoding.time_limit import Overrun, TimeLimit
from lora_post.errors import DecoderCrash
from lora_post.metrics import Metrics
from lora_post.model import Device, Frame
from lora_post.run.pipeline import Pipeline
from lora_post.spool.ledger import MemoryLedger
from lora_post.uplink.model import Report, Uplink
from lora_post.uplink.outcome import Outcome
from lora_post.uplink.unlock import seal_lorawan
from tests.support.build import KEYS, device, frame
from tests.support.command import PATIENCE_S
from tests.support.paths import FIXTURES

HOSTILE = FIXTURES / "hostile_plugins"
LIMIT_S = 0.1
GOOD = """
from lora_post import Decoder, Reading
DECODER = Decoder("{name}", lambda payload, fport: [Reading("x", payload[0])], "v", "m", "s", [])
"""
HANGS = "decoder hangs: {name} gave no result in 0.1 s"
CONTAINED = {
    "catches_everything_once": HANGS,
    "leaves": "DecoderCrash: SystemExit: 3",
    "loops": HANGS,
    "loops_in_cleanup": HANGS,
    "loops_in_error_text": HANGS,
    "naps": HANGS,
    "raises_keyboard_interrupt": "DecoderCrash: KeyboardInterrupt",
    "raises_liar": "DecoderCrash",
    "raises_own_base_exception": "Leave",
    "recurses": "RecursionError",
    "returns_oddities": "returned a Odd, want a list",
    "wants_all_memory": "DecoderCrash",
}
CANNOT_BE_LOADED = {"loops_at_top"}
CANNOT_BE_ENDED = {"catches_everything", "loops_in_engine"}


@pytest.fixture
def watch() -> Iterator[TimeLimit]:
    with TimeLimit(LIMIT_S) as watch:
        yield watch


def in_thread(pipeline: Pipeline, *frames: Frame) -> None:
    """As an input does it."""
    thread = Thread(target=pipeline.handle, args=(frames,))
    thread.start()
    thread.join()


def test_every_hostile_plug_in_has_an_expectation() -> None:
    assert CONTAINED.keys() | CANNOT_BE_LOADED | CANNOT_BE_ENDED == {path.stem for path in HOSTILE.glob("*.py")}


@pytest.mark.parametrize("name", CONTAINED)
def test_pipeline_survives_a_hostile_plug_in_and_decodes_the_next_frame(name: str, tmp_path: Path) -> None:
    bad_decoder = load_decoder(HOSTILE / f"{name}.py")
    good_file = tmp_path / "good.py"
    good_file.write_text(GOOD.format(name="good"))
    decoders = {bad_decoder.name: bad_decoder, "good": load_decoder(good_file)}
    hostile, good = device("hostile", address=1, decoder=bad_decoder.name), device("good", address=2, decoder="good")
    outcomes: list[Outcome] = []
    # A plug-in that fails by itself has the time that a loaded machine takes for it.
    with TimeLimit(LIMIT_S if CONTAINED[name] is HANGS else 60.0) as watch:
        decoding = LimitedDecoding(Decoding([hostile, good], decoders), decoders, watch)
        pipeline = Pipeline(MemoryLedger([hostile, good]), decoding.decode, Metrics(), outcomes.append)
        for fcnt in (1, 2):
            bad_frame, good_frame = (frame(seal_lorawan(KEYS, address, fcnt, 5, b"\7")) for address in (1, 2))
            in_thread(pipeline, bad_frame, good_frame)
    reports = [outcome for outcome in outcomes if isinstance(outcome, Report)]
    assert [report.uplink.device.id for report in reports] == ["hostile", "good", "hostile", "good"]
    for report in reports[::2]:
        assert report.readings == ()
        assert CONTAINED[name].format(name=bad_decoder.name) in (report.problem or "")
    for report in reports[1::2]:
        assert [reading.value for reading in report.readings] == [7]
        assert report.problem is None


def test_file_that_hangs_while_it_is_loaded_is_reported(watch: TimeLimit) -> None:
    with pytest.raises(DecoderCrash, match=r"loops_at_top\.py: took longer than 0\.1 s to load"):
        watched_loading(watch)(HOSTILE / "loops_at_top.py")


ALONE = """
import sys
from pathlib import Path
from threading import Thread
from lora_post.decoding.loading import load_decoder
from lora_post.decoding.time_limit import Overrun, TimeLimit

decoder = load_decoder(Path(sys.argv[1]))
with TimeLimit(0.1, give_up_s=0.6) as watch:
    thread = Thread(target=watch.call, args=(lambda payload: decoder.decode(payload, 1), b"x"))
    thread.start()
    thread.join()
"""


@pytest.mark.parametrize("name", sorted(CANNOT_BE_ENDED))
def test_what_cannot_be_ended_ends_the_process_and_says_where_it_was(name: str) -> None:
    path = HOSTILE / f"{name}.py"
    ended = subprocess.run(
        [sys.executable, "-c", ALONE, str(path)], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert ended.returncode == 1
    assert f'File "{path}", line ' in ended.stderr


def test_line_is_that_of_the_hang_though_more_overruns_come_while_the_call_ends(watch: TimeLimit) -> None:
    def hang() -> None:
        raise Overrun

    with pytest.raises(Overrun) as ended:
        try:
            try:
                hang()
            finally:
                raise Overrun
        finally:
            raise Overrun
    line = hang.__code__.co_firstlineno + 1
    assert time_text(watch, ended.value) == f"0.1 s (test_hangs.py line {line})"


class Site:
    """A folder with one decoder, followed by a running lora-post."""

    def __init__(self, folder: Path, watch: TimeLimit) -> None:
        self.device: Device = device(decoder="a")
        self.path = folder / "a.py"
        self.clock = 0.0
        self.write_hanging()
        decoders = DecoderFolder(folder)
        first = decoders.load()
        decoding = LimitedDecoding(Decoding([self.device], first.decoders), first.decoders, watch)
        self.live = LiveDecoding(decoding, LoadedDecoders({}, ()), decoders, first, lambda: self.clock)

    def write_hanging(self) -> None:
        self.path.write_text((HOSTILE / "loops.py").read_text().replace('"loops"', '"a"'))

    def problem(self) -> str:
        self.clock += LOOK_EVERY_S
        return self.live.decode(Uplink(frame(), self.device, 7, 2, b"\7", True)).problem or ""


def test_decoder_that_hangs_again_and_again_is_set_aside_until_its_file_changes(
    tmp_path: Path, watch: TimeLimit, caplog: pytest.LogCaptureFixture
) -> None:
    site = Site(tmp_path, watch)
    assert ["gave no result" in site.problem() for _ in range(MAX_HANGS)] == [True] * MAX_HANGS
    problems = {site.problem() for _ in range(5)}
    assert problems == {"DecoderHang: a is set aside because it hung 3 times, until its file changes"}
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    hang = r"decoder=a hangs: no result in 0\.1 s \(a\.py line [78]\)"
    assert len(errors) == MAX_HANGS
    assert all(re.match(hang, error) for error in errors)
    assert [error.endswith("; set aside until its file changes") for error in errors] == [False, False, True]
    site.path.write_text(GOOD.format(name="a"))
    assert site.problem() == ""


def test_decoder_that_was_changed_and_still_hangs_has_its_chances_anew(tmp_path: Path, watch: TimeLimit) -> None:
    site = Site(tmp_path, watch)
    for _ in range(MAX_HANGS):
        site.problem()
    assert "set aside" in site.problem()
    site.path.write_text(site.path.read_text() + "# changed\n")
    assert "gave no result" in site.problem()
