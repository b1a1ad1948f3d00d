from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from threading import Event

import pytest

from lora_post.errors import SpoolDamaged, SpoolError
from lora_post.model import Reading
from lora_post.sandbox.server import running_sandbox
from lora_post.spool.queue import Queue
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.rescue import open_spool, quick_check, replace_damaged
from lora_post.spool.sessions import load_sessions, save_sessions
from lora_post.spool.spool_file import SpoolFile
from tests.support.build import NOON_US, report
from tests.support.command import PATIENCE_S, Admin, counting_packet, run, write_site
from tests.support.damage import damage_table, set_aside
from tests.support.lanes import ready_lanes
from tests.support.ports import free_port

SINK = "waziup"


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, it looks through a small file."""
    monkeypatch.setattr("lora_post.spool.rescue.CHECK_S", 600.0)


def fill(path: Path, *, readings: int = 3, clean: bool = True) -> None:
    """A spool with queued readings and a frame counter."""
    with closing(SpoolFile(path)) as spool_file:
        writer = QueueWriter(spool_file, [SINK], 1 << 30)
        with spool_file.transaction() as db:
            writer.put(db, [report(Reading("t", f"value-{n}-"), time_us=NOON_US + n) for n in range(readings)])
            save_sessions(db, {"pond": 7})
        reader = Queue(spool_file, SINK)
        reader.mark_running()
        if clean:
            reader.mark_stopped()


def keep(spool_file: SpoolFile, fcnt: int) -> None:
    with spool_file.transaction() as db:
        save_sessions(db, {"pond": fcnt})


def test_file_that_is_no_spool_is_set_aside_and_a_new_one_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "spool.db"
    path.write_bytes(b"not a database at all " * 1000)
    with closing(open_spool(path)) as spool_file:
        keep(spool_file, 1)
        assert load_sessions(spool_file.db) == {"pond": 1}
    (aside,) = set_aside(tmp_path / "spool.db")
    assert aside.read_bytes().startswith(b"not a database")
    told = next(record for record in caplog.records if "is damaged" in record.getMessage())
    assert told.levelno == logging.ERROR
    assert f"lora-post spool salvage {aside}" in told.getMessage()


def test_damage_is_found_at_the_start_after_an_unclean_stop(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    fill(path, clean=False)
    damage_table(path, "reading")
    with closing(open_spool(path)) as spool_file:
        assert load_sessions(spool_file.db) == {"pond": 7}
        assert [lane.name for lane in Queue(spool_file, SINK).lanes_of("pond-7")] == ["t"]
        assert ready_lanes(Queue(spool_file, SINK)) == []
    assert len(set_aside(path)) == 1


def test_start_after_a_clean_stop_looks_at_nothing_and_damage_is_met_later(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    fill(path)
    damage_table(path, "reading")
    with closing(open_spool(path)) as spool_file, closing(SpoolFile(path, replace_damaged)) as other:
        assert set_aside(path) == []
        with pytest.raises(SpoolDamaged):
            ready_lanes(Queue(spool_file, SINK))
        assert ready_lanes(Queue(spool_file, SINK)) == []
        # Another connection, which has met nothing, does not go on in the file that was set aside.
        with pytest.raises(SpoolError, match="another file"):
            keep(other, 8)
        keep(other, 8)
        assert load_sessions(spool_file.db) == {"pond": 8}
    assert len(set_aside(path)) == 1


def test_damage_that_is_met_in_a_transaction_costs_that_transaction(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    fill(path)
    damage_table(path, "reading")
    with closing(SpoolFile(path, replace_damaged)) as spool_file:
        writer = QueueWriter(spool_file, [SINK], 1 << 30)
        with pytest.raises(SpoolDamaged), spool_file.transaction() as db:
            writer.put(db, [report(Reading("t", 1))])
        writer.forget_lanes()
        with spool_file.transaction() as db:
            writer.put(db, [report(Reading("t", 1))])
        assert len(ready_lanes(Queue(spool_file, SINK))) == 1


def test_counters_that_cannot_be_read_do_not_stop_reception(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "spool.db"
    fill(path, clean=False)
    damage_table(path, "session")
    with closing(open_spool(path)) as spool_file:
        assert load_sessions(spool_file.db) == {}
        assert [lane.name for lane in Queue(spool_file, SINK).lanes_of("pond-7")] == ["t"]
    assert "cannot read all of table" in caplog.text


def test_without_somebody_to_mend_it_damage_is_only_told(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    fill(path)
    damage_table(path, "reading")
    with closing(SpoolFile(path)) as spool_file, pytest.raises(SpoolDamaged):
        ready_lanes(Queue(spool_file, SINK))
    assert set_aside(path) == []


class Interrupted(sqlite3.Connection):
    """A connection whose look through a file takes until it is interrupted, and finds a fault in `slow` only then."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, isolation_level=None)
        self._is_looking, self._is_interrupted = Event(), Event()
        self.create_function("holds", 0, self._holds)

    def _holds(self) -> bool:
        self._is_looking.set()
        self._is_interrupted.wait(PATIENCE_S)
        return False

    def interrupt(self) -> None:
        self._is_looking.wait(PATIENCE_S)
        super().interrupt()
        self._is_interrupted.set()


def test_look_through_the_file_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "spool.db"
    fill(path)
    with closing(SpoolFile(path)) as spool_file:
        spool_file.db.create_function("holds", 0, lambda: True)
        spool_file.db.execute("CREATE TABLE slow (value CHECK (holds()))")
        spool_file.db.execute("INSERT INTO slow VALUES (1)")
        spool_file.db.create_function("holds", 0, lambda: False)
        assert "slow" in quick_check(spool_file)
    with closing(SpoolFile(path)) as spool_file, closing(spool_file.db):
        spool_file.db = Interrupted(path)
        monkeypatch.setattr("lora_post.spool.rescue.CHECK_S", 0.0)
        assert quick_check(spool_file) == ""


def test_spool_that_is_removed_while_it_is_open_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    with closing(SpoolFile(path)) as spool_file:
        keep(spool_file, 7)
        for part in ("", "-wal", "-shm"):
            Path(f"{path}{part}").unlink()
        with pytest.raises(SpoolError, match="another file"):
            keep(spool_file, 8)
        keep(spool_file, 8)
        with closing(SpoolFile(path)) as again:
            assert load_sessions(again.db) == {"pond": 8}


def test_twice_in_a_second_gives_two_names(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    for _ in range(3):
        path.write_bytes(b"not a database at all " * 1000)
        open_spool(path).close()
    assert len(set_aside(path)) == 3


def test_damaged_spool_costs_nothing_that_comes_after_it_and_gives_back_what_was_queued(tmp_path: Path) -> None:
    """The whole of it, as an operator meets it."""
    frames = [counting_packet(n) for n in range(60)]
    with running_sandbox() as url:
        site = str(write_site(tmp_path, url))
        nowhere = tmp_path / "nowhere"
        nowhere.mkdir()
        offline = write_site(nowhere, f"http://127.0.0.1:{free_port()}/api/v2")
        offline.write_text(offline.read_text().replace('"spool.db"', '"../spool.db"'))
        done = run("run", "-q", "-c", str(offline), "--drain-timeout", "0", stdin=b"".join(frames[:30]))
        assert done.returncode == 75
        with closing(SpoolFile(tmp_path / "spool.db")) as spool_file:
            Queue(spool_file, SINK).mark_running()
        damage_table(tmp_path / "spool.db", "undecoded")

        done = run("run", "-q", "-c", site, stdin=b"".join(frames))
        assert done.returncode == 0, done.stderr.decode()
        assert b"is damaged" in done.stderr
        # The first 30 are known by their counters, which came over.
        assert _arrived(url) == [n // 3 / 100 for n in range(30, 60)]
        (aside,) = set_aside(tmp_path / "spool.db")
        done = run("spool", "salvage", "-c", site, str(aside))
        assert done.stdout.startswith(b"60 readings queued again"), done.stdout + done.stderr
        assert run("run", "-q", "-c", site).returncode == 0
        done = run("spool", "salvage", "-c", site, str(aside))
        assert b"0 readings queued again" in done.stdout
        assert b"left out: 60 that had arrived at the server" in done.stdout
        assert _arrived(url) == [n // 3 / 100 for n in range(60)]


def _arrived(url: str) -> list[object]:
    rows = [row for index in range(3) for row in Admin(url).rows(f"counter-{index}", "analog_in_1")]
    return sorted(value for value, _ in rows)  # type: ignore[type-var]
