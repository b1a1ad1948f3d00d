"""Answers leave before uplinks are decoded; what was accepted is decoded once, whatever comes in between."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event, Thread, current_thread

import pytest
from msgspec.structs import replace

from lora_post.clocks.gateway import GatewayClock, Times
from lora_post.clocks.scale import is_unknown
from lora_post.command import Moment
from lora_post.downlink.network_server import network_server
from lora_post.lorawan.phy_payload import MType, build_data_frame
from lora_post.lorawan.session_keys import UPLINK
from lora_post.metrics import Metrics
from lora_post.model import Device, Frame, Heard, Noise, NoiseReason, Reading, RxInfo
from lora_post.observed.signs import Heartbeats
from lora_post.run import late_decoding
from lora_post.run.late_decoding import NAME, LateDecoding
from lora_post.run.pipeline import Pipeline
from lora_post.spool import accepted
from lora_post.spool import spool_file as spool_file_module
from lora_post.spool.boots import BootBook
from lora_post.spool.late_ledger import LateLedger
from lora_post.spool.ledger import SpoolLedger
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from lora_post.times import StampUs, WallUs
from lora_post.uplink.model import Decode, Refusal, Report, Uplink
from lora_post.uplink.outcome import Outcome
from lora_post.uplink.telling import Telling
from tests.support.build import KEYS, NOON_US, device
from tests.support.clocks import Machine
from tests.support.command import PATIENCE_S
from tests.support.network_site import EU868, Gateway

POND = device()
SINK = "waziup"


def confirmed(fcnt: int, of: Device = POND) -> Frame:
    assert of.address is not None
    signed = build_data_frame(
        mtype=MType.CONFIRMED_UP,
        dev_addr=of.address,
        fcnt=fcnt,
        fport=2,
        frm_payload=KEYS.crypt(of.address, fcnt, UPLINK, 2, bytes([fcnt])),
    )
    phy_payload = signed + KEYS.data_mic(of.address, fcnt, UPLINK, signed)
    rx = RxInfo(-60, 8.0, 7, 125.0, "4/5", 868.1)
    return Frame("gw1", NOON_US + fcnt * 60_000_000, phy_payload, rx, tmst=fcnt * 60_000_000)


def number(uplink: Uplink) -> Report:
    return Report(uplink, (Reading("t", uplink.payload[0]),))


class Run:
    """A pipeline that answers, and decodes behind that."""

    def __init__(self, path: Path, decode: Decode = number, system: Machine | None = None) -> None:
        self.path = path
        self.outcomes: list[Outcome] = []
        self.gateway = Gateway()
        self.store, self.late_store = SpoolFile(path), (late_store := SpoolFile(path))
        clock = GatewayClock(system) if system else None
        boots = BootBook(clock) if clock else None
        if boots:
            with self.store.transaction() as db:
                boots.enter(db)
        ledger = SpoolLedger(self.store, [POND], QueueWriter(self.store, [SINK], 1 << 30), boots)
        late_ledger = LateLedger(late_store, [POND], QueueWriter(late_store, [SINK], 1 << 30))
        self.telling = Telling(Metrics(), self.outcomes.append)
        self.late = LateDecoding(late_ledger, [POND], decode, self.telling, Heartbeats())
        now = partial(Moment, NOON_US, "boot-1", 0)  # type: ignore[arg-type]
        server = network_server(EU868, now, Metrics(), lambda: WallUs(NOON_US))
        pipeline = Pipeline(ledger, decode, Metrics(), self.outcomes.append, clock, None, server, self.late)
        self.pipeline = pipeline.taking(Times.LIVE if system else Times.RECORDED, self.gateway)

    def hear(self, *events: Heard) -> None:
        self.pipeline.handle(events)

    def finished(self) -> None:
        assert self.late.wait(PATIENCE_S), "not decoded"

    def values(self) -> list[object]:
        rows = self.store.rows("SELECT value FROM reading ORDER BY time_us")
        return [int(value) for (value,) in rows]

    def held(self) -> int:
        return len(self.store.rows("SELECT 1 FROM accepted"))

    def reports(self) -> list[int]:
        return [each.uplink.fcnt for each in self.outcomes if isinstance(each, Report)]


@contextmanager
def running(path: Path, decode: Decode = number, system: Machine | None = None) -> Iterator[Run]:
    run = Run(path, decode, system)
    run.late.start()
    try:
        yield run
    finally:
        run.late.finish(PATIENCE_S)
        run.store.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool.db"


def test_answer_leaves_while_a_codec_hangs(path: Path) -> None:
    decoding, go_on = Event(), Event()

    def slow(uplink: Uplink) -> Report:
        decoding.set()
        assert go_on.wait(PATIENCE_S)
        return number(uplink)

    with running(path, slow) as run:
        run.hear(confirmed(0))
        assert decoding.wait(PATIENCE_S)
        run.hear(confirmed(1))
        assert len(run.gateway.sent) == 2
        assert run.held() == 2 and run.values() == []
        go_on.set()
        run.finished()
        assert run.values() == [0, 1] and run.held() == 0
        assert run.reports() == [0, 1]


def test_answer_leaves_while_a_commit_of_readings_is_held(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    syncing, go_on = Event(), Event()
    sync = spool_file_module._sync

    def held(fd: int) -> None:
        if current_thread().name == NAME:
            syncing.set()
            assert go_on.wait(PATIENCE_S)
        sync(fd)

    monkeypatch.setattr(spool_file_module, "_sync", held)
    with running(path) as run:
        unwanted = Frame("gw1", NOON_US, b"", RxInfo())
        run.hear(unwanted)  # nothing to answer, so nothing waits for the disk
        run.hear(Noise(NoiseReason.CRC, 1, "noise"))
        lazy = confirmed(0)
        run.gateway.now = None  # no answer: the disk is waited for behind the answers
        run.hear(lazy)
        assert syncing.wait(PATIENCE_S)
        run.gateway.now = Gateway().now
        run.hear(confirmed(1))
        assert len(run.gateway.sent) == 1
        go_on.set()
        run.finished()


def test_what_is_acknowledged_is_on_the_disk_before(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    monkeypatch.setattr(spool_file_module, "_sync", lambda fd: order.append(f"synced {run.held()}"))
    run = Run(path)  # nothing decodes
    send = run.gateway.send
    monkeypatch.setattr(run.gateway, "send", lambda downlink: (order.append("sent"), send(downlink)))
    order.clear()
    run.hear(confirmed(0))
    assert order == ["synced 1", "sent"]
    run.store.close()


def test_nothing_is_sent_when_the_disk_fails(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(fd: int) -> None:
        raise OSError(5, "Input/output error")

    run = Run(path)
    monkeypatch.setattr(spool_file_module, "_sync", fails)
    with pytest.raises(spool_file_module.SpoolError):
        run.hear(confirmed(0))
    assert run.gateway.sent == []
    run.store.close()


def test_late_frame_that_the_disk_has_no_room_for_is_kept_once_it_has(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(late_decoding, "RETRY_S", 0.01)
    is_full = True

    def long(uplink: Uplink) -> Report:
        if uplink.is_late and is_full:
            (pages,) = run.late_store.db.execute("PRAGMA page_count").fetchone()
            run.late_store.db.execute(f"PRAGMA max_page_count = {pages}")
        return Report(uplink, tuple(Reading(f"t_{n}", "x" * 200) for n in range(100)))

    retry = SpoolFile.unsynced

    def unsynced(store: SpoolFile) -> object:
        if not is_full and store is run.late_store:
            store.db.execute("PRAGMA max_page_count = 1000000")
        return retry(store)

    monkeypatch.setattr(SpoolFile, "unsynced", unsynced)
    with running(path, long) as run:
        run.hear(confirmed(1), confirmed(3))
        run.finished()
        run.hear(confirmed(2))
        deadline = time.monotonic() + PATIENCE_S
        while "cannot store readings, they wait" not in caplog.text:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        assert run.held() == 1 and len(run.gateway.sent) == 2  # it is accepted, and would be after a kill
        is_full = False
        run.finished()
        assert run.held() == 0 and run.reports() == [1, 3, 2]
        assert len(run.store.rows("SELECT 1 FROM reading")) == 300
    assert "storing readings again" in caplog.text


def test_what_a_kill_left_is_decoded_once_by_the_next_start(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    killed = Run(path)  # it never came to decode
    for fcnt in range(3):
        killed.hear(confirmed(fcnt))
    killed.store.close()
    with running(path) as run:
        run.finished()
        run.hear(confirmed(1), confirmed(3))
        run.finished()
        assert run.values() == [0, 1, 2, 3] and run.held() == 0
        assert run.reports() == [0, 1, 2, 3]
        assert sum(isinstance(each, Refusal) for each in run.outcomes) == 1
        fcnts = [each.phy_payload[6] for each in (*killed.gateway.sent, *run.gateway.sent)]
        assert fcnts == [0, 1, 2, 3], "a counter was used twice"
    assert "decoding 3 uplinks accepted before the last stop" in caplog.text
    with running(path) as run:
        run.finished()
        assert run.values() == [0, 1, 2, 3]


def test_device_that_got_another_id_after_a_kill_keeps_what_was_acknowledged(path: Path) -> None:
    """Its old id may be another device's by now, whose decoder would read it."""
    old = replace(POND, id="barn")
    other = replace(POND, id="barn", address=0x26010009)
    killed = Run(path)
    with killed.store.transaction() as db:
        accepted.put(db, [(1, Uplink(confirmed(5, old), old, 5, 2, b"\x05", True))])
        load = accepted.load(db, {each.id: each for each in (POND, other)})
        assert [(uplink.device.id, uplink.payload) for _, uplink in load.uplinks] == [("pond-7", b"\x05")]
        gone = accepted.load(db, {other.id: other})
        assert (gone.uplinks, gone.strange) == ([], {"barn": 1})
    killed.store.close()


def test_outcomes_are_told_in_the_order_in_which_they_were_heard(path: Path) -> None:
    noise = Noise(NoiseReason.CRC, 1, "noise")
    with running(path) as run:
        run.hear(confirmed(0), noise, confirmed(0), confirmed(1))
        run.hear(noise)
        run.finished()
        kinds = [type(each).__name__ for each in run.outcomes]
    assert kinds == ["Report", "Noise", "Refusal", "Report", "Noise"]


def test_a_defect_costs_its_uplink_only_and_keeps_its_payload(path: Path) -> None:
    def decode(uplink: Uplink) -> Report:
        if uplink.fcnt == 1:
            return Report(uplink, (Reading("t", object()),))  # type: ignore[arg-type]
        if uplink.fcnt == 2:
            raise KeyError("defect")
        return number(uplink)

    with running(path, decode) as run:
        run.hear(*map(confirmed, range(4)))
        run.finished()
        assert run.values() == [0, 3] and run.held() == 0
        assert run.store.rows("SELECT fcnt FROM undecoded ORDER BY fcnt") == [(1,), (2,)]


def test_inputs_wait_while_too_much_waits(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late_decoding, "MAX_WAITING", 2)
    go_on, done = Event(), Event()

    def slow(uplink: Uplink) -> Report:
        assert go_on.wait(PATIENCE_S)
        return number(uplink)

    with running(path, slow) as run:
        run.hear(confirmed(0), confirmed(1))

        def third() -> None:
            run.hear(confirmed(2))
            done.set()

        Thread(target=third, daemon=True).start()
        assert not done.wait(0.2) and len(run.gateway.sent) == 2
        go_on.set()
        assert done.wait(PATIENCE_S)
        run.finished()
        assert run.values() == [0, 1, 2]


def test_time_that_becomes_known_while_an_uplink_is_decoded_is_its_time(path: Path) -> None:
    system = Machine()
    system.start_in_1970()
    go_on = Event()

    def slow(uplink: Uplink) -> Report:
        assert go_on.wait(PATIENCE_S)
        return number(uplink)

    with running(path, slow, system) as run:
        run.hear(replace(confirmed(0), time_us=system.wall_us()))
        ((before,),) = run.store.rows("SELECT time_us FROM accepted")
        assert is_unknown(StampUs(before))
        system.pass_s(60)
        system.wall_error_us, system.is_vouched_for = 0, True
        for fcnt in (1, 2):
            run.hear(replace(confirmed(fcnt), time_us=system.wall_us() + fcnt))
        ((after,),) = run.store.rows("SELECT time_us FROM accepted WHERE fcnt = 0")
        assert not is_unknown(StampUs(after))
        go_on.set()
        run.finished()
        times = [time for (time,) in run.store.rows("SELECT time_us FROM reading ORDER BY time_us")]
        assert len(times) == 3 and times[0] == after


def test_damaged_row_costs_itself(path: Path) -> None:
    killed = Run(path)
    killed.hear(confirmed(0), confirmed(1))
    with killed.store.transaction() as db:
        db.execute("UPDATE accepted SET frame = 'x' WHERE id = 1")
        left = accepted.load(db, {POND.id: POND})
        assert ([id_ for id_, _ in left.uplinks], left.strange, left.damaged) == ([2], {}, [1])
        left = accepted.load(db, {})
        assert (left.uplinks, left.strange, left.damaged) == ([], {POND.id: 1}, [1])
    killed.store.close()


def test_what_cannot_be_decoded_after_a_stop_is_told_of(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    gone = replace(POND, id="gone\x1b", address=0x26010009)
    uplinks = [
        Uplink(confirmed(fcnt, of), of, fcnt, 2, b"\x05", True) for fcnt, of in enumerate((POND, gone, gone, POND))
    ]
    run = Run(path)
    with run.store.transaction() as db:
        accepted.put(db, enumerate(uplinks, start=1))
        db.execute("UPDATE accepted SET frame = x'c1' WHERE id = 4")
    run.late.start()
    run.finished()
    run.late.finish(PATIENCE_S)
    assert run.values() == [5]
    assert r"2 uplinks of gone\x1b cannot be decoded: it is not in the configuration" in caplog.text
    assert "deleted 1 accepted uplinks that cannot be read" in caplog.text
    assert run.telling.metrics.labels("noise") == {"damaged": 1}
    assert run.store.rows("SELECT id FROM accepted") == [(2,), (3,)]
    run.store.close()
