"""A home gateway's log that the disk has damaged."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from lora_post.fleet.home.mending import mend
from lora_post.fleet.log.entry import encode
from lora_post.fleet.log.sqlite_log import SqliteLog
from tests.support.home_site import POND, Site, begun, following

FRAMES = 40


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The log of a home gateway that has accepted frames without a link."""
    path = tmp_path / "spool.home.db"
    with closing(SqliteLog(path)) as log:
        last = begun()[1].last
        for fcnt in range(FRAMES):
            last = following(last, fcnt)
            log.append([(POND, encode(last))])
    return path


def test_whole_log_stays(path: Path, tmp_path: Path) -> None:
    before = path.read_bytes()
    assert mend(path) == []
    assert mend(tmp_path / "none") == []
    assert path.read_bytes() == before


@pytest.mark.parametrize("at", [0, 1, 2, 5])
def test_what_a_damaged_page_leaves_is_found(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at * 4096)
        file.write(b"\xff" * 4096)
    found = [entry.up.fcnt for entry in mend(path) if entry.up]
    assert len(found) < FRAMES and found == sorted(found)
    assert len(found) > 0 or at < 3  # those lead to all others
    assert not path.exists()
    assert len(list(path.parent.glob("spool.home.db.damaged-*"))) == 1
    with closing(SqliteLog(path)) as log:
        assert log.read("log.", 0) == []


def test_lost_bit_in_an_entry_costs_that_one(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE entry SET data = x'7b' WHERE position = 7")
        db.commit()
    assert [entry.up.fcnt for entry in mend(path) if entry.up] == [each for each in range(FRAMES) if each != 6]


def test_new_log_goes_on_behind_what_the_damaged_one_has_used() -> None:
    hub, site = begun()
    for fcnt in range(3):
        site.uplink(fcnt)
        site.settle()
    for fcnt in range(3, 9):
        site.uplink(fcnt)  # without a link
    new = Site(hub)
    new.settle()
    assert new.last.state.own.down > site.last.state.own.down
