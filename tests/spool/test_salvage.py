from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path

import msgspec
import pytest

from lora_post.clocks.scale import boot_zero
from lora_post.errors import Problem, SpoolDamaged, Unavailable
from lora_post.model import Reading
from lora_post.spool import undecoded
from lora_post.spool.lanes import parked
from lora_post.spool.model import Batch
from lora_post.spool.queue import Queue
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.salvage import Salvaged, salvage
from lora_post.spool.schema import PARKED_FIX, STEPS
from lora_post.spool.sessions import load_sessions, save_sessions
from lora_post.spool.spool_file import SpoolFile
from lora_post.uplink.model import Report
from tests.support.build import NOON_US, device, report
from tests.support.damage import damage_page_with, damage_table
from tests.support.lanes import ready_lanes

SINK = "waziup"
OF_ALICE = Problem("belongs to alice", "choose another id")


@pytest.fixture
def damaged(tmp_path: Path) -> Iterator[SpoolFile]:
    """The spool that is going to be damaged."""
    with closing(SpoolFile(tmp_path / "old.db")) as spool_file:
        yield spool_file


@pytest.fixture
def current(tmp_path: Path) -> Iterator[SpoolFile]:
    with closing(SpoolFile(tmp_path / "spool.db")) as spool_file:
        yield spool_file


def put(spool_file: SpoolFile, *reports: Report) -> None:
    with spool_file.transaction() as db:
        QueueWriter(spool_file, [SINK], 1 << 30).put(db, reports)


def put_values(spool_file: SpoolFile, name: str, count: int) -> None:
    put(spool_file, *(report(Reading(name, f"{name}-{n:05}"), time_us=NOON_US + n * 1000) for n in range(count)))


def queued(spool_file: SpoolFile) -> dict[str, list[object]]:
    reader = Queue(spool_file, SINK)
    return {
        lane.name: [msgspec.json.decode(value) for value in batch.values]
        for lane in ready_lanes(reader)
        if (batch := reader.claim(lane, 1 << 20))
    }


def nothing(sink: str, batch: Batch) -> Collection[int]:
    return ()


def park(spool_file: SpoolFile, name: str) -> None:
    reader = Queue(spool_file, SINK)
    lane = next(lane for lane in reader.lanes_of("pond-7") if lane.name == name)
    reader.park(lane, OF_ALICE, NOON_US)


def test_everything_that_was_held_comes_back_once(damaged: SpoolFile, current: SpoolFile) -> None:
    put(damaged, report(Reading("t", 1), Reading("h", 2)), report(Reading("t", 3), time_us=NOON_US + 1))
    put(damaged, report(time_us=NOON_US, problem="WrongLength: 1 byte"))
    reader = Queue(damaged, SINK)
    for lane in reader.lanes_of("pond-7"):
        if lane.name == "t" and (batch := reader.claim(lane, 1)):
            reader.refuse(batch, "status 400")
    park(damaged, "h")
    assert salvage(current, damaged.path, nothing) == Salvaged(readings=2, refused=1, payloads=1)
    assert queued(current) == {"t": [3]}
    held = [(each.name, each.why) for each in parked(current)]
    assert held == [("h", OF_ALICE), ("t", Problem("status 400"))]
    assert [payload.problem for payload in undecoded.load(current)] == ["WrongLength: 1 byte"]
    assert salvage(current, damaged.path, nothing) == Salvaged(here=2)


def test_what_an_earlier_version_held_comes_back(tmp_path: Path, current: SpoolFile) -> None:
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as db:
        for statement in chain.from_iterable(STEPS[: STEPS.index(PARKED_FIX)]):
            db.execute(statement)
        db.execute("INSERT INTO lane VALUES (1, 'waziup', 'pond-7', 't', '', '', NULL, 'belongs to alice', 9)")
        db.execute("INSERT INTO reading VALUES (1, ?, x'31')", (NOON_US,))
        db.execute("INSERT INTO refused VALUES (1, ?, x'32', 'status 400')", (NOON_US + 1,))
        db.execute("INSERT INTO undecoded VALUES (1, 'pond-7', 'text', ?, 3, 2, x'33', 'WrongFormat')", (NOON_US,))
        db.commit()
    assert salvage(current, path, nothing) == Salvaged(readings=1, refused=1, payloads=1)
    assert [(each.payload, each.phy_payload) for each in undecoded.load(current)] == [(b"3", b"")]
    assert [each.why for each in parked(current)] == [Problem("belongs to alice"), Problem("status 400")]


def test_reading_that_has_arrived_is_left_where_it_is(damaged: SpoolFile, current: SpoolFile) -> None:
    put_values(damaged, "t", 5)
    found = salvage(current, damaged.path, lambda sink, batch: batch.times_us[:2])
    assert found == Salvaged(readings=3, arrived=2)
    assert queued(current) == {"t": ["t-00002", "t-00003", "t-00004"]}


def test_sensor_whose_sink_cannot_be_asked_is_left_for_another_time(damaged: SpoolFile, current: SpoolFile) -> None:
    put_values(damaged, "t", 2)
    put_values(damaged, "h", 2)

    def ask(sink: str, batch: Batch) -> Collection[int]:
        if batch.lane.name == "t":
            raise Unavailable("no network")
        return ()

    assert salvage(current, damaged.path, ask) == Salvaged(readings=2, unasked=("pond-7/t: no network",))
    assert queued(current) == {"h": ["h-00000", "h-00001"]}


def test_what_is_before_and_behind_the_damage_comes_back(damaged: SpoolFile, current: SpoolFile) -> None:
    put_values(damaged, "t", 3000)
    damaged.close()
    damage_page_with(damaged.path, b"t-01500")
    found = salvage(current, damaged.path, nothing)
    values = queued(current)["t"]
    assert found.readings == len(values) > 2500
    assert (values[0], values[-1]) == ("t-00000", "t-02999")
    assert values == sorted(values)  # type: ignore[type-var]


@pytest.mark.parametrize("table", ["session", "reading", "refused", "undecoded", "known", "heard", "tally", "joined"])
def test_one_table_that_is_lost_does_not_cost_the_others(damaged: SpoolFile, current: SpoolFile, table: str) -> None:
    put_values(damaged, "t", 3)
    with damaged.transaction() as db:
        save_sessions(db, {"pond": 7})
    damaged.close()
    damage_table(damaged.path, table)
    salvage(current, damaged.path, nothing)
    assert queued(current) == ({} if table == "reading" else {"t": ["t-00000", "t-00001", "t-00002"]})
    assert load_sessions(current.db) == ({} if table == "session" else {"pond": 7})


def test_joined_sessions_come_back_unless_there_is_a_newer_one(damaged: SpoolFile, current: SpoolFile) -> None:
    add = "INSERT INTO joined VALUES (?, ?)"
    with damaged.transaction() as db:
        db.executemany(add, [("a", b"{}"), ("b", b"{}")])
        save_sessions(db, {"a": 1})
    with current.transaction() as db:
        db.execute(add, ("b", b'{"newer": 1}'))
    salvage(current, damaged.path, nothing)
    assert current.rows("SELECT device, state FROM joined") == [("a", b"{}"), ("b", b'{"newer": 1}')]


def test_counters_never_go_back(damaged: SpoolFile, current: SpoolFile) -> None:
    with damaged.transaction() as db:
        save_sessions(db, {"a": 7, "b": 7, "c": 7})
    with current.transaction() as db:
        save_sessions(db, {"a": 9, "b": 5})
    salvage(current, damaged.path, nothing)
    assert load_sessions(current.db) == {"a": 9, "b": 7, "c": 7}


def test_reading_of_the_same_time_and_another_value_is_moved_apart(damaged: SpoolFile, current: SpoolFile) -> None:
    put(damaged, report(Reading("t", 1)))
    put(current, report(Reading("t", 2)))
    assert salvage(current, damaged.path, nothing) == Salvaged(readings=1)
    assert queued(current) == {"t": [2, 1]}


def test_sensor_that_was_released_meanwhile_is_not_parked_again(damaged: SpoolFile, current: SpoolFile) -> None:
    put_values(damaged, "t", 1)
    park(damaged, "t")
    put(current, report(Reading("t", 2)))
    salvage(current, damaged.path, nothing)
    assert parked(current) == []


def test_what_is_no_reading_is_left_out(damaged: SpoolFile, current: SpoolFile) -> None:
    put_values(damaged, "t", 2)
    with damaged.transaction() as db:
        db.execute("INSERT INTO reading VALUES (1, 5, ?)", (b"{",))
        db.execute("INSERT INTO reading VALUES (1, 'x', ?)", (b"1",))
        db.execute("INSERT INTO lane (sink, device, name, unit, quantity) VALUES (x'ff', 'd', 'n', '', '')")
    assert salvage(current, damaged.path, nothing) == Salvaged(readings=2)


@pytest.mark.parametrize("content", [b"", b"not a database at all " * 1000])
def test_file_in_which_nothing_can_be_read_is_told(tmp_path: Path, current: SpoolFile, content: bytes) -> None:
    path = tmp_path / "noise"
    path.write_bytes(content)
    with pytest.raises(SpoolDamaged, match="nothing in it can be read as a spool"):
        salvage(current, path, nothing)


def keep_boot(spool_file: SpoolFile, boot: str, number: int, offset_us: int | None) -> None:
    with spool_file.transaction() as db:
        db.execute("INSERT INTO boot (id, number, seen_us, offset_us) VALUES (?, ?, 0, ?)", (boot, number, offset_us))


@pytest.mark.parametrize(
    ("in_old", "in_new", "wanted"),
    [
        pytest.param(("b", 7, NOON_US), None, NOON_US, id="the damaged file knows"),
        pytest.param(("b", 7, None), ("b", 2, NOON_US), NOON_US, id="learned since"),
        pytest.param(("b", 7, None), ("b", 2, None), boot_zero(2), id="the same boot, not learned yet"),
        pytest.param(("b", 7, None), ("c", 7, NOON_US), None, id="another boot of the same number"),
        pytest.param(None, ("c", 7, NOON_US), None, id="nothing is known"),
    ],
)
def test_reading_of_unknown_time_gets_the_one_of_its_own_boot_or_stays(
    in_old: tuple[str, int, int | None] | None,
    in_new: tuple[str, int, int | None] | None,
    wanted: int | None,
    damaged: SpoolFile,
    current: SpoolFile,
) -> None:
    for spool_file, boot in ((damaged, in_old), (current, in_new)):
        if boot is not None:
            keep_boot(spool_file, *boot)
    late = 5_000_000
    put(damaged, report(Reading("t", 1), time_us=boot_zero(7) + late))
    put(damaged, report(time_us=boot_zero(7) + late, problem="WrongLength: 1 byte"))
    found = salvage(current, damaged.path, nothing)
    assert found == (Salvaged(untimed=2) if wanted is None else Salvaged(readings=1, payloads=1))
    here = [] if wanted is None else [(wanted + late,)]
    for table in ("reading", "undecoded"):
        assert current.rows(f"SELECT time_us FROM {table}") == here
    # What was told once is known when it is salvaged again.
    assert salvage(current, damaged.path, nothing) == (Salvaged(untimed=2) if wanted is None else Salvaged(here=1))


def test_damaged_file_is_not_changed(damaged: SpoolFile, current: SpoolFile) -> None:
    put(damaged, report(Reading("t", 1), of=device("pond-8")))
    damaged.close()
    before = damaged.path.read_bytes()
    salvage(current, damaged.path, nothing)
    assert damaged.path.read_bytes() == before


def test_times_that_no_date_can_say_are_left_out(damaged: SpoolFile, current: SpoolFile) -> None:
    put_values(damaged, "t", 1)
    with damaged.transaction() as db:
        db.execute("INSERT INTO boot (id, number, seen_us, offset_us) VALUES ('far', 1, 0, ?)", (1 << 60,))
        db.executemany("INSERT INTO reading VALUES (1, ?, X'31')", [(1 << 60,), (-(1 << 60),), (boot_zero(1) + 5,)])
    asked: list[int] = []

    def arrived(sink: str, batch: Batch) -> Collection[int]:
        asked.extend(batch.times_us)
        return ()

    assert salvage(current, damaged.path, arrived).readings == 1
    assert asked == [NOON_US]
    assert queued(current) == {"t": ["t-00000"]}
