"""Upgrade and downgrade: every version's spool is taken over, and one of a later version is used or left alone."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from itertools import chain
from pathlib import Path

import pytest

from lora_post.errors import SpoolError
from lora_post.model import Reading
from lora_post.spool import schema as store_schema
from lora_post.spool.queue import Queue
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.rescue import open_spool
from lora_post.spool.schema import COMPATIBLE_FROM, STEPS
from lora_post.spool.sessions import load_sessions, save_sessions
from lora_post.spool.spool_file import SpoolFile
from tests.support.build import NOON_US, report
from tests.support.lanes import ready_lanes

NEWEST = len(STEPS)
LATER_STEP = ("CREATE TABLE later (id INTEGER PRIMARY KEY)",)


def write_version(path: Path, version: int, steps: tuple[tuple[str, ...], ...] = STEPS) -> None:
    """A spool as a lora-post left it that knew the first so many steps: a session, a sensor with two readings."""
    with closing(sqlite3.connect(path)) as db:
        for statement in chain.from_iterable(steps[:version]):
            db.execute(statement)
        db.execute("INSERT INTO session (device, next_fcnt) VALUES ('pond', 7)")
        db.execute(
            "INSERT INTO lane (id, sink, device, name, unit, quantity) VALUES (1, 'waziup', 'pond-7', 't', '°C', '')"
        )
        rows = [(1, NOON_US, b"22.5"), (1, NOON_US + 1, b"23")]
        db.executemany("INSERT INTO reading (lane, time_us, value) VALUES (?, ?, ?)", rows)
        db.execute(f"PRAGMA user_version = {version}")
        db.commit()


def queued(spool_file: SpoolFile) -> list[bytes]:
    reader = Queue(spool_file, "waziup")
    batches = [reader.claim(lane, 10) for lane in ready_lanes(reader)]
    return [value for batch in batches if batch is not None for value in batch.values]


def shape(db: sqlite3.Connection) -> set[tuple[str, str]]:
    """Tables and indexes, by name, as SQLite keeps them."""
    return set(db.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))


def grow(monkeypatch: pytest.MonkeyPatch, compatible_from: int) -> None:
    """Be a later lora-post, which has one more table."""
    monkeypatch.setattr(store_schema, "STEPS", (*STEPS, LATER_STEP))
    monkeypatch.setattr(store_schema, "COMPATIBLE_FROM", compatible_from)


@pytest.mark.parametrize("version", range(1, NEWEST + 1))
def test_spool_of_every_version_opens_goes_on_and_gives_its_readings(version: int, tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    write_version(path, version)
    with closing(open_spool(path)) as spool_file:
        assert spool_file.rows("PRAGMA user_version") == [(NEWEST,)]
        assert load_sessions(spool_file.db) == {"pond": 7}
        writer = QueueWriter(spool_file, ["waziup"], 1 << 20, "drop-oldest")
        with spool_file.transaction() as db:
            writer.put(db, [report(Reading("t", 24.0, "°C"), time_us=NOON_US + 2)])
        assert queued(spool_file) == [b"22.5", b"23", b"24.0"]
        with closing(SpoolFile(tmp_path / "new.db")) as new:
            assert shape(spool_file.db) == shape(new.db)


def test_upgrade_that_is_cut_off_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "spool.db"
    write_version(path, 1)
    monkeypatch.setattr(store_schema, "STEPS", (*STEPS[:2], ("CREATE TABLE half (id)", "CREATE TABLE session (id)")))
    with pytest.raises(SpoolError, match="already exists"):
        SpoolFile(path)
    monkeypatch.undo()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
        assert not {"half", "joined"} & {name for name, _ in shape(db)}
    with closing(SpoolFile(path)) as spool_file:
        assert queued(spool_file) == [b"22.5", b"23"]


def test_downgrade_and_upgrade_again_go_on_with_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "spool.db"
    write_version(path, NEWEST)
    grow(monkeypatch, COMPATIBLE_FROM)
    with closing(SpoolFile(path)) as later, later.transaction() as db:
        db.execute("INSERT INTO later VALUES (5)")
    monkeypatch.undo()
    with closing(open_spool(path)) as spool_file:
        assert "made by a newer lora-post; it is used as it is" in caplog.text
        assert queued(spool_file) == [b"22.5", b"23"]
        with spool_file.transaction() as db:
            save_sessions(db, {"pond": 8})
    grow(monkeypatch, COMPATIBLE_FROM)
    with closing(SpoolFile(path)) as later:
        assert later.rows("PRAGMA user_version") == [(NEWEST + 1,)]
        assert later.rows("SELECT id FROM later") == [(5,)]
        assert load_sessions(later.db) == {"pond": 8}


def test_file_that_is_not_for_this_version_is_refused_and_left_untouched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "spool.db"
    write_version(path, NEWEST)
    grow(monkeypatch, NEWEST + 1)
    SpoolFile(path).close()
    monkeypatch.undo()
    before = hashlib.sha256(path.read_bytes()).digest()
    wanted = f"version {NEWEST + 1}, for a lora-post that knows version {NEWEST + 1} or later, this lora-post knows"
    with pytest.raises(SpoolError, match=wanted):
        open_spool(path)
    assert hashlib.sha256(path.read_bytes()).digest() == before


@pytest.mark.parametrize("version", [NEWEST + 1, -1])
def test_file_that_does_not_say_whom_it_is_for_is_refused(version: int, tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {version}")
    with pytest.raises(SpoolError, match=f"schema version {version}, this lora-post knows"):
        SpoolFile(path)


def columns(db: sqlite3.Connection, table: str) -> list[tuple[object, ...]]:
    return db.execute('SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_info(?)', (table,)).fetchall()


def test_tables_of_the_versions_that_may_use_the_file_are_as_those_made_them(tmp_path: Path) -> None:
    """If this fails, a step has changed a table: COMPATIBLE_FROM must be raised to its version.

    `lane` and `undecoded` may have more columns: all versions name those that they fill, so the others have defaults.
    """
    assert 1 <= COMPATIBLE_FROM <= NEWEST
    write_version(tmp_path / "then.db", COMPATIBLE_FROM)
    with closing(sqlite3.connect(tmp_path / "then.db")) as then, closing(SpoolFile(tmp_path / "now.db")) as now:
        tables = {(name, sql) for name, sql in shape(then) if sql.startswith("CREATE TABLE")}
        assert {(name, sql) for name, sql in tables if name not in ("lane", "undecoded")} <= shape(now.db)
        before, after = columns(then, "lane"), columns(now.db, "lane")
        assert before == after[: len(before)]
        assert all(default is not None for _, _, _, default, _ in after[len(before) :])
