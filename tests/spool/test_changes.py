"""What a run takes over from the commits of others: what has changed, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lora_post.lorawan.root_keys import RootKeys
from lora_post.model import Device, Reading
from lora_post.spool import lanes
from lora_post.spool.ledger import SpoolLedger
from lora_post.spool.model import Lane
from lora_post.spool.queue import Queue
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.sessions import forget_sessions, load_sessions, save_sessions
from lora_post.spool.spool_file import SpoolFile
from lora_post.spool.upkeep import drop_sink
from lora_post.uplink.join_state import JoinedSession, Joiner, JoinState
from lora_post.uplink.model import Session
from lora_post.uplink.sessions import downlink_key, session_key
from tests.support.build import NOON_US, device, report
from tests.support.keeping import keep
from tests.support.lanes import ready_lanes

SINK = "waziup"
POND, WELL = device("pond-7"), device("well-3", address=0x26011BDB)
OTAA = device("buoy", address=None, keys=None, root=RootKeys(5, 6, bytes(16)))


class Run:
    """The ledger of one run, on a connection of its own."""

    def __init__(self, path: Path, *devices: Device) -> None:
        self.spool_file = SpoolFile(path)
        writer = QueueWriter(self.spool_file, [SINK], 1 << 30)
        self.ledger = SpoolLedger(self.spool_file, devices or (POND, WELL, OTAA), writer)

    def next_fcnt(self, of: Device) -> int:
        assert of.address is not None
        with self.ledger.group() as group:
            return group.find(of.link, of.address)[0].next_fcnt

    def accept(self, of: Device, fcnt: int) -> None:
        assert of.address is not None
        with self.ledger.group() as group:
            (session,) = group.find(of.link, of.address)
            keep(group, report(Reading("t", fcnt), time_us=NOON_US + fcnt, of=session.device), Session(of, fcnt + 1))

    def join(self, session: JoinedSession) -> None:
        with self.ledger.group() as group:
            group.accept_join(Joiner(OTAA, JoinState((1,), (1,), NOON_US, (session,))))

    def finds(self, dev_addr: int) -> int:
        with self.ledger.group() as group:
            return len(group.find(POND.link, dev_addr))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool.db"


@pytest.fixture
def run(path: Path) -> Iterator[Run]:
    run = Run(path)
    run.accept(POND, 6)
    run.accept(WELL, 40)
    yield run
    run.spool_file.close()


@pytest.fixture
def other(path: Path) -> Iterator[Run]:
    other = Run(path)
    other.next_fcnt(POND)
    yield other
    other.spool_file.close()


@contextmanager
def statements(spool_file: SpoolFile) -> Iterator[list[str]]:
    found: list[str] = []
    spool_file.db.set_trace_callback(found.append)
    try:
        yield found
    finally:
        spool_file.db.set_trace_callback(None)


def settle_something(path: Path) -> None:
    """What an upload commits."""
    spool_file = SpoolFile(path)
    queue = Queue(spool_file, SINK)
    (lane, *_) = ready_lanes(queue)
    batch = queue.claim(lane, 1)
    assert batch is not None
    queue.settle({lane.id: batch.times_us})
    spool_file.close()


def test_commit_of_an_upload_has_counters_of_one_address_read_and_no_table(run: Run, path: Path) -> None:
    settle_something(path)
    with statements(run.spool_file) as found:
        run.accept(POND, 7)
        run.accept(POND, 8)
    reads = [text for text in found if "FROM session" in text or "FROM joined" in text or "FROM stranger" in text]
    assert len(reads) == 1
    assert "BETWEEN 'lorawan:26011bda:'" in reads[0]
    assert not any("SELECT id, device" in text for text in found), "lanes are looked up again"


def test_two_runs_know_each_other_s_counters(run: Run, other: Run) -> None:
    for fcnt in range(10, 20, 2):
        run.accept(POND, fcnt)
        assert other.next_fcnt(POND) == fcnt + 1
        other.accept(POND, fcnt + 1)
        assert run.next_fcnt(POND) == fcnt + 2
    assert other.next_fcnt(WELL) == 41


def test_counters_that_are_reset_begin_anew_up_and_down(run: Run, path: Path) -> None:
    key = session_key(POND)
    with SpoolFile(path).transaction() as db:
        save_sessions(db, {downlink_key(key): 9})
    with run.ledger.group() as group:
        group.find(POND.link, POND.address or 0)
        assert group.take_fcnt_down(POND, is_app=True) == 9
    with SpoolFile(path).transaction() as db:
        assert forget_sessions(db, [key, downlink_key(key)]) == 2
    assert run.next_fcnt(POND) == 0
    with run.ledger.group() as group:
        group.find(POND.link, POND.address or 0)
        assert group.take_fcnt_down(POND, is_app=True) == 0


def test_join_that_another_run_heard_opens_its_session_here(run: Run, other: Run) -> None:
    session = JoinedSession(0x01020304, (bytes(16), bytes(range(16))))
    assert other.finds(session.dev_addr) == 0
    run.join(session)
    assert run.finds(session.dev_addr) == other.finds(session.dev_addr) == 1


def test_own_join_is_not_read_back(run: Run, path: Path) -> None:
    run.join(JoinedSession(0x01020304, (bytes(16), bytes(range(16)))))
    settle_something(path)
    with statements(run.spool_file) as found:
        run.accept(POND, 9)
    assert not any("FROM joined" in text for text in found)


def test_join_ends_the_sessions_before_it_and_their_counters(run: Run) -> None:
    first, second = (JoinedSession(0x01020300 + n, (bytes(16), bytes([n]) * 16)) for n in range(2))
    run.join(first)
    with run.ledger.group() as group:
        (session,) = group.find(POND.link, first.dev_addr)
        keep(group, report(of=session.device), Session(session.device, 8))
    assert len(load_sessions(run.spool_file.db)) == 3
    run.join(second)
    assert (run.finds(first.dev_addr), run.finds(second.dev_addr)) == (0, 1)
    assert len(load_sessions(run.spool_file.db)) == 2


def test_lanes_that_are_removed_are_made_again(run: Run, path: Path) -> None:
    drop_sink(SpoolFile(path), SINK)
    run.accept(POND, 8)
    (lane,) = ready_lanes(Queue(run.spool_file, SINK))
    assert lane.device == "pond-7"


def test_empty_lanes_of_devices_that_are_gone_are_removed_and_nothing_else(run: Run, path: Path) -> None:
    queue = Queue(run.spool_file, SINK)
    with run.spool_file.transaction() as db:
        for name in ("empty", "full", "parked", "refused", "last"):
            number = lanes.add(db, SINK, Lane(0, f"gone-{name}", "t", "", "", None))
            if name == "full":
                lanes.put(db, [(number, NOON_US, b"1")])
            if name == "refused":
                lanes.add_refused(db, number, NOON_US, b"1", "because")
            if name == "parked":
                db.execute("UPDATE lane SET parked = 'because' WHERE id = ?", (number,))
        assert lanes.forget_devices(db, {"pond-7", "well-3"}) == 1
        assert lanes.forget_devices(db, {"pond-7", "well-3"}) == 0
    left = {state.device for state in lanes.sensor_states(run.spool_file)}
    assert left == {"pond-7", "well-3", "gone-full", "gone-parked", "gone-refused", "gone-last"}
    assert len(ready_lanes(queue)) == 3


def test_lane_that_is_removed_under_a_run_costs_no_reading(run: Run, path: Path) -> None:
    while ready_lanes(Queue(run.spool_file, SINK)):
        settle_something(path)
    run.next_fcnt(POND)
    with SpoolFile(path).transaction() as db:
        lanes.forget_devices(db, set())
    run.accept(POND, 8)
    run.accept(WELL, 41)
    assert {lane.device for lane in ready_lanes(Queue(run.spool_file, SINK))} == {"pond-7", "well-3"}
