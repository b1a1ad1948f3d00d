"""Which lanes have something to send: what is told, what is searched for, and what that costs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lora_post.clocks.scale import UNKNOWN_FROM_US
from lora_post.errors import Problem
from lora_post.model import Reading
from lora_post.spool import lanes as lane_table
from lora_post.spool.arrivals import Arrivals
from lora_post.spool.model import Waiting
from lora_post.spool.queue import Queue
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from lora_post.upload.confirmed import Confirmed
from lora_post.upload.lanes import Lanes
from lora_post.upload.policy import UploadPolicy
from lora_post.upload.waiting_lanes import WaitingLanes
from tests.support.build import NOON_US, device, report
from tests.support.lanes import ready_lanes

SINK = "waziup"
POLICY = UploadPolicy(max_batch=3)


class Spool:
    """A spool with a writer, as the pipeline has it, and an uploader's part of it; the clock moves by hand."""

    def __init__(self, path: Path, arrivals: Arrivals | None, *sinks: str) -> None:
        self.now = 0.0
        self._path = path
        self.writing, self.reading = SpoolFile(path), SpoolFile(path)
        self.writer = QueueWriter(self.writing, [SINK, *sinks], 1 << 30, arrivals=arrivals)
        self.queue = Queue(self.reading, SINK, arrivals)
        self.confirmed = Confirmed(self.queue, 0.25)
        self.states = Lanes(POLICY)
        self.waiting = WaitingLanes(self.queue, self.states, self.confirmed, POLICY, lambda: self.now)

    def put(self, name: str, *times_us: int, of: str = "pond-7") -> None:
        with self.writing.transaction() as db:
            reports = [report(Reading(name, 1.0), time_us=time_us, of=device(of)) for time_us in times_us]
            self.writer.put(db, reports)
        self.writer.kept()

    def take(self) -> Waiting | None:
        self.waiting.look(self.now, NOON_US)
        return self.waiting.take(NOON_US)

    def send(self) -> tuple[str, str, int] | None:
        """Send a batch of the lane whose turn it is; returns whose, and how many readings."""
        taken = self.take()
        if taken is None:
            return None
        batch = self.queue.claim(taken.lane, POLICY.max_batch, self.confirmed.times_of(taken.lane))
        if batch is None:
            return (taken.lane.device, taken.lane.name, 0)
        if len(batch.times_us) < POLICY.max_batch:
            self.waiting.took_all()
        self.confirmed.add(taken.lane, batch.times_us, self.now)
        return (batch.lane.device, batch.lane.name, len(batch.times_us))

    def close(self) -> None:
        self.writing.close()
        self.reading.close()


@pytest.fixture(params=[True, False], ids=["told", "searched"])
def spool(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path / "spool.db", Arrivals() if request.param else None, "other")
    yield spool
    spool.close()


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path / "spool.db", Arrivals())
    yield spool
    spool.close()


@contextmanager
def statements(spool_file: SpoolFile) -> Iterator[list[str]]:
    found: list[str] = []
    spool_file.db.set_trace_callback(found.append)
    try:
        yield found
    finally:
        spool_file.db.set_trace_callback(None)


def test_every_reading_goes_once_in_batches(spool: Spool) -> None:
    spool.put("t", *(NOON_US + n for n in range(7)))
    spool.put("h", NOON_US)
    sent = [spool.send() for _ in range(4)]
    assert sent == [("pond-7", "t", 3), ("pond-7", "h", 1), ("pond-7", "t", 3), ("pond-7", "t", 1)]
    assert spool.send() is None
    spool.confirmed.settle()
    assert spool.send() is None
    assert ready_lanes(spool.queue) == []


def test_readings_that_come_in_during_a_request_go_next_wherever_they_belong(spool: Spool) -> None:
    spool.put("t", NOON_US + 10)
    assert spool.send() == ("pond-7", "t", 1)
    spool.put("t", NOON_US, NOON_US + 20)
    assert spool.send() == ("pond-7", "t", 2)
    assert spool.send() is None


def test_reading_that_came_in_among_confirmed_ones_is_found_without_being_told(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.db", None)
    spool.put("t", NOON_US, NOON_US + 20)
    spool.waiting.look(0.0, NOON_US)
    spool.put("t", NOON_US + 10)
    taken = spool.waiting.take(NOON_US)
    assert taken is not None
    spool.confirmed.add(taken.lane, {NOON_US, NOON_US + 20}, 0.0)
    assert spool.send() == ("pond-7", "t", 1)
    spool.close()


def test_what_is_told_is_found_while_a_search_is_not_due(told: Spool) -> None:
    told.put("t", NOON_US)
    told.waiting.look(0.0, NOON_US)
    told.waiting._search_at = 1e9
    told.put("h", NOON_US)
    assert [told.send(), told.send(), told.send()] == [("pond-7", "t", 1), ("pond-7", "h", 1), None]


def test_what_is_not_told_is_found_once_a_search_is_due_and_its_moment_is_known(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.db", None)
    assert spool.send() is None
    spool.waiting._search_at = 40.0
    spool.put("t", NOON_US)
    assert spool.send() is None
    assert spool.waiting.wait_s(spool.now) == 40.0
    spool.now = 40.0
    assert spool.send() == ("pond-7", "t", 1)
    spool.close()


def test_time_of_a_search_is_paid_for_with_rest(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.db", None)
    clock = iter([0.0, 1.0])
    spool.waiting._monotonic = lambda: next(clock)
    assert spool.send() is None
    spool.put("t", NOON_US)
    spool.now = 1 / POLICY.search_share - 0.1
    assert spool.send() is None
    spool.close()


def test_nothing_is_searched_for_while_nobody_commits(spool: Spool) -> None:
    spool.put("t", *(NOON_US + n for n in range(9)))
    spool.send()
    with statements(spool.reading) as found:
        spool.send()
        spool.send()
    assert not any("RECURSIVE" in text for text in found)


def test_cost_of_a_request_does_not_depend_on_the_number_of_lanes(told: Spool) -> None:
    rows = []
    for lanes in (10, 200):
        told.put("t", *(NOON_US + n for n in range(9)), of="slow")
        for n in range(lanes):
            told.put("t", NOON_US, of=f"device-{n}")
        told.waiting.look(told.now, NOON_US)
        told.waiting._search_at = 1e9
        with statements(told.reading) as found:
            for _ in range(10):
                told.send()
        rows.append(len(found))
    assert max(rows) <= 10 * 5, rows


def test_number_that_another_sensor_has_now_sends_nothing_under_the_old_name(told: Spool) -> None:
    told.put("t", NOON_US)
    told.waiting.look(0.0, NOON_US)
    with told.writing.transaction() as db:
        lane_table.drop_sink(db, SINK)
    told.writer.forget_lanes()
    told.put("secret", NOON_US, of="another")
    sent = [told.send() for _ in range(3)]
    assert ("another", "secret", 1) in sent
    assert all(each is None or each[:2] == ("another", "secret") or each[2] == 0 for each in sent)


def test_parked_lane_waits_until_it_is_released_by_whomever(spool: Spool) -> None:
    spool.put("t", NOON_US)
    taken = spool.take()
    assert taken is not None
    spool.queue.park(taken.lane, Problem("it belongs to another"), NOON_US)
    assert spool.send() is None
    with spool.writing.transaction() as db:
        lane_table.release(db, taken.lane.id)
    assert spool.send() == ("pond-7", "t", 1)


def test_lane_rests_until_its_moment_and_the_others_go_on(spool: Spool) -> None:
    for name in "abc":
        spool.put(name, NOON_US)
    first = spool.take()
    assert first is not None
    spool.states.state(first.lane).backoff.fail(0.0, at_least_s=60.0)
    assert {spool.send(), spool.send()} == {("pond-7", "b", 1), ("pond-7", "c", 1)}
    assert spool.send() is None
    assert 59.0 < spool.waiting.wait_s(0.0) <= 60.0
    assert len(spool.waiting) == 1
    spool.now = 61.0
    assert spool.send() == ("pond-7", "a", 1)


def test_readings_without_a_time_wait_for_it(spool: Spool) -> None:
    spool.put("t", UNKNOWN_FROM_US + 5)
    assert spool.send() is None
    assert spool.queue.is_owing()
    with spool.writing.transaction() as db:
        lane_table.shift(db, UNKNOWN_FROM_US, UNKNOWN_FROM_US + 10, NOON_US - UNKNOWN_FROM_US)
    assert spool.send() == ("pond-7", "t", 1)


def test_oldest_reading_and_full_batches_are_known_for_holding(spool: Spool) -> None:
    spool.put("t", NOON_US + 5, NOON_US + 9)
    spool.put("h", NOON_US + 7)
    spool.waiting.look(0.0, NOON_US)
    assert (len(spool.waiting), spool.waiting.oldest_us(), spool.waiting.has_full_batch()) == (2, NOON_US + 5, False)
    spool.put("t", NOON_US + 1)
    spool.waiting.look(0.0, NOON_US)
    assert (spool.waiting.oldest_us(), spool.waiting.has_full_batch()) == (NOON_US + 1, True)
    assert {spool.send(), spool.send()} == {("pond-7", "h", 1), ("pond-7", "t", 3)}
    spool.waiting.look(0.0, NOON_US)
    assert (len(spool.waiting), spool.waiting.has_full_batch()) == (0, False)


def test_nothing_that_was_learned_stays_after_all_is_well(spool: Spool) -> None:
    for n in range(50):
        spool.put("t", NOON_US, of=f"device-{n}")
    while taken := spool.take():
        spool.states.state(taken.lane).backoff.fail(0.0)
        spool.states.state(taken.lane).backoff.succeed()
        batch = spool.queue.claim(taken.lane, 10)
        assert batch is not None
        spool.confirmed.add(taken.lane, batch.times_us, 0.0)
    spool.confirmed.settle()
    assert spool.send() is None
    assert not spool.states._states


def test_search_takes_no_time_for_empty_lanes(told: Spool) -> None:
    for n in range(300):
        told.put("t", NOON_US, of=f"device-{n}")
    while told.send():
        told.confirmed.settle()
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1

    told.reading.db.set_progress_handler(count, 10)  # called each ten instructions of SQLite's machine
    assert told.queue.waiting() == []
    told.reading.db.set_progress_handler(None, 0)
    assert steps < 30
