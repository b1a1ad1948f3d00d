"""A spool that fills its own disk, which is as small as these tests say."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lora_post.errors import SpoolError
from lora_post.model import Reading
from lora_post.spool import spool_file as spool_file_module
from lora_post.spool.ledger import SpoolLedger
from lora_post.spool.queue import Queue
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from tests.support.build import NOON_US, device, report
from tests.support.lanes import ready_lanes

DISK = 9 << 20
SINK = "waziup"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A disk of its own; nothing else tells SQLite where it ends."""
    monkeypatch.setattr(spool_file_module, "free_bytes", lambda path: DISK - used(path.parent))
    return tmp_path


def used(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def fill(ledger: SpoolLedger, first: int) -> int:
    """Accept readings until there is no room; return how many hundreds."""
    for count in range(10_000):
        try:
            with ledger.group() as group:
                times = range(NOON_US + (first + count) * 100, NOON_US + (first + count + 1) * 100)
                group.reports.extend(report(Reading("t", "x" * 4000), time_us=time_us) for time_us in times)
        except SpoolError as error:
            assert "its disk is full but for what sending needs; delete what is not needed there" in str(error)
            return count
    raise AssertionError("the disk has no end")


@pytest.fixture
def ledger(folder: Path) -> Iterator[SpoolLedger]:
    with closing(SpoolFile(folder / "spool.db")) as spool_file:
        yield SpoolLedger(spool_file, [device()], QueueWriter(spool_file, [SINK], 1 << 40))


def test_spool_that_has_filled_its_disk_can_be_emptied_and_goes_on(folder: Path, ledger: SpoolLedger) -> None:
    """Otherwise the log could not grow into the file, nor a row be deleted: nothing would ever leave it."""
    count = fill(ledger, 0)
    log_bytes = (folder / "spool.db-wal").stat().st_size
    assert used(folder) + log_bytes <= DISK  # all of the log fits into the file, whatever stands in it
    with closing(SpoolFile(folder / "spool.db")) as spool_file:
        queue = Queue(spool_file, SINK)
        (lane,) = ready_lanes(queue)
        sent = 0
        while batch := queue.claim(lane, 100):
            queue.settle({lane.id: batch.times_us})
            sent += len(batch.times_us)
    assert sent == count * 100
    assert used(folder) <= DISK
    assert fill(ledger, count) > count // 2
    assert used(folder) <= DISK


def test_start_on_a_full_disk_leaves_nothing_that_the_next_one_takes_for_a_spool_that_was_emptied(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "spool.db-hang").touch()
    was = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, was[1]))
    try:
        with pytest.raises(SpoolError, match="see that the disk is not full"):
            SpoolFile(tmp_path / "spool.db")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, was)
    SpoolFile(tmp_path / "spool.db").close()
    assert caplog.messages == []


def test_room_for_one_more_batch_is_not_told_as_the_end_of_the_trouble(ledger: SpoolLedger, folder: Path) -> None:
    fill(ledger, 0)
    with closing(SpoolFile(folder / "spool.db")) as spool_file:
        queue = Queue(spool_file, SINK)
        (lane,) = ready_lanes(queue)
        batch = queue.claim(lane, 100)
        assert batch is not None
        queue.settle({lane.id: batch.times_us})
    assert fill(ledger, 1_000) == 0


def test_file_system_that_does_not_tell_its_size_is_not_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.statvfs", lambda path: os.statvfs_result([4096, 4096, 0, 0, 0, 0, 0, 0, 0, 255]))
    with closing(SpoolFile(tmp_path / "spool.db")) as spool_file:
        spool_file.require_room()
