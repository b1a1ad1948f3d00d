"""The thread of a home gateway, with files that take nothing for a while."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from threading import Event, Thread

import pytest

from lora_post.clocks.gateway import GatewayClock
from lora_post.command import Moment
from lora_post.fleet.errors import LogUnavailable
from lora_post.fleet.gateway.frame_keeper import Room
from lora_post.fleet.home import service as service_module
from lora_post.fleet.home.service import HomeService
from lora_post.fleet.hub.subjects import log_subject
from lora_post.fleet.judging.judge import Judge
from lora_post.fleet.log.entry import State, after, encode, new_id
from lora_post.fleet.log.sqlite_log import SqliteLog
from lora_post.metrics import Metrics
from lora_post.model import Reading
from lora_post.spool import frames
from lora_post.spool.spool_file import SpoolFile
from lora_post.times import BootUs
from lora_post.uplink.model import Report
from lora_post.uplink.outcome import Outcome
from lora_post.uplink.unlock import seal_lorawan
from tests.support.build import KEYS, NOON_US, device, frame
from tests.support.clocks import Machine
from tests.support.command import wait_until

POND = device(home="north")


def is_full(log: SqliteLog, *, full: bool = True) -> None:
    """Let a file grow no further, as a disk without room does."""
    log._db.execute(f"PRAGMA max_page_count={1 if full else 1 << 30}")


def test_log_on_a_full_disk_is_told_with_its_name(tmp_path: Path) -> None:
    """As an append of which nothing is known it would be tried again in vain, and nobody would learn why."""
    with closing(SqliteLog(tmp_path / "x.home.db")) as log:
        is_full(log)
        with pytest.raises(LogUnavailable, match=r"x\.home\.db: .*full; see that the disk is not full"):
            log.append([("log.1.a", bytes(100_000))])
        is_full(log, full=False)
        assert log.read("log.", 0) == []
        log.append([("log.1.a", b"first")])
        assert [each.data for each in log.read("log.", 0)] == [b"first"]


def test_home_gateway_waits_for_room_and_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(service_module, "PAUSE_S", 0.01)
    monkeypatch.setattr(service_module, "AGAIN_S", 0.05)
    monkeypatch.setattr(service_module, "LOOK_S", 0.01)
    heard: list[Outcome] = []
    stop = Event()
    clock = GatewayClock(Machine(is_vouched_for=True))
    clock.look()
    with closing(SpoolFile(tmp_path / "spool.db")) as spool_file, closing(SqliteLog(tmp_path / "x.home.db")) as log:
        log.append([(log_subject(POND), encode(after(None, new_id(), State(owner="north"), "own")))])
        judge = Judge([POND], lambda uplink: Report(uplink, (Reading("t", "x" * 500),)), owner="north")
        service = HomeService(
            log,
            judge,
            [POND],
            spool_file,
            "north",
            "store",
            Room(1 << 30, "drop-oldest"),
            clock,
            lambda: Moment(clock.wall_us(), clock.boot_id, clock.boot_us()),
            Metrics(),
            heard.append,
            None,
            lambda numbers: None,
        )
        with spool_file.transaction() as db:
            sealed = [frame(seal_lorawan(KEYS, POND.address, fcnt, 2, b"\1"), NOON_US + fcnt) for fcnt in range(30)]
            frames.put(db, [(each, "", BootUs(0)) for each in sealed], frames.FOR_HOME)
        is_full(log)
        beats: list[float] = []
        thread = Thread(target=service.run, args=(stop, lambda: beats.append(time.monotonic())))
        thread.start()
        try:
            wait_until(lambda: len(beats) > 5, "it does not try again")
            assert heard == []
            is_full(log, full=False)
            wait_until(lambda: len(heard) == len(sealed), "it does not go on")
        finally:
            stop.set()
            thread.join()
    said = [each for each in caplog.messages if "x.home.db" in each]
    assert len(said) == 1
    assert "see that the disk is not full and can be written" in said[0]
