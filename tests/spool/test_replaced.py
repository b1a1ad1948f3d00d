"""Another file takes the place of the spool under a running uploader: lane numbers mean other sensors in it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from lora_post.errors import OutcomeUnknown, Problem, SpoolError
from lora_post.metrics import Metrics
from lora_post.model import Link, Reading
from lora_post.sinks.last_sent import LastSent
from lora_post.sinks.sink import Sink
from lora_post.spool.facts import Facts
from lora_post.spool.ledger import SpoolLedger
from lora_post.spool.model import Batch, Lane
from lora_post.spool.queue import RUNNING, Queue
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.rescue import open_spool
from lora_post.spool.spool_file import SpoolFile
from lora_post.times import WallUs
from lora_post.uplink.model import Session
from lora_post.upload.policy import UploadPolicy
from lora_post.upload.uploader import Uploader
from tests.support.build import NOON_US, device, report
from tests.support.keeping import keep
from tests.support.lanes import ready_lanes

SINK = "waziup"
POND = device("pond")


class Collector(Sink):
    """Keeps what it gets; may give no answer."""

    looks_back = 5000

    def __init__(self) -> None:
        self.got: list[tuple[str, bytes]] = []
        self.asked: list[str] = []
        self.is_silent = False

    def send(self, batch: Batch) -> None:
        self.got += [(batch.lane.name, value) for value in batch.values]
        if self.is_silent:
            raise OutcomeUnknown("no answer")

    def stored(self, batch: Batch, since_us: WallUs) -> Sequence[int]:
        self.asked.append(batch.lane.name)
        pairs = zip(batch.times_us, batch.values, strict=True)
        return [time for time, value in pairs if (batch.lane.name, value) in self.got]


def spool(path: Path, *sensors: str) -> SpoolFile:
    """One reading of each sensor, all of the same moment; lanes are numbered in this order."""
    spool_file = SpoolFile(path)
    with spool_file.transaction() as db:
        writer = QueueWriter(spool_file, [SINK], 1 << 30)
        writer.put(db, [report(*(Reading(name, f"{path.stem} {name}") for name in sensors), time_us=NOON_US)])
    return spool_file


def replace(path: Path, *sensors: str) -> None:
    spool(path.with_name("other.db"), *sensors).close()
    for part in ("-wal", "-shm", ""):
        if Path(f"{path}{part}").exists():
            Path(f"{path}{part}").rename(f"{path}.aside{part}")
    path.with_name("other.db").rename(path)


def queued(spool_file: SpoolFile) -> list[str]:
    return sorted(name for (name,) in spool_file.rows("SELECT name FROM lane JOIN reading ON lane.id = lane"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool.db"


@pytest.mark.parametrize("is_silent", [False, True], ids=["confirmed", "in-doubt"])
def test_no_reading_is_lost_or_skipped_for_another_one_of_its_number(path: Path, *, is_silent: bool) -> None:
    policy = UploadPolicy(first_pause_s=0.0, ask_after_s=0.0, late_s=0.0, late_per_reading_s=0.0)
    sink = Collector()
    with closing(spool(path, "a", "b")) as spool_file:
        uploader = Uploader(Queue(spool_file, SINK), sink, Metrics(), policy=policy)
        sink.is_silent = is_silent
        uploader.step()
        assert sink.got == [("a", b'"spool a"')]
        sink.is_silent = False
        replace(path, "b", "a")
        for _ in range(20):
            uploader.step()
        assert queued(spool_file) == []
        assert sorted(sink.got[1:]) == [("a", b'"other a"'), ("b", b'"other b"')]
        # Everything was asked about before it was sent, and is again after a kill.
        assert set(sink.asked) == {"a", "b"}
        assert RUNNING in Facts(spool_file, SINK).recall()


def test_nothing_is_claimed_or_settled_by_a_number_of_another_file(path: Path) -> None:
    with closing(spool(path, "a", "b")) as spool_file:
        reader = Queue(spool_file, SINK)
        lane = ready_lanes(reader)[0]
        batch = reader.claim(lane, 10)
        assert batch is not None
        replace(path, "b", "a")
        spool_file.rows("SELECT 1")
        for use in (
            lambda: reader.claim(lane, 10),
            lambda: reader.settle({batch.lane.id: batch.times_us}),
            lambda: reader.refuse(batch, "no"),
            lambda: reader.park(lane, Problem("no"), NOON_US),
        ):
            with pytest.raises(SpoolError, match="another file"):
                use()
        assert queued(spool_file) == ["a", "b"]
        assert reader.go_on()
        assert not reader.go_on()
        assert [each.name for each in ready_lanes(reader)] == ["b", "a"]


def test_what_arrived_is_remembered_by_sensor() -> None:
    sent = LastSent()
    a, b = (Batch(Lane(1, "pond-7", name, "", "", None), (NOON_US,), (b"1",)) for name in ("a", "b"))
    sent.note(a, (NOON_US,))
    assert sent.of(a) == [NOON_US]
    assert sent.of(b) == []


def accept(ledger: SpoolLedger, fcnt: int) -> None:
    with ledger.group() as group:
        keep(group, report(Reading("t", fcnt), time_us=NOON_US + fcnt, of=POND), Session(POND, fcnt + 1))


def next_fcnt(ledger: SpoolLedger) -> int:
    with ledger.group() as group:
        return group.find(Link.LORAWAN, 0x26011BDA)[0].next_fcnt


def checkpoint(spool_file: SpoolFile) -> None:
    spool_file.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@pytest.mark.parametrize("how", ["removed", "emptied"])
def test_counters_outlive_the_file(how: str, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with closing(open_spool(path)) as spool_file:
        ledger = SpoolLedger(spool_file, [POND], QueueWriter(spool_file, [SINK], 1 << 30))
        accept(ledger, 41)
        checkpoint(spool_file)
        if how == "emptied":
            os.truncate(path, 0)
        else:
            for part in ("-wal", "-shm", ""):
                Path(f"{path}{part}").unlink()
        with pytest.raises(SpoolError, match="another file"):
            accept(ledger, 42)  # not kept, so it does not count
        assert next_fcnt(ledger) == 42
    with closing(open_spool(path)) as spool_file:
        assert next_fcnt(SpoolLedger(spool_file, [POND], QueueWriter(spool_file, [SINK], 1 << 30))) == 42
    assert ("something has emptied it" in caplog.text) is (how == "emptied")


def test_small_spool_that_is_emptied_loses_nothing(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with closing(open_spool(path)) as spool_file:
        ledger = SpoolLedger(spool_file, [POND], QueueWriter(spool_file, [SINK], 1 << 30))
        accept(ledger, 1)
        os.truncate(path, 0)
        accept(ledger, 2)
        assert queued(spool_file) == ["t", "t"]
    assert "something has emptied spool" in caplog.text
    with closing(open_spool(path)) as spool_file:
        assert queued(spool_file) == ["t", "t"]


def test_spool_that_was_emptied_between_two_runs_is_told_of_loudly(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(open_spool(path)) as spool_file:
        assert spool_file.reserve(SINK)
    os.truncate(path, 0)
    open_spool(path).close()
    assert [(each.levelname, "queued and frame counters are lost" in each.message) for each in caplog.records] == [
        ("ERROR", True)
    ]
