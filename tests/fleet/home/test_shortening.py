"""The log of a home gateway without a link has a bound: readings go, counters, sessions and commands do not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from lora_post.command import Command, Fate, Moment
from lora_post.fleet.home.shortening import AT_ONCE, joined
from lora_post.fleet.log.entry import Entry, Queued, ReadingRow, Told, after, decode, encode, new_id
from lora_post.fleet.log.sqlite_log import SqliteLog
from lora_post.spool.lanes import WhenFull
from lora_post.times import WallUs
from tests.support.home_site import POND, Hub, Site, begun, following
from tests.support.memory_log import MemoryLog

FRAMES = 60


def fcnts(entries: list[Entry]) -> list[int]:
    return [entry.up.fcnt for entry in entries if entry.up]


def full(when_full: WhenFull = "drop-oldest") -> tuple[Hub, Site, int]:
    """Return a site that has no link, and a log of a third of what it has accepted."""
    hub, site = begun()
    lost = 0
    for fcnt in range(FRAMES):
        site.uplink(fcnt)
        lost += site.book.make_room(4000, when_full)
    assert site.own.used_bytes() <= 4000
    return hub, site, lost


def test_oldest_readings_go_and_the_hub_takes_the_rest_as_it_is() -> None:
    hub, site, lost = full()
    assert 0 < lost < FRAMES - 1
    last = site.last
    site.settle()
    assert fcnts(hub.valid) == list(range(lost, FRAMES))
    assert (hub.last, site.again) == (last, [])  # its counters are those of all, and nothing is void
    assert hub.last.state.own.down == FRAMES
    assert len(hub.valid) == len(hub.log.entries)
    site.uplink(FRAMES)
    site.settle()
    assert fcnts(hub.valid)[-1] == FRAMES


def test_newest_readings_go_where_that_is_wanted() -> None:
    hub, site, lost = full("drop-newest")
    site.settle()
    assert fcnts(hub.valid) == list(range(FRAMES - lost))
    assert hub.last.state.own.down == FRAMES


def test_mirror_that_has_read_more_reads_the_shorter_log_once_more() -> None:
    hub, site = begun()
    for fcnt in range(FRAMES):
        site.uplink(fcnt)
    hub.is_deaf = True
    site.mirror.step()
    hub.is_deaf = False
    lost = site.book.make_room(site.own.used_bytes() // 2, "drop-oldest")
    site.settle()
    assert fcnts(hub.valid) == list(range(lost, FRAMES))


def test_what_was_under_way_to_the_hub_meanwhile_is_not_doubled() -> None:
    hub, site = begun()
    for fcnt in range(FRAMES):
        site.uplink(fcnt)
    some = [(each.subject, each.data) for each in site.own.entries[1:11]]
    lost = site.book.make_room(site.own.used_bytes() // 2, "drop-oldest")
    hub.log.append(some)
    site.settle()
    assert fcnts(hub.valid) == list(range(10))
    assert site.again == list(range(lost, FRAMES))  # offered again, behind counters that were not used
    assert hub.last.state.own.down > FRAMES


def test_answers_count_on_after_a_restart() -> None:
    _, site, _ = full()
    assert len(Site(Hub(MemoryLog()), site.own).book._alone[POND]) == FRAMES


def test_what_became_of_commands_stays() -> None:
    first = after(None, new_id(), begun()[1].last.state)
    queued, done = (
        Queued("store", Command("pond", 1, b"", Moment(0, "", 0), 1, fate=fate))
        for fate in (Fate.SENT, Fate.ACKNOWLEDGED)
    )
    told = Told("pond", ReadingRow("valve_state", 1.0), WallUs(5))
    run = [
        replace(following(first, 1), commands=(queued,)),
        replace(following(first, 2), told=(told,)),
        replace(following(first, 3), commands=(done,)),
    ]
    short = joined([joined(run[:2]), run[2]])
    assert decode(encode(short)) == short
    assert (short.id, short.prev, short.state, short.up, short.answers) == (run[2].id, first.id, run[2].state, None, 3)
    assert (short.commands, short.told) == ((done,), (told,))


@pytest.fixture
def file(tmp_path: Path) -> Iterator[SqliteLog]:
    with closing(SqliteLog(tmp_path / "log")) as found:
        yield found


def test_file_gives_the_longest_and_gets_smaller(file: SqliteLog) -> None:
    site = Site(begun()[0], file)  # type: ignore[arg-type]
    file.append([("log.0.other", b"x")])
    site.settle()
    file.append([(POND, encode(entry)) for entry in chained(site.last, 2 * AT_ONCE)])
    before = file.used_bytes()
    assert [each.position for each in file.longest(3, newest=True)] == [2 * AT_ONCE, 2 * AT_ONCE + 1, 2 * AT_ONCE + 2]
    assert site.book.make_room(before - 1, "drop-oldest") == AT_ONCE - 1
    assert file.used_bytes() < before
    site.settle()
    assert fcnts(site.hub.valid) == list(range(AT_ONCE - 1, 2 * AT_ONCE))


def chained(last: Entry, count: int) -> Iterator[Entry]:
    for fcnt in range(count):
        last = following(last, fcnt)
        yield last
