"""What was kept is decoded once the configuration can read it: each frame once, whatever comes in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from threading import Thread

import pytest
from msgspec.structs import replace

from lora_post.config import Config, parse_config
from lora_post.decoding.choice import Decoding
from lora_post.decoding.loading import load_shipped
from lora_post.lorawan.session_keys import SessionKeys
from lora_post.metrics import Metrics
from lora_post.model import Device, FCntPolicy, Frame, Reading
from lora_post.run.pipeline import Pipeline
from lora_post.run.readmit import read_again, readmit
from lora_post.spool import strangers, undecoded
from lora_post.spool.ledger import SpoolLedger
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from lora_post.spool.upkeep import decode_again
from lora_post.uplink.model import Refusal, Report, Uplink
from lora_post.uplink.outcome import Outcome
from lora_post.uplink.unlock import seal_lorawan, seal_lowcost
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


def test_frame_that_comes_in_meanwhile_waits_and_makes_no_replay_of_those_kept(spool_file: SpoolFile) -> None:
    heard_as_stranger(spool_file, sent(7), sent(8))
    run = Run(spool_file, KNOWN, POND)
    live = Thread(target=run.pipeline.handle, args=([sent(9)],))

    def decode(uplink: Uplink) -> Report:
        if live.ident is None:
            live.start()
            live.join(0.2)  # until it waits, or has come in first
        return Run.decode(uplink)

    with run.pipeline.using(Run.decode):
        assert readmit(run.pipeline, spool_file, [KNOWN, POND], decode) == 2
    live.join()
    assert run.accepted() == [7, 8, 9]


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


LPP = bytes.fromhex("03670110056700ff")
WRONG = replace(POND, keys=SessionKeys(KEYS.nwk_skey, bytes(range(1, 17))))
DECODERS = load_shipped(["cayenne-lpp", "text"]).decoders


def site(folder: Path, *devices: Device) -> Config:
    text = '[gateway]\nid = "gw1"\n[spool]\npath = "spool.db"\n[json_lines]\npath = "out.jsonl"\n'
    return replace(parse_config(text, folder / "site.toml", {}), devices=devices)


def heard_by(spool_file: SpoolFile, sender: Device, *frames: Frame) -> None:
    """Take frames in as a run with this device does."""
    ledger = SpoolLedger(spool_file, [sender], QueueWriter(spool_file, ["json_lines"], 1 << 30))
    Pipeline(ledger, Decoding([sender], DECODERS).decode, Metrics(), lambda outcome: None).handle(frames)


def take_over(folder: Path, now: Device) -> int:
    """Read again what is kept, as a run does that has this device now."""
    return read_again(site(folder, now), Decoding([now], DECODERS).decode)


@pytest.mark.parametrize(
    ("was", "seal"),
    [
        pytest.param(WRONG, lambda n: seal_lorawan(KEYS, POND.address or 0, n, 2, LPP), id="wrong AppSKey"),
        pytest.param(
            replace(POND, decoder="text"),
            lambda n: seal_lorawan(KEYS, POND.address or 0, n, 2, LPP),
            id="wrong decoder",
        ),
        pytest.param(
            lowcost_device(keys=WRONG.keys, decoder="cayenne-lpp"),
            lambda n: seal_lowcost(KEYS, 6, n, LPP),
            id="wrong AppSKey of a packet",
        ),
    ],
)
def test_accepted_frames_that_were_read_wrongly_become_readings_once_it_is_corrected(
    was: Device, seal: Callable[[int], bytes], spool_file: SpoolFile, tmp_path: Path
) -> None:
    heard_by(spool_file, was, *(frame(seal(n), NOON_US + n) for n in (8, 70_000 if was.link == "lorawan" else 9)))
    assert (queued(spool_file), len(undecoded.load(spool_file))) == ([], 2)
    assert take_over(tmp_path, was) == 0
    now = replace(was, keys=KEYS, decoder="cayenne-lpp")
    assert take_over(tmp_path, now) == 2
    assert (sorted(queued(spool_file)), undecoded.load(spool_file)) == ([b"25.5", b"25.5", b"27.2", b"27.2"], [])
    assert take_over(tmp_path, now) == 0


def test_key_that_is_wrong_again_is_tried_once_and_the_frame_waits_for_the_next(
    spool_file: SpoolFile, tmp_path: Path
) -> None:
    heard_by(spool_file, WRONG, frame(seal_lorawan(KEYS, POND.address or 0, 8, 2, LPP)))
    (before,) = undecoded.load(spool_file)
    other = replace(POND, keys=SessionKeys(KEYS.nwk_skey, bytes(range(2, 18))))
    assert take_over(tmp_path, other) == 0
    (after,) = undecoded.load(spool_file)
    assert after.payload != before.payload
    for device_that_cannot in (other, replace(POND, keys=SessionKeys(bytes(16), KEYS.app_skey)), KNOWN):
        assert take_over(tmp_path, device_that_cannot) == 0
    assert take_over(tmp_path, POND) == 1


@pytest.mark.parametrize(
    "keys", [SessionKeys(bytes(range(3, 19)), bytes(range(4, 20))), KEYS], ids=["other keys", "other DevAddr"]
)
def test_payload_of_a_device_is_not_read_as_one_of_the_device_in_its_place(
    keys: SessionKeys, spool_file: SpoolFile, tmp_path: Path
) -> None:
    """A broken device was replaced by one of another type: what the old one had sent became values of the new one."""
    old = replace(POND, decoder="cayenne-lpp")
    heard_by(spool_file, old, frame(seal_lorawan(KEYS, POND.address or 0, 8, 2, b"\\!TC/22.5")))
    assert len(undecoded.load(spool_file)) == 1
    new = replace(POND, decoder="text", keys=keys, address=POND.address if keys is not KEYS else 0x26010002)
    assert take_over(tmp_path, new) == 0
    assert (queued(spool_file), len(undecoded.load(spool_file))) == ([], 1)
    assert take_over(tmp_path, replace(old, decoder="text")) == 1


def test_payload_that_another_process_has_read_is_not_read_twice(spool_file: SpoolFile) -> None:
    heard_by(spool_file, WRONG, frame(seal_lorawan(KEYS, POND.address or 0, 8, 2, LPP)))
    rows = undecoded.load(spool_file)
    for _ in range(2):
        writer = QueueWriter(spool_file, ["json_lines"], 1 << 30)
        decode_again(spool_file, writer, rows, lambda row: Run.decode(row.uplink(POND, "gw1")))
    assert queued(spool_file) == [b"8"]
