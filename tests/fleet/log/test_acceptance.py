"""Acceptance is exactly once, whatever workers, servers and links do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_post.fleet.errors import LogUnavailable
from lora_post.fleet.log.acceptance import Acceptance
from lora_post.fleet.log.entry import Accepted, Entry, State, encode
from lora_post.fleet.log.fold import Fold
from lora_post.fleet.log.log import Logged
from lora_post.fleet.log.sqlite_log import SqliteLog
from lora_post.fleet.log.view import Read, View
from lora_post.model import Frame, RxInfo
from lora_post.times import WallUs
from tests.support.fleet_frames import PREFIX, Heard, Worker, check
from tests.support.memory_log import FaultyLog, MemoryLog
from tests.support.turns import Step, take_turns

FRAMES = st.lists(st.builds(Heard, st.integers(0, 1), st.integers(0, 5)), min_size=1, max_size=8)
ORDER = st.lists(st.integers(0, 1 << 16), min_size=30, max_size=30)


def entry(id_: str, prev: str) -> Entry:
    return Entry(id_, prev, 1, State(), up=Accepted("d", Frame("gw", WallUs(0), b"", RxInfo()), 0))


def test_first_entry_that_names_the_last_valid_one_is_the_next() -> None:
    fold = Fold()
    taken = [fold.take(entry(*names)) for names in ("a ", "b ", "ca", "da", "eb", "fc")]
    assert taken == [True, False, True, False, False, True]
    assert fold.last is not None
    assert fold.last.id == "f"


def test_first_retained_entry_is_valid() -> None:
    assert Fold().take(entry("g", "f"))


def test_entry_of_somebody_who_may_write_and_lies_costs_nothing_but_itself() -> None:
    log = MemoryLog()
    log.append([(f"{PREFIX}d", b"\xff not an entry"), (f"{PREFIX}d", encode(entry("a", "zzz")))])
    log.append([(f"{PREFIX}e", encode(entry("b", "")))])  # of a device whose log it may not write
    view = View(PREFIX)
    assert [read.is_valid for read in view.catch_up(log)] == [True]  # the first retained one
    assert (view.position, list(view.folds)) == (3, [f"{PREFIX}d"])


@settings(max_examples=3 * settings.default.max_examples)
@given(st.lists(FRAMES, min_size=2, max_size=4), ORDER, ORDER, st.sampled_from([0, 5, 25]))
def test_any_order_of_workers_with_kills_lost_answers_and_stale_reads(
    given_to: list[list[Heard]], order: list[int], chances: list[int], kill_one_in: int
) -> None:
    log = MemoryLog()
    sent: list[tuple[int, int, bytes]] = []
    turns, chance = cycle(order), cycle(chances)

    def worker(name: str, frames: list[Heard]) -> Callable[[Step], None]:
        def work(step: Step) -> None:
            Worker(FaultyLog(log, step, lambda n: next(chance) % n), name, sent).work(frames)

        return work

    for life in range(2):  # what a killed one had is delivered again
        take_turns([worker(f"{life}{index}", frames) for index, frames in enumerate(given_to)], turns, kill_one_in)
    everything = [heard for frames in given_to for heard in frames]
    last = Worker(log, "last", sent)
    assert len(last.work(everything)) == len(everything)
    log.flush()
    assert len(Worker(log, "after", sent).work(everything)) == len(everything)
    check(log.entries, everything, sent)


@pytest.mark.parametrize("killed_at", range(12))
def test_kill_at_each_step_of_a_worker(killed_at: int) -> None:
    log = MemoryLog()
    sent: list[tuple[int, int, bytes]] = []
    frames = [Heard(0, 0), Heard(1, 0), Heard(0, 1)]

    class Killed(Exception):
        pass

    steps = iter(range(1000))

    def step() -> None:
        if next(steps) == killed_at:
            raise Killed

    try:
        Worker(FaultyLog(log, step, lambda n: 0), "a", sent).work(frames)
    except Killed:
        assert killed_at < 12
    assert len(Worker(log, "b", sent).work(frames)) == len(frames)
    check(log.entries, frames, sent)


def test_workers_on_one_file_at_the_same_time(tmp_path: Path) -> None:
    sent: list[tuple[int, int, bytes]] = []
    frames = [Heard(device, fcnt) for fcnt in range(15) for device in range(3)]
    undecided: list[Heard] = []

    def work(name: str) -> None:
        log = SqliteLog(tmp_path / "log.db")
        try:
            for at in range(0, len(frames), 5):
                batch = frames[at : at + 5]
                undecided.extend(set(batch) - set(Worker(log, f"{name}{at}", sent).work(batch)))
        finally:
            log.close()

    SqliteLog(tmp_path / "log.db").close()
    threads = [Thread(target=work, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log = SqliteLog(tmp_path / "log.db")
    Worker(log, "last", sent).work(undecided)
    check(log.read(PREFIX, 0), frames, sent)
    log.close()


def test_what_was_read_before_a_read_fails_is_told() -> None:
    """Who notes how far it has read, but not what, takes its own void entries for valid ones later."""

    class Failing(MemoryLog):
        def read(self, prefix: str, after: int) -> Sequence[Logged]:
            if after:
                raise LogUnavailable("the leader is gone")
            return super().read(prefix, after)[:1]

    log = MemoryLog()
    Worker(log, "a", []).work([Heard(0, 0), Heard(0, 1)])
    failing = Failing()
    failing.entries = log.entries
    told: list[Read] = []
    acceptance = Acceptance[Heard](failing, View(PREFIX), lambda *_: None, told.append)
    with pytest.raises(LogUnavailable):
        list(acceptance.accept([Heard(0, 2)]))
    assert [read.logged.position for read in told] == [acceptance.view.position] == [1]
