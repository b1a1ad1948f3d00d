from __future__ import annotations

import itertools
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lora_post.errors import Problem, SpoolError
from lora_post.model import Reading
from lora_post.spool.lanes import _first_free, parked
from lora_post.spool.ledger import SpoolLedger
from lora_post.spool.model import Batch, Lane
from lora_post.spool.queue import Counts, LeftBehind, Queue
from lora_post.spool.queue_writer import EVICTED, MAX_SENSORS, TOO_MANY_SENSORS, QueueWriter, _cut_level
from lora_post.spool.spool_file import SpoolFile
from lora_post.spool.tallies import tallies
from lora_post.spool.undecoded import KEEP_OF_DEVICE, PRUNE_EVERY, load, trim, used_bytes
from lora_post.spool.upkeep import drop, move, release
from lora_post.times import WallUs
from lora_post.uplink.model import Report, Session, Uplink
from tests.support.build import NOON_US, device, frame, report
from tests.support.keeping import keep
from tests.support.lanes import ready_lanes

SINK = "waziup"
ROOMY = 1 << 30


@pytest.fixture
def spool_file(tmp_path: Path) -> Iterator[SpoolFile]:
    spool_file = SpoolFile(tmp_path / "spool.db")
    yield spool_file
    spool_file.close()


def put(spool_file: SpoolFile, *reports: object, max_bytes: int = ROOMY) -> None:
    writer = QueueWriter(spool_file, [SINK], max_bytes)
    with spool_file.transaction() as db:
        writer.put(db, reports)  # type: ignore[arg-type]
        writer.make_room(db)


def claim(spool_file: SpoolFile, name: str = "t", limit: int = 100) -> Batch:
    batch = Queue(spool_file, SINK).claim(lane(spool_file, name), limit)
    assert batch is not None
    return batch


def lane(spool_file: SpoolFile, name: str = "t") -> Lane:
    return next(lane for lane in Queue(spool_file, SINK).lanes_of("pond-7") if lane.name == name)


def test_readings_come_out_in_time_order_with_their_unit(spool_file: SpoolFile) -> None:
    put(spool_file, report(Reading("t", 2.5, "°C", 3), Reading("h", 80), time_us=NOON_US))
    put(spool_file, report(Reading("t", 2.75, "°C", 3), time_us=NOON_US - 5_000_000))
    batch = claim(spool_file)
    assert batch.lane == Lane(batch.lane.id, "pond-7", "t", "°C", "", 3)
    assert batch.times_us == (NOON_US - 5_000_000, NOON_US)
    assert batch.values == (b"2.75", b"2.5")
    assert claim(spool_file, limit=1).values == (b"2.75",)


def test_value_of_any_kind_comes_back_as_it_was(spool_file: SpoolFile) -> None:
    values = [0, -5, 1e300, 0.1, True, "ü\n\"'", {"latitude": 1.5, "x": [1, "y"]}, [], 2**63 - 1]
    for index, value in enumerate(values):
        put(spool_file, report(Reading("t", value), time_us=NOON_US + index))
    assert [msgspec.json.decode(value) for value in claim(spool_file).values] == values


def test_age_puts_a_reading_into_the_past(spool_file: SpoolFile) -> None:
    put(spool_file, report(Reading("t", 1), Reading("t", 2, age_s=60.5)))
    assert claim(spool_file).times_us == (NOON_US - 60_500_000, NOON_US)


def test_readings_of_one_sensor_at_one_instant_are_moved_apart(spool_file: SpoolFile) -> None:
    put(spool_file, report(Reading("t", 1), Reading("t", 2), Reading("h", 5)))
    put(spool_file, report(Reading("t", 3)))
    batch = claim(spool_file)
    assert batch.times_us == (NOON_US, NOON_US + 1000, NOON_US + 2000)
    assert batch.values == (b"1", b"2", b"3")
    assert claim(spool_file, "h").times_us == (NOON_US,)


def test_clock_that_stands_still_costs_no_more_with_each_reading(spool_file: SpoolFile) -> None:
    writer = QueueWriter(spool_file, [SINK], ROOMY)
    asked: list[str] = []
    with spool_file.transaction() as db:
        writer.put(db, [report(Reading("t", number)) for number in range(1000)])
        db.set_trace_callback(asked.append)
        writer.put(db, [report(Reading("t", number)) for number in range(1000, 1100)])
        db.set_trace_callback(None)
    assert len(asked) < 100 * 50
    batch = claim(spool_file, limit=2000)
    assert [int(value) for value in batch.values] == list(range(1100))
    assert len(set(batch.times_us)) == 1100


@given(st.sets(st.integers(1, 40)))
def test_place_behind_readings_of_one_time_is_free(taken: set[int]) -> None:
    place = _first_free(lambda steps: steps == 0 or steps in taken)
    assert place not in taken
    assert place - 1 in taken | {0}


def test_settling_leaves_readings_that_came_in_between(spool_file: SpoolFile) -> None:
    put(spool_file, report(Reading("t", 1)), report(Reading("t", 3), time_us=NOON_US + 2))
    batch = claim(spool_file)
    put(spool_file, report(Reading("t", 2), time_us=NOON_US + 1))
    Queue(spool_file, SINK).settle({batch.lane.id: batch.times_us})
    assert claim(spool_file).values == (b"2",)


def test_parked_lane_is_not_ready_until_it_is_released(spool_file: SpoolFile) -> None:
    put(spool_file, report(Reading("t", 1), Reading("h", 2)))
    reader = Queue(spool_file, SINK)
    reader.park(lane(spool_file), Problem("belongs to alice"), NOON_US)
    assert [ready.name for ready in ready_lanes(reader)] == ["h"]
    assert [(p.device, p.name, str(p.why), p.readings) for p in parked(spool_file)] == [
        ("pond-7", "t", "belongs to alice", 1)
    ]
    assert reader.counts() == Counts(queued=1, parked=1, refused=0, undecoded=0)
    assert release(spool_file, "pond-7", "h") == 0
    assert release(spool_file, "pond-7", "t") == 1
    assert [ready.name for ready in ready_lanes(reader)] == ["t", "h"]
    assert parked(spool_file) == []


def test_refused_reading_steps_aside_and_can_come_back(spool_file: SpoolFile) -> None:
    put(spool_file, report(Reading("t", "bad")), report(Reading("t", 2), time_us=NOON_US + 1))
    reader = Queue(spool_file, SINK)
    reader.refuse(claim(spool_file, limit=1), "status 400")
    assert claim(spool_file).values == (b"2",)
    assert str(parked(spool_file)[0].why) == "status 400"
    assert release(spool_file, None, None) == 1
    assert claim(spool_file).values == (b'"bad"', b"2")


def test_refused_reading_of_a_parked_lane_counts_once_when_it_is_released(spool_file: SpoolFile) -> None:
    put(spool_file, report(Reading("t", "bad")), report(Reading("t", 2), time_us=NOON_US + 1))
    reader = Queue(spool_file, SINK)
    reader.refuse(claim(spool_file, limit=1), "status 400")
    reader.park(lane(spool_file), Problem("belongs to alice"), NOON_US)
    assert release(spool_file, None, None) == 2
    assert reader.counts() == Counts(queued=2, parked=0, refused=0, undecoded=0)


def test_dropping_deletes_what_is_parked_and_nothing_else(spool_file: SpoolFile) -> None:
    put(spool_file, report(Reading("t", 1), Reading("h", 2)), report(Reading("h", 3), time_us=NOON_US + 1))
    reader = Queue(spool_file, SINK)
    reader.park(lane(spool_file), Problem("x"), NOON_US)
    reader.refuse(claim(spool_file, "h", limit=1), "y")
    assert drop(spool_file, None, None) == 2
    assert reader.counts() == Counts(queued=1, parked=0, refused=0, undecoded=0)


def test_readings_of_a_wrong_id_move_to_the_right_one_and_go_out(spool_file: SpoolFile) -> None:
    put(spool_file, report(Reading("t", 1, "°C", 3)), report(Reading("t", 2, "°C", 3), time_us=NOON_US + 1))
    reader = Queue(spool_file, SINK)
    reader.refuse(claim(spool_file, limit=1), "status 400")
    reader.park(lane(spool_file), Problem("belongs to alice"), NOON_US)
    put(spool_file, report(Reading("t", 3), time_us=NOON_US + 1, of=device("new")))
    assert move(spool_file, "pond-7", "new") == 2
    (ready,) = ready_lanes(reader)
    batch = reader.claim(ready, 10)
    assert batch is not None
    assert (ready.device, batch.values) == ("new", (b"1", b"3", b"2"))
    assert parked(spool_file) == []


def test_unknown_sensor_is_named_in_the_complaint(spool_file: SpoolFile) -> None:
    with pytest.raises(SpoolError, match="sensor pond-8/t is not in the spool"):
        release(spool_file, "pond-8", "t")


def test_undecodable_payload_is_kept(spool_file: SpoolFile) -> None:
    put(spool_file, report(problem="WrongLength: 1 byte"))
    assert Queue(spool_file, SINK).counts().undecoded == 1
    row = spool_file.db.execute("SELECT device, decoder, time_us, payload, problem FROM undecoded").fetchone()
    assert row == ("pond-7", "cayenne-lpp", NOON_US, b"\x01", "WrongLength: 1 byte")


def test_payloads_that_cannot_be_decoded_never_cost_a_reading(spool_file: SpoolFile) -> None:
    junk = device("junk")
    put(spool_file, *(report(Reading("t", n), time_us=NOON_US + n) for n in range(20_000)), max_bytes=1 << 20)
    put(spool_file, report(problem="WrongLength"), max_bytes=1 << 20)
    ledger = SpoolLedger(spool_file, [junk], QueueWriter(spool_file, [SINK], 1 << 20))
    for first in range(0, 9_000, 500):
        with ledger.group() as group:
            for n in range(first, first + 500):
                uplink = Uplink(frame(time_us=NOON_US + n), junk, n, 1, b"%051d" % n, False)
                assert not group.is_repeat(uplink, 20_000_000)
                keep(group, Report(uplink, (), (), "WrongLength: " + "x" * 1_000), Session(junk))
    counts = Queue(spool_file, SINK).counts()
    assert (counts.queued, tallies(spool_file.db)) == (20_000, {})
    kept = dict(spool_file.db.execute("SELECT device, count(*) FROM undecoded GROUP BY device"))
    assert kept["pond-7"] == 1
    assert 0 < kept["junk"] < KEEP_OF_DEVICE
    put(spool_file, *(report(Reading("t", n), time_us=NOON_US + n) for n in range(20_000, 33_000)), max_bytes=1 << 20)
    assert spool_file.used_bytes() <= 1 << 20
    assert EVICTED not in tallies(spool_file.db)
    assert Queue(spool_file, SINK).counts().queued == 33_000


def test_payloads_that_cannot_be_decoded_have_a_bound_which_devices_share(spool_file: SpoolFile) -> None:
    for name, count in (("quiet", 100), ("loud", KEEP_OF_DEVICE + PRUNE_EVERY), ("last", 100)):
        put(spool_file, *(report(of=device(name), problem="no") for _ in range(count)))
    assert len(load(spool_file, "loud")) < KEEP_OF_DEVICE + PRUNE_EVERY
    with spool_file.transaction() as db:
        trim(db, used_bytes(db) // 4)
        assert used_bytes(db) > 0
    kept = Counter(row.device for row in load(spool_file))
    assert kept["quiet"] == kept["last"] == 100
    assert 100 < kept["loud"] < KEEP_OF_DEVICE // 2


def test_full_spool_takes_from_the_longest_lane_and_says_how_much(spool_file: SpoolFile) -> None:
    text = "x" * 200
    for start in range(0, 6000, 500):
        reports = [report(Reading("long", text), time_us=NOON_US + start + n) for n in range(500)]
        put(spool_file, *reports, report(Reading("short", start), time_us=NOON_US + start), max_bytes=1 << 20)
    assert spool_file.used_bytes() <= 1 << 20
    counts = Queue(spool_file, SINK).counts()
    assert counts.queued + tallies(spool_file.db)["evicted"] == 6012
    assert len(claim(spool_file, "short").values) == 12
    newest = spool_file.db.execute(
        "SELECT max(time_us) FROM reading WHERE lane = ?", (lane(spool_file, "long").id,)
    ).fetchone()
    assert newest == (NOON_US + 5999,)


def test_full_spool_gives_up_its_newest_readings_when_it_is_told_to(spool_file: SpoolFile) -> None:
    writer = QueueWriter(spool_file, [SINK], 128 << 10, "drop-newest")
    kept = []
    for first in range(0, 8000, 500):
        with spool_file.transaction() as db:
            writer.put(db, [report(Reading("t", n), time_us=NOON_US + n) for n in range(first, first + 500)])
            writer.make_room(db)
        batch = Queue(spool_file, SINK).claim(lane(spool_file, "t"), 1 << 20)
        assert batch is not None
        kept.append(batch.times_us)
    assert all(times[0] == NOON_US for times in kept)
    assert kept[-1][-1] < NOON_US + 7999
    assert spool_file.used_bytes() <= 128 << 10
    assert tallies(spool_file.db)["evicted"] == 8000 - len(kept[-1])


def test_bound_that_was_lowered_takes_from_all_long_lanes_alike(spool_file: SpoolFile) -> None:
    names = [f"s{number}" for number in range(20)]
    for start in range(0, 2000, 500):
        put(spool_file, *[report(*[Reading(n, 1) for n in names], time_us=NOON_US + start + t) for t in range(500)])
    put(spool_file, report(*[Reading("short", t) for t in range(50)]))
    counted = 0

    def count(statement: str) -> None:
        nonlocal counted
        counted += "GROUP BY" in statement

    spool_file.db.set_trace_callback(count)
    put(spool_file, report(Reading("short", 50)), max_bytes=100_000)
    assert spool_file.used_bytes() <= 100_000
    assert counted < 20
    lengths = [len(claim(spool_file, name, 10_000).values) for name in names]
    assert max(lengths) - min(lengths) <= 1
    assert min(lengths) > 50
    assert len(claim(spool_file, "short").values) == 51
    assert claim(spool_file, "s0", 10_000).times_us[-1] == NOON_US + 1999


@given(st.lists(st.integers(1, 50), min_size=1, max_size=8), st.integers(1, 500))
def test_longest_lanes_are_cut_by_no_more_than_is_needed(lengths: list[int], surplus: int) -> None:
    level = _cut_level(lengths, surplus)
    gone = sum(max(0, length - level) for length in lengths)
    assert level >= 0
    assert gone >= min(surplus, sum(lengths))
    assert gone < surplus + len(lengths)


def test_device_that_invents_names_gets_only_so_many_sensors(spool_file: SpoolFile) -> None:
    put(spool_file, report(*(Reading(f"n{index}", 1) for index in range(MAX_SENSORS + 10))))
    put(spool_file, report(Reading("n1", 2), Reading("another", 2), time_us=NOON_US + 1))
    put(spool_file, report(Reading("t", 3), of=device("honest")))
    assert Queue(spool_file, SINK).counts().queued == MAX_SENSORS + 2
    assert tallies(spool_file.db) == {TOO_MANY_SENSORS: 11}


def test_each_sink_has_its_own_copy(spool_file: SpoolFile) -> None:
    writer = QueueWriter(spool_file, ["a", "b"], ROOMY)
    with spool_file.transaction() as db:
        writer.put(db, [report(Reading("t", 1))])
    one, other = Queue(spool_file, "a"), Queue(spool_file, "b")
    batch = one.claim(ready_lanes(one)[0], 10)
    assert batch is not None
    one.settle({batch.lane.id: batch.times_us})
    assert (one.counts().queued, other.counts().queued) == (0, 1)


def test_reading_that_comes_in_among_those_under_way_stays(spool_file: SpoolFile) -> None:
    for offset in (0, 2000):
        put(spool_file, report(Reading("t", offset), time_us=NOON_US + offset))
    batch = claim(spool_file)
    put(spool_file, report(Reading("t", 1000), time_us=NOON_US + 1000))
    Queue(spool_file, SINK).settle({batch.lane.id: batch.times_us})
    assert claim(spool_file).times_us == (NOON_US + 1000,)


def test_reading_that_takes_the_place_of_one_given_up_meanwhile_stays(spool_file: SpoolFile) -> None:
    """As many as were under way, and not the same ones: a full spool gave up the oldest, a device sent its history."""
    for offset in (0, 2000, 4000):
        put(spool_file, report(Reading("t", offset), time_us=NOON_US + offset))
    batch = claim(spool_file)
    with spool_file.transaction() as db:
        db.execute("DELETE FROM reading WHERE time_us = ?", (NOON_US,))
    put(spool_file, report(Reading("t", 3000), time_us=NOON_US + 3000))
    Queue(spool_file, SINK).settle({batch.lane.id: batch.times_us})
    assert claim(spool_file).times_us == (NOON_US + 3000,)


def test_what_is_confirmed_already_is_not_claimed_again_and_late_readings_are(spool_file: SpoolFile) -> None:
    for offset in range(5):
        put(spool_file, report(Reading("t", offset), time_us=NOON_US + 2 * offset))
    first = claim(spool_file, limit=2)
    put(spool_file, report(Reading("t", 9), time_us=NOON_US + 1))
    reader = Queue(spool_file, SINK)
    then = reader.claim(first.lane, 2, but=set(first.times_us))
    assert then is not None
    assert then.times_us == (NOON_US + 1, NOON_US + 4)
    reader.settle({first.lane.id: (*first.times_us, *then.times_us)})
    assert claim(spool_file).times_us == (NOON_US + 6, NOON_US + 8)


def test_what_is_noted_with_readings_that_leave_is_in_their_commit_and_nothing_to_search_for(
    spool_file: SpoolFile,
) -> None:
    put(spool_file, report(Reading("t", 1)))
    batch, queue = claim(spool_file), Queue(spool_file, SINK)
    queue.note_sending(WallUs(5))
    commits: list[str] = []
    spool_file.db.set_trace_callback(lambda line: commits.append(line) if line == "COMMIT" else None)
    version = queue.version()
    queue.settle({batch.lane.id: batch.times_us}, WallUs(7))
    spool_file.db.set_trace_callback(None)
    assert (len(commits), queue.version()) == (1, version)
    assert Queue(spool_file, SINK).mark_running() == LeftBehind(WallUs(7))


def test_nothing_is_noted_when_readings_cannot_leave(spool_file: SpoolFile) -> None:
    put(spool_file, report(Reading("t", 1)))
    batch, queue = claim(spool_file), Queue(spool_file, SINK)
    queue.note_sending(WallUs(5))
    spool_file.db.execute("PRAGMA query_only=ON")
    with pytest.raises(SpoolError):
        queue.settle({batch.lane.id: batch.times_us}, WallUs(7))
    spool_file.db.execute("PRAGMA query_only=OFF")
    assert Queue(spool_file, SINK).mark_running() == LeftBehind(WallUs(5))


class QueueMachine(RuleBasedStateMachine):
    """Put, claim, settle, park, crash and reopen in any order: nothing lost, nothing settled twice."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "spool.db"
        self.spool_file = SpoolFile(self.path)
        self.clock = itertools.count(NOON_US, 1000)
        self.queued: dict[str, list[tuple[int, int]]] = {}
        self.batch: Batch | None = None

    def teardown(self) -> None:
        self.spool_file.close()
        self.folder.cleanup()

    @rule(names=st.lists(st.sampled_from("abc"), min_size=1, max_size=4))
    def put(self, names: list[str]) -> None:
        time = next(self.clock)
        put(self.spool_file, *[report(Reading(name, time), time_us=time) for name in set(names)])
        for name in set(names):
            self.queued.setdefault(name, []).append((time, time))

    @rule(names=st.lists(st.sampled_from("abc"), min_size=1))
    def crash_while_putting(self, names: list[str]) -> None:
        writer = QueueWriter(self.spool_file, [SINK], ROOMY)
        self.spool_file.db.execute("BEGIN IMMEDIATE")
        writer.put(self.spool_file.db, [report(Reading(name, 1), time_us=next(self.clock)) for name in names])
        self.spool_file.close()
        self.spool_file = SpoolFile(self.path)

    @rule(name=st.sampled_from("abc"), limit=st.integers(1, 4))
    def claim(self, name: str, limit: int) -> None:
        reader = Queue(self.spool_file, SINK)
        for ready in ready_lanes(reader):
            if ready.name == name:
                self.batch = reader.claim(ready, limit)
                assert self.batch is not None
                assert list(self.batch.times_us) == [time for time, _ in self.queued[name][:limit]]

    @precondition(lambda self: self.batch is not None)
    @rule()
    def settle(self) -> None:
        assert self.batch is not None
        Queue(self.spool_file, SINK).settle({self.batch.lane.id: self.batch.times_us})
        name = self.batch.lane.name
        self.queued[name] = [item for item in self.queued[name] if item[0] not in self.batch.times_us]
        self.batch = None

    @rule()
    def reopen(self) -> None:
        self.spool_file.close()
        self.spool_file = SpoolFile(self.path)

    @invariant()
    def queue_is_what_was_put_and_not_settled(self) -> None:
        reader = Queue(self.spool_file, SINK)
        found = {ready.name: reader.claim(ready, 10_000) for ready in ready_lanes(reader)}
        assert {name: list(batch.times_us) for name, batch in found.items() if batch} == {
            name: [time for time, _ in items] for name, items in self.queued.items() if items
        }


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(stateful_step_count=20)
