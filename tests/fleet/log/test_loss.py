"""A log that has lost entries: no FCntDown is used twice, and what was lost can be accepted again."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from lora_post.command import Command, Moment
from lora_post.fleet.log.entry import FIRST, Counters, Entry, Given, Joins, Queued, State, encode
from lora_post.fleet.log.loss import JUMP, is_same_log, jump, read_anew
from lora_post.fleet.log.view import View
from lora_post.times import WallUs
from tests.support.fleet_frames import PREFIX, Heard, Worker, chain
from tests.support.memory_log import MemoryLog

FRAMES = [Heard(device, fcnt) for fcnt in range(4) for device in range(2)]


def known_of(view: View) -> dict[str, Entry]:
    return {subject: fold.last for subject, fold in view.folds.items() if fold.last}


def go_on(log: MemoryLog, known: dict[str, Entry], name: str) -> View:
    """Do what a worker does at its start."""
    view, lost = read_anew(log, PREFIX, known)
    for subject, entry in lost.items():
        log.append([(subject, encode(jump(view.fold(subject).last, entry, f"{name}-{subject}")))])
    list(view.catch_up(log))
    return view


def test_log_that_only_grew_is_the_same() -> None:
    log = MemoryLog()
    worker = Worker(log, "a", [])
    worker.work(FRAMES[:3])
    Worker(log, "b", []).work(FRAMES)
    assert is_same_log(log, worker.acceptance.view)
    assert read_anew(log, PREFIX, known_of(worker.acceptance.view))[1] == {}


def test_log_that_was_trimmed_has_lost_nothing() -> None:
    log = MemoryLog()
    worker = Worker(log, "a", [])
    worker.work(FRAMES[:4])
    Worker(log, "b", []).work(FRAMES)
    newest = chain(log.entries, f"{PREFIX}0")[-1]
    place = next(each.position for each in log.entries if newest.id.encode() in each.data)
    log.trim(f"{PREFIX}0", place)
    assert read_anew(log, PREFIX, known_of(worker.acceptance.view))[1] == {}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(FRAMES)), st.booleans(), st.booleans())
def test_log_cut_off_anywhere(kept: int, goes_on_first: bool, second_knows: bool) -> None:
    """goes_on_first: somebody who knows nothing of the lost entries accepts frames before the loss is found."""
    log, sent = MemoryLog(), list[tuple[int, int, bytes]]()
    worker = Worker(log, "a", sent)
    worker.work(FRAMES)
    known = known_of(worker.acceptance.view)
    before = list(sent)
    del log.entries[kept:]
    assert is_same_log(log, worker.acceptance.view) == (kept == len(FRAMES))
    view = go_on(log, known, "a")
    if second_knows:
        view = go_on(log, known, "b")
        assert all(entry.epoch <= 1 for each in "01" for entry in chain(log.entries, f"{PREFIX}{each}"))
    elif goes_on_first:
        view = View(PREFIX)
    Worker(log, "c", sent, view).work([*FRAMES, Heard(0, 9), Heard(1, 9)])
    used = {(device, fcnt) for device, fcnt, _ in before}
    again = [(device, fcnt) for device, fcnt, _ in sent[len(before) :]]
    assert not used & set(again)
    assert len(set(again)) == len(again)
    for device in range(2):
        valid = chain(log.entries, f"{PREFIX}{device}")
        assert sorted(entry.up.fcnt for entry in valid if entry.up) == [0, 1, 2, 3, 9]
    if kept < len(FRAMES) - 1:
        assert max(fcnt for _, fcnt in again) >= JUMP


SESSION = Given(7, dev_nonce=3, join_nonce=1, net_id=0, rx_delay_s=1)
JOINED = State(joins=Joins(b"root", (1, 2, 3), join_nonce=1, sessions=(SESSION,)))
COMMAND = Queued("desk", Command("0", 9, b"\1", Moment(WallUs(0), "", 0), id=1))


@pytest.mark.parametrize(
    "lost",
    [
        JOINED,
        replace(JOINED, joins=Joins(b"root", (1, 2, 3), rejoins=((7, 3),))),
        State(own=Counters(app_down=5000)),
        State(waiting=(COMMAND,)),
        State(done=(COMMAND.key,)),
    ],
)
def test_who_knew_more_than_the_one_who_jumped_first_jumps_as_well(lost: State) -> None:
    log = MemoryLog()
    subject = f"{PREFIX}0"
    lost_entry = Entry("lost", FIRST, 1, lost)
    log.append([(subject, encode(jump(None, Entry("old", FIRST, 1, State()), "by who knew less")))])
    log.append([(subject, encode(Entry("next", "by who knew less", 2, State(Counters(down=JUMP)), epoch=1)))])
    view = go_on(log, {subject: lost_entry}, "a")
    last = view.fold(subject).last
    assert last is not None and last.epoch == 2
    assert read_anew(log, PREFIX, {subject: lost_entry})[1] == {}, "once"
    state = last.state
    assert {*lost.done} <= {*state.done}
    assert {each.key for each in lost.waiting} <= {each.key for each in state.waiting}
    assert state.own.app_down >= lost.own.app_down
    if lost.joins:
        assert state.joins is not None and state.joins.dev_nonces == (1, 2, 3)
        assert [each.dev_addr for each in state.joins.sessions] == [each.dev_addr for each in lost.joins.sessions]
