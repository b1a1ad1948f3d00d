"""Frames that were kept of a stranger are decoded once it is a device: each once, whatever comes in between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from lora_post.metrics import Metrics
from lora_post.model import Device, FCntPolicy, Frame, Reading
from lora_post.run.pipeline import Pipeline
from lora_post.run.readmit import readmit
from lora_post.spool import strangers
from lora_post.spool.ledger import SpoolLedger
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from lora_post.uplink.model import Refusal, Report, Uplink
from lora_post.uplink.outcome import Outcome
from lora_post.uplink.unlock import seal_lorawan
from tests.support.build import KEYS, NOON_US, device, frame, lowcost_device

POND = device()
KNOWN = device("barn", address=0x26010001)


@pytest.fixture
def spool_file(tmp_path: Path) -> Iterator[SpoolFile]:
    with closing(SpoolFile(tmp_path / "spool.db")) as found:
        yield found


def sent(fcnt: int) -> Frame:
    return frame(seal_lorawan(KEYS, POND.address or 0, fcnt, 2, b"\1"), NOON_US + fcnt)


class Run:
    """A pipeline over the spool, with what came out of it."""

    def __init__(self, spool_file: SpoolFile, *devices: Device) -> None:
        writer = QueueWriter(spool_file, ["waziup"], 1 << 30)
        self.outcomes: list[Outcome] = []
        self.ledger = SpoolLedger(spool_file, devices, writer, keep_strangers=True)
        self.pipeline = Pipeline(self.ledger, self.decode, Metrics(), self.outcomes.append)

    @staticmethod
    def decode(uplink: Uplink) -> Report:
        return Report(uplink, (Reading("count", uplink.fcnt),))

    def accepted(self) -> list[int]:
        return [outcome.uplink.fcnt for outcome in self.outcomes if isinstance(outcome, Report)]


def queued(spool_file: SpoolFile) -> list[bytes]:
    return [value for (value,) in spool_file.rows("SELECT value FROM reading ORDER BY time_us")]


def heard_as_stranger(spool_file: SpoolFile, *frames: Frame) -> None:
    Run(spool_file, KNOWN).pipeline.handle(frames)


def test_kept_frames_become_readings_with_their_times_and_are_forgotten(spool_file: SpoolFile) -> None:
    heard_as_stranger(spool_file, sent(7), sent(8), sent(9))
    run = Run(spool_file, KNOWN, POND)
    assert readmit(run.pipeline, spool_file, [KNOWN, POND], Run.decode) == 3
    assert (run.accepted(), queued(spool_file), strangers.load(spool_file)) == ([7, 8, 9], [b"7", b"8", b"9"], [])
    run.pipeline.handle([sent(9), sent(10)])
    assert queued(spool_file) == [b"7", b"8", b"9", b"10"]
    assert readmit(run.pipeline, spool_file, [POND], Run.decode) == 0


def test_power_cut_before_they_are_forgotten_doubles_nothing(spool_file: SpoolFile) -> None:
    heard_as_stranger(spool_file, sent(7), sent(8))
    Run(spool_file, POND).pipeline.handle([each for kept in strangers.load(spool_file) for each in kept.frames])
    assert readmit(Run(spool_file, POND).pipeline, spool_file, [POND], Run.decode) == 2
    assert (queued(spool_file), strangers.load(spool_file)) == ([b"7", b"8"], [])


def test_frames_that_the_device_has_overtaken_are_refused(spool_file: SpoolFile) -> None:
    heard_as_stranger(spool_file, sent(7))
    run = Run(spool_file, POND)
    run.pipeline.handle([sent(8)])
    readmit(run.pipeline, spool_file, [POND], Run.decode)
    assert [outcome.check for outcome in run.outcomes if isinstance(outcome, Refusal)] == ["replay"]
    assert queued(spool_file) == [b"8"]


@pytest.mark.parametrize(
    "now",
    [
        pytest.param(replace(POND, keys=type(KEYS)(bytes(16), bytes(16))), id="wrong keys"),
        pytest.param(replace(POND, fcnt=FCntPolicy.UNCHECKED), id="counter proves nothing"),
        pytest.param(replace(POND, fcnt=FCntPolicy.RESTARTS), id="counter may fall"),
        pytest.param(lowcost_device(), id="another one"),
    ],
)
def test_frames_stay_where_it_would_not_be_safe(now: Device, spool_file: SpoolFile) -> None:
    heard_as_stranger(spool_file, sent(7))
    run = Run(spool_file, now)
    assert readmit(run.pipeline, spool_file, [now], Run.decode) == 0
    assert (run.outcomes, len(strangers.load(spool_file))) == ([], 1)


def test_packet_in_clear_is_not_taken_again(spool_file: SpoolFile) -> None:
    heard_as_stranger(spool_file, frame(bytes.fromhex("01100617") + b"\\!TC/1"))
    assert readmit(Run(spool_file, lowcost_device()).pipeline, spool_file, [lowcost_device()], Run.decode) == 0


def test_frames_of_the_last_minute_are_taken_too_when_the_devices_change_or_a_run_ends(spool_file: SpoolFile) -> None:
    run = Run(spool_file, KNOWN)
    for fcnt in (7, 8):
        run.pipeline.handle([sent(fcnt)])
    assert [len(each.frames) for each in strangers.load(spool_file)] == [1]
    run.ledger.use([KNOWN, POND])
    assert readmit(run.pipeline, spool_file, [KNOWN, POND], Run.decode) == 2
    assert queued(spool_file) == [b"7", b"8"]
    other = Run(spool_file)
    for fcnt in (9, 10):
        other.pipeline.handle([sent(fcnt)])
    other.ledger.finish()
    assert [len(each.frames) for each in strangers.load(spool_file)] == [2]


def test_frames_that_open_and_make_no_sense_stay_until_the_key_is_corrected(spool_file: SpoolFile) -> None:
    heard_as_stranger(spool_file, sent(7), sent(8))
    run = Run(spool_file, POND)

    def unread(uplink: Uplink) -> Report:
        return Report(uplink, (), (), "WrongFormat: channel 8")

    assert readmit(run.pipeline, spool_file, [POND], unread) == 0
    assert (run.outcomes, [len(each.frames) for each in strangers.load(spool_file)]) == ([], [2])
    assert readmit(run.pipeline, spool_file, [POND], Run.decode) == 2
    assert queued(spool_file) == [b"7", b"8"]
