"""What is confirmed and still queued, with a real spool."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lora_post.errors import SpoolError
from lora_post.model import Reading
from lora_post.spool.model import Lane
from lora_post.spool.queue import Queue
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from lora_post.upload.confirmed import Confirmed
from tests.support.build import NOON_US, report
from tests.support.lanes import ready_lanes

SINK = "waziup"
SHARE_S = 0.25
TIMES_US = tuple(NOON_US + index * 1_000_000 for index in range(4))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SpoolFile]:
    store = SpoolFile(tmp_path / "spool.db")
    with store.transaction() as db:
        reports = [report(Reading("t", 1), Reading("h", 2), time_us=time_us) for time_us in TIMES_US]
        QueueWriter(store, [SINK], 1 << 30).put(db, reports)
    yield store
    store.close()


@pytest.fixture
def queue(store: SpoolFile) -> Queue:
    return Queue(store, SINK)


@pytest.fixture
def lanes(queue: Queue) -> dict[str, Lane]:
    return {lane.name: lane for lane in ready_lanes(queue)}


def times_queued(queue: Queue, lane: Lane) -> tuple[int, ...]:
    batch = queue.claim(lane, 100)
    return batch.times_us if batch else ()


def test_confirmed_readings_of_all_lanes_leave_the_queue_together(queue: Queue, lanes: dict[str, Lane]) -> None:
    confirmed = Confirmed(queue, SHARE_S)
    confirmed.add(lanes["t"], TIMES_US[:2], 0.0)
    confirmed.add(lanes["h"], TIMES_US[:1], 0.0)
    confirmed.add(lanes["t"], TIMES_US[3:], 0.0)
    assert queue.counts().queued == 8
    assert confirmed.times_of(lanes["t"]) == {TIMES_US[0], TIMES_US[1], TIMES_US[3]}
    assert confirmed.settle() == 4
    assert times_queued(queue, lanes["t"]) == TIMES_US[2:3]
    assert times_queued(queue, lanes["h"]) == TIMES_US[1:]
    assert confirmed.times_of(lanes["t"]) == set()
    assert confirmed.settle() == 0


def test_first_request_tells_when_it_is_due(queue: Queue, lanes: dict[str, Lane]) -> None:
    confirmed = Confirmed(queue, SHARE_S)
    assert not confirmed.is_due(1e9)
    confirmed.add(lanes["t"], (), 1.0)
    assert not confirmed.is_due(1e9)
    confirmed.add(lanes["t"], TIMES_US[:1], 100.0)
    confirmed.add(lanes["t"], TIMES_US[1:2], 100.0 + SHARE_S)
    assert not confirmed.is_due(99.9 + SHARE_S)
    assert confirmed.is_due(100.0 + SHARE_S)
    confirmed.settle()
    confirmed.add(lanes["t"], TIMES_US[2:3], 200.0)
    assert not confirmed.is_due(100.1 + SHARE_S)


def test_spool_that_cannot_be_written_keeps_them_confirmed_and_due(
    store: SpoolFile, queue: Queue, lanes: dict[str, Lane]
) -> None:
    confirmed = Confirmed(queue, SHARE_S)
    confirmed.add(lanes["t"], TIMES_US, 100.0)
    store.db.execute("PRAGMA query_only=ON")
    with pytest.raises(SpoolError):
        confirmed.settle()
    assert confirmed.is_due(100.0)
    assert confirmed.times_of(lanes["t"]) == set(TIMES_US)
    store.db.execute("PRAGMA query_only=OFF")
    assert confirmed.settle() == 4
    assert times_queued(queue, lanes["t"]) == ()


def test_numbers_of_another_file_are_forgotten(queue: Queue, lanes: dict[str, Lane]) -> None:
    confirmed = Confirmed(queue, SHARE_S)
    confirmed.add(lanes["t"], TIMES_US, 100.0)
    confirmed.clear()
    assert confirmed.settle() == 0
    assert queue.counts().queued == 8
