"""Another file takes the place of the spool under a running uploader: lane numbers mean other sensors in it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from lora_post.errors import OutcomeUnknown, Problem, SpoolError
from lora_post.metrics import Metrics
from lora_post.model import Reading
from lora_post.sinks.last_sent import LastSent
from lora_post.sinks.sink import Sink
from lora_post.spool.facts import Facts
from lora_post.spool.model import Batch, Lane
from lora_post.spool.queue import RUNNING, Queue
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from lora_post.times import WallUs
from lora_post.upload.policy import UploadPolicy
from lora_post.upload.uploader import Uploader
from tests.support.build import NOON_US, report

SINK = "waziup"


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
        lane = reader.ready_lanes()[0]
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
        assert [each.name for each in reader.ready_lanes()] == ["b", "a"]


def test_what_arrived_is_remembered_by_sensor() -> None:
    sent = LastSent()
    a, b = (Batch(Lane(1, "pond-7", name, "", "", None), (NOON_US,), (b"1",)) for name in ("a", "b"))
    sent.note(a, (NOON_US,))
    assert sent.of(a) == [NOON_US]
    assert sent.of(b) == []
