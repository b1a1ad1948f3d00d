from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from threading import Thread

import pytest

from lora_post.errors import SpoolError
from lora_post.model import Reading
from lora_post.spool.facts import Facts
from lora_post.spool.queue import RUNNING, Queue
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.rescue import make_part, open_spool, replace_damaged
from lora_post.spool.sessions import load_sessions, save_sessions
from lora_post.spool.spool_file import SpoolFile
from lora_post.spool.swap import declare_complete, part_of, set_aside, swap
from tests.support.build import report
from tests.support.damage import damage_table
from tests.support.damage import set_aside as set_aside_of
from tests.support.lanes import ready_lanes

SINK = "waziup"


class PowerCut(Exception):
    """The next step is not reached."""


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """A spool with a counter and a reading, whose newest commit is in the WAL, as a power cut leaves it."""
    made, path = tmp_path / "made.db", tmp_path / "spool.db"
    with closing(SpoolFile(made)) as spool_file:
        with spool_file.transaction() as db:
            QueueWriter(spool_file, [SINK], 1 << 30).put(db, [report(Reading("t", 1))])
        Queue(spool_file, SINK).mark_running()
    damage_table(made, "undecoded")
    with closing(SpoolFile(made)) as spool_file:
        with spool_file.transaction() as db:
            save_sessions(db, {"pond": 7})
        for part in ("", "-wal"):
            Path(f"{path}{part}").write_bytes(Path(f"{made}{part}").read_bytes())
    return path


def before_anything(path: Path) -> None:
    """The part is not complete."""
    part_of(path).write_bytes(b"half of a page")


def before_it_is_declared(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        old.execute("BEGIN")
        make_part(path, old)


def before_it_is_swapped(path: Path) -> None:
    before_it_is_declared(path)
    declare_complete(path)


def cut_at_rename(count: int) -> Callable[[Path], None]:
    def cut(path: Path) -> None:
        before_it_is_declared(path)
        new = declare_complete(path)
        real, renames = Path.rename, iter(range(count))

        def rename(self: Path, target: str | Path) -> Path:
            if self.exists() and next(renames, None) is None:
                raise PowerCut
            return real(self, target)

        with pytest.MonkeyPatch.context() as patch, suppress(PowerCut):
            patch.setattr(Path, "rename", rename)
            swap(path, new)

    cut.__name__ = f"after_{count}_renames"
    return cut


POINTS = (before_anything, before_it_is_declared, before_it_is_swapped, *(cut_at_rename(n) for n in range(5)))


@pytest.mark.parametrize("cut", POINTS, ids=lambda cut: cut.__name__)
def test_power_cut_at_any_point_leaves_counters_doubts_and_the_whole_damaged_file(
    damaged: Path, cut: Callable[[Path], None]
) -> None:
    cut(damaged)
    with closing(open_spool(damaged)) as spool_file:
        assert load_sessions(spool_file.db) == {"pond": 7}
        assert RUNNING in Facts(spool_file, SINK).recall()
        assert ready_lanes(Queue(spool_file, SINK)) == []
    (aside,) = set_aside_of(damaged)
    with closing(sqlite3.connect(aside)) as old:
        assert old.execute("SELECT count(*) FROM reading").fetchone() == (1,)
        assert old.execute("SELECT next_fcnt FROM session").fetchall() == [(7,)]
    assert not list(damaged.parent.glob("spool.db.part*")) + list(damaged.parent.glob("spool.db.new*"))


def test_command_that_opens_the_spool_first_finishes_the_change_too(damaged: Path) -> None:
    before_it_is_swapped(damaged)
    with closing(SpoolFile(damaged)) as spool_file:
        assert load_sessions(spool_file.db) == {"pond": 7}


def test_spool_that_somebody_began_meanwhile_is_kept(damaged: Path) -> None:
    before_it_is_declared(damaged)
    new = declare_complete(damaged)
    aside = damaged.with_name(new.name.replace(".new-", ".damaged-"))
    set_aside(damaged, aside)
    with closing(sqlite3.connect(damaged)) as db:
        db.execute("CREATE TABLE theirs (n)")
    with closing(SpoolFile(damaged)) as spool_file:
        assert spool_file.rows("SELECT count(*) FROM theirs") == [(0,)]
    assert not new.exists()


def test_what_waits_for_the_write_lock_meanwhile_is_not_kept_in_the_file_that_goes(damaged: Path) -> None:
    failed: list[SpoolError] = []

    def keep(spool_file: SpoolFile) -> None:
        try:
            with spool_file.transaction() as db:
                save_sessions(db, {"pond": 8})
        except SpoolError as error:
            failed.append(error)

    with closing(SpoolFile(damaged)) as spool_file, closing(sqlite3.connect(damaged, isolation_level=None)) as lock:
        lock.execute("BEGIN IMMEDIATE")
        begun: list[str] = []
        spool_file.db.set_trace_callback(begun.append)
        thread = Thread(target=keep, args=(spool_file,))
        thread.start()
        while not begun:
            thread.join(0.001)
        replace_damaged(damaged, spool_file.inode, "a test")
        lock.execute("ROLLBACK")
        thread.join()
        assert "another file" in str(failed[0])
        assert load_sessions(spool_file.db) == {"pond": 7}
        keep(spool_file)
        assert load_sessions(spool_file.db) == {"pond": 8}
    (aside,) = set_aside_of(damaged)
    with closing(sqlite3.connect(aside)) as old:
        assert old.execute("SELECT next_fcnt FROM session").fetchall() == [(7,)]
