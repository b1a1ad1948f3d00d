"""The hub's order is the truth: what of a home gateway's log is valid there, and what becomes of the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from lora_post.fleet.home.book import MAX_ALONE
from lora_post.fleet.home.heads import Asked, Heads, Seen
from lora_post.fleet.judging.copied import Copied
from lora_post.fleet.log.acceptance import Proposal
from lora_post.fleet.log.entry import (
    Down,
    Entry,
    Given,
    Joins,
    ReadingRow,
    State,
    Told,
    after,
    decode,
    encode,
    new_id,
)
from lora_post.fleet.log.loss import JUMP
from lora_post.fleet.log.ownership import is_given_by, may_give, released, taken_over
from lora_post.fleet.log.sqlite_log import SqliteLog
from lora_post.times import WallUs
from tests.support.home_site import HOME, POND, Hub, Site, begun, following, owned
from tests.support.memory_log import MemoryLog


def test_entries_are_mirrored_as_they_are_and_once() -> None:
    hub, site = begun()
    for fcnt in range(100):
        site.uplink(fcnt)
    hub.is_deaf = True
    site.mirror.step()
    hub.is_deaf = False
    made = [decode(each.data).id for each in site.own.entries]
    site.settle()
    assert [entry.id for entry in hub.valid] == made
    assert [entry.up.fcnt for entry in hub.valid if entry.up] == list(range(100))
    assert [decode(each.data).id for each in site.own.entries] == made[-1:]  # the rest is at the hub
    other = Site(hub, site.own)  # it was killed
    other.settle()
    assert hub.last.id == made[-1]


def test_taken_over_by_a_person_until_it_is_given_back() -> None:
    hub, site = begun()
    site.uplink(0)
    site.settle()
    site.uplink(1)  # without a link
    hub.append([(POND, encode(owned(hub.last, taken_over(hub.last.state, is_held=True))))])
    assert hub.last.state.own.down == 1 + JUMP  # more than the home gateway may have used
    hub.append([(POND, encode(following(hub.last, 2)))])
    site.mirror.doubt()
    site.settle()
    assert (hub.last.state.owner, site.again) == ("", [1])
    assert site.book.state(POND) is None
    assert hub.last.state.own.down == 2 * JUMP + 2  # it went on until it knew
    hub.append([(POND, encode(owned(hub.last, released(hub.last.state))))])
    site.mirror.doubt()
    site.settle()
    assert site.book.state(POND) == hub.last.state
    assert (hub.last.state.owner, hub.last.state.own.down) == (
        HOME,
        2 * JUMP + 2,
    )  # all of it is known: no further jump
    assert [entry.epoch for entry in hub.valid if entry.kind == "own"] == [1, 2, 3, 4, 5]


def test_home_that_does_not_know_yet_that_it_was_taken_over_uses_nothing_that_workers_use() -> None:
    hub, site = begun()
    given = Given(0x0143_0798, 1, 1, 0, 1)
    site.add(replace(site.last.state, joins=Joins(b"", join_nonce=1, sessions=(given,))))
    hub.append([(POND, encode(owned(hub.last, taken_over(hub.last.state, is_held=True))))])
    site.mirror.doubt()
    site.mirror.step()  # workers learn of the session by this; the gateway has not read it yet, and loses its link
    assert hub.last.state.joins is not None
    (known,) = hub.last.state.joins.sessions
    assert not hub.last.state.owner
    assert (site.last.state.owner, site.last.kind) == (HOME, "join")  # it goes on
    assert known.counters.down > MAX_ALONE
    assert hub.last.state.own.down > site.last.state.own.down + MAX_ALONE
    assert hub.last.state.joins.join_nonce > 1 + MAX_ALONE


@pytest.mark.parametrize("is_killed", [False, True])
def test_what_was_told_is_told_once_whoever_decided_between(is_killed: bool) -> None:
    hub, site = begun()
    site.add(site.last.state, told=(Told("pond", ReadingRow("valve", 1), WallUs(1)),))
    hub.append([(POND, encode(owned(hub.last, taken_over(hub.last.state, is_held=False))))])
    site.mirror.doubt()
    site.mirror.step()  # it is told; the gateway has not read that yet
    site.add(site.last.state, told=(Told("pond", ReadingRow("valve", 2), WallUs(2)),))
    hub.append([(POND, encode(owned(hub.last, taken_over(hub.last.state, is_held=False))))])
    site = Site(hub, site.own) if is_killed else site
    site.settle()
    assert [told.row.value for entry in hub.valid for told in entry.told] == [1, 2]
    assert (hub.last.state.owner, site.last.id) == (HOME, hub.last.id)


def test_gateway_with_another_card_uses_nothing_again() -> None:
    hub, site = begun()
    site.uplink(0)
    site.settle()
    site.uplink(1)  # answered, and then the card was lost
    new = Site(hub)
    new.settle()
    assert new.last.state.own.down == 1 + JUMP > site.last.state.own.down


def test_hub_that_has_lost_entries_gets_their_counters_back() -> None:
    hub, site = begun()
    for fcnt in range(3):
        site.uplink(fcnt)
        site.settle()
    hub.log.entries = hub.log.entries[:1]
    hub.look_again()
    site.mirror.doubt()
    site.settle()
    assert hub.last.state.own.down >= 3
    assert site.last.id == hub.last.id


def test_without_a_link_it_answers_no_more_than_a_take_over_leaves_out() -> None:
    _, site = begun()
    for fcnt in range(MAX_ALONE):
        site.uplink(fcnt)
    assert site.last.state.own.down < JUMP
    joins = taken_over(State(owner=HOME, joins=Joins(b"", join_nonce=5)), is_held=True).joins
    assert joins is not None and joins.join_nonce > 5 + MAX_ALONE
    answered = Proposal(POND, site.last.state, down=Down(1, b""))
    asked: list[bool] = []

    def judge(item: Copied, state_of: Callable[[str], State]) -> Proposal:
        asked.append(item.is_live)
        return answered if item.is_live else Proposal(POND, site.last.state)

    site.book._judge.judge = judge  # type: ignore[method-assign,assignment]
    ((_, entry),) = site.book.decide([Copied(b"", 0.0, is_live=True)])
    assert entry is not None and entry.down is None
    assert asked == [True, False]


def test_answers_about_logs_are_of_the_device_that_was_asked_for() -> None:
    log = MemoryLog()
    for name in ("pond", "pond2"):
        log.append([(f"log.0.{name}", encode(Entry(name, "", 1, State())))])
    (seen,) = Heads(log).look([Asked(POND, ("pond2", "pond"))])
    assert (seen.valid, seen.newest) == ("pond", b"")
    (seen,) = Heads(log).look([Asked(POND, ("x",))])
    assert (seen.valid, decode(seen.newest).id) == ("", "pond")


def test_address_blocks_have_nothing_in_common() -> None:
    for address in (0, 0x00FF_FFFF, 0x0100_0000, 0x01FF_FFFF, 0x0123_4567):
        owners = [owner for owner in ("", "north", "south") if may_give(owner, address)]
        assert len(owners) <= 1
        assert is_given_by(["north"], address) == ("north" in owners)


def test_device_begins_anew_in_the_log_of_a_file(tmp_path: Path) -> None:
    with closing(SqliteLog(tmp_path / "log")) as log:
        log.append([(POND, b"a"), ("log.0.pond2", b"b"), (POND, b"c")])
        log.begin(POND, b"d")
        assert [(each.position, each.data) for each in log.read("log.", 0)] == [(2, b"b"), (4, b"d")]


class Strange(Hub):
    """A hub whose workers have one device without this home, and little time."""

    def look(self, asked: Sequence[Asked], seconds: float = -1.0) -> list[Seen]:
        mine = [each for each in asked if each.subject == POND]
        others = [Seen(each.subject, "", is_yours=False) for each in asked if each.subject != POND]
        return others + super().look(mine, seconds)


def test_device_that_is_not_of_this_home_at_the_hub_holds_up_no_other(caplog: pytest.LogCaptureFixture) -> None:
    hub = Strange(MemoryLog())
    site = Site(hub, subjects=["log.0.other", POND])
    site.settle()
    site.own.append([("log.0.other", encode(after(None, new_id(), State(owner=HOME))))])
    for fcnt in range(3):
        site.uplink(fcnt)
        site.mirror.doubt()
        site.settle()
    assert [entry.up.fcnt for entry in hub.valid if entry.up] == [0, 1, 2]
    assert {each.subject for each in hub.log.entries} == {POND}
    assert caplog.text.count("other: workers do not have it as a device of this gateway") == 1


def test_what_is_not_answered_in_time_is_asked_again() -> None:
    subjects = [f"log.0.d{number}" for number in range(5)]
    log = MemoryLog()
    assert len(Heads(log).look([Asked(each, ()) for each in subjects], -1.0)) == 1
    hub = Hub(log)
    hub.seconds = -1.0
    site = Site(hub, subjects=subjects)
    site.settle()
    assert sorted(each.subject for each in log.entries) == subjects
