from __future__ import annotations

import logging
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from threading import Event, Thread, current_thread

import pytest

from lora_post.command import Command, Moment
from lora_post.errors import SpoolError
from lora_post.model import Frame, RxInfo
from lora_post.spool import accepted, downlinks, undecoded
from lora_post.spool import spool_file as spool_file_module
from lora_post.spool.facts import Facts
from lora_post.spool.joins import load_joins, save_joins
from lora_post.spool.lanes import parked
from lora_post.spool.queue import Queue
from lora_post.spool.schema import FIRST, STEPS
from lora_post.spool.sessions import load_sessions, save_sessions
from lora_post.spool.spool_file import SpoolFile
from lora_post.spool.tallies import add_tally, tallies
from lora_post.uplink.join_state import JoinState
from lora_post.uplink.model import Uplink
from lora_post.uplink.sessions import session_key
from lora_post.uplink.unlock import seal_lorawan
from tests.support.build import KEYS, NOON_US, device, lowcost_device
from tests.support.command import PATIENCE_S
from tests.support.lanes import ready_lanes


def test_file_is_made_for_its_owner_only_and_survives_reopening(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "spool.db"
    spool_file = SpoolFile(path)
    with spool_file.transaction() as db:
        save_sessions(db, {"a": 7})
        add_tally(db, "evicted", 2)
        add_tally(db, "evicted", 3)
    spool_file.close()
    assert path.stat().st_mode & 0o077 == 0
    again = SpoolFile(path)
    assert load_sessions(again.db) == {"a": 7}
    assert tallies(again.db) == {"evicted": 5}
    again.close()


class PowerCut:
    """What is on the disk when the log was synced last, as a power cut then would leave it at worst."""

    def __init__(self, path: Path, left: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.syncs = 0
        self._path, self._left = path, left
        sync = spool_file_module._sync

        def synced(fd: int) -> None:
            sync(fd)
            self.syncs += 1
            for end in ("", "-wal"):
                shutil.copy(f"{path}{end}", f"{left}{end}")

        monkeypatch.setattr(spool_file_module, "_sync", synced)

    def sessions(self) -> dict[str, int]:
        with closing(SpoolFile(self._left)) as left:
            return load_sessions(left.db)


def test_commits_survive_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool_file = SpoolFile(tmp_path / "spool.db")
    assert spool_file.db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert spool_file.db.execute("PRAGMA synchronous").fetchone() == (1,)  # what is overwritten was synced before
    cut = PowerCut(spool_file.path, tmp_path / "left.db", monkeypatch)
    with spool_file.transaction() as db:
        save_sessions(db, {"a": 7})
    assert cut.sessions() == {"a": 7}
    with spool_file.transaction() as db:
        load_sessions(db)
    assert cut.syncs == 1, "nothing was written"
    with spool_file.unsynced() as db:
        save_sessions(db, {"a": 8})
    assert cut.syncs == 1
    spool_file.sync()
    assert cut.sessions() == {"a": 8}
    spool_file.close()


def test_nobody_waits_for_the_disk_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow, other = SpoolFile(tmp_path / "spool.db"), SpoolFile(tmp_path / "spool.db")
    syncing, go_on = Event(), Event()
    of_slow = Thread(target=_save, args=(slow, {"a": 1}))

    def held(fd: int) -> None:
        if current_thread() is of_slow:
            syncing.set()
            assert go_on.wait(PATIENCE_S)

    monkeypatch.setattr(spool_file_module, "_sync", held)
    of_slow.start()
    assert syncing.wait(PATIENCE_S)
    _save(other, {"b": 2})
    go_on.set()
    of_slow.join()
    assert load_sessions(other.db) == {"a": 1, "b": 2}
    slow.close()
    other.close()


def test_a_disk_that_fails_to_sync_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(fd: int) -> None:
        raise OSError(5, "Input/output error")

    with closing(SpoolFile(tmp_path / "spool.db")) as spool_file:
        monkeypatch.setattr(spool_file_module, "_sync", fails)
        with pytest.raises(SpoolError, match="Input/output error"):
            _save(spool_file, {"a": 1})


def _save(spool_file: SpoolFile, sessions: dict[str, int]) -> None:
    with spool_file.transaction() as db:
        save_sessions(db, sessions)


def test_what_is_kept_after_another_process_has_come_and_gone_is_kept(tmp_path: Path) -> None:
    """`lora-post spool` beside a running `lora-post run`, which has several connections."""
    path = tmp_path / "spool.db"
    files = [SpoolFile(path), SpoolFile(path), SpoolFile(path)]
    with files[0].transaction() as db:
        save_sessions(db, {"a": 1})
    visit = (
        "import sys; from pathlib import Path; from lora_post.spool.spool_file import SpoolFile; "
        "from lora_post.spool.sessions import load_sessions; s = SpoolFile(Path(sys.argv[1])); "
    )
    look = [sys.executable, "-c", visit + "print(load_sessions(s.db)); s.close()", str(path)]
    assert subprocess.run(look, check=True, capture_output=True, text=True).stdout == "{'a': 1}\n"
    with files[0].transaction() as db:
        save_sessions(db, {"a": 2})
    assert subprocess.run(look, check=True, capture_output=True, text=True).stdout == "{'a': 2}\n"
    for spool_file in files:
        spool_file.close()


def test_failed_transaction_leaves_nothing(tmp_path: Path) -> None:
    spool_file = SpoolFile(tmp_path / "spool.db")
    with pytest.raises(ZeroDivisionError), spool_file.transaction() as db:
        save_sessions(db, {"a": 7})
        raise ZeroDivisionError
    assert load_sessions(spool_file.db) == {}
    spool_file.close()


def test_schema_of_a_newer_version_is_refused_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(SpoolError, match="schema version 99, this lora-post knows"):
        SpoolFile(path)


def test_file_of_the_first_version_keeps_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    with closing(sqlite3.connect(path)) as db:
        for statement in FIRST:
            db.execute(statement)
        db.execute("PRAGMA user_version = 1")
        db.execute("INSERT INTO session VALUES ('pond', 7)")
        db.execute("INSERT INTO heard VALUES (1, 5, 6)")
        db.execute("INSERT INTO lane VALUES (1, 'waziup', 'pond-7', 't', '°C', '', 3, NULL, NULL)")
        db.execute("INSERT INTO lane VALUES (2, 'waziup', 'pond-8', 't', '', '', NULL, 'belongs to alice', 9)")
        db.executemany("INSERT INTO reading VALUES (?, ?, ?)", [(1, 1, b"22.5"), (1, 2, b"23"), (2, 1, b"1")])
        db.execute("INSERT INTO refused VALUES (1, 5, ?, 'status 400')", (b'"<"',))
        db.execute("INSERT INTO undecoded VALUES (1, 'pond-7', 'lpp', 1, 2, 3, x'00', 'WrongLength')")
        db.execute("INSERT INTO known VALUES ('server', 'device pond-7', 'ours')")
        db.execute("INSERT INTO tally VALUES ('evicted', 3)")
        db.commit()
    with closing(SpoolFile(path)) as spool_file:
        assert spool_file.rows("PRAGMA user_version") == [(len(STEPS),)]
        reader = Queue(spool_file, "waziup")
        (lane,) = ready_lanes(reader)
        assert (lane.device, lane.name, lane.unit, lane.channel) == ("pond-7", "t", "°C", 3)
        batch = reader.claim(lane, 10)
        assert batch is not None
        assert (batch.times_us, batch.values) == ((1, 2), (b"22.5", b"23"))
        assert [(held.device, str(held.why)) for held in parked(spool_file)] == [
            ("pond-7", "status 400"),
            ("pond-8", "belongs to alice"),
        ]
        assert [payload.problem for payload in undecoded.load(spool_file)] == ["WrongLength"]
        assert load_sessions(spool_file.db) == {"pond": 7}
        assert Facts(spool_file, "server").recall() == {"device pond-7": "ours"}
        assert tallies(spool_file.db) == {"evicted": 3}


def test_file_system_that_turns_read_only_is_an_error_that_passes(tmp_path: Path) -> None:
    """Linux does that to an SD card that fails."""
    with closing(SpoolFile(tmp_path / "spool.db")) as spool_file:
        spool_file.db.execute("PRAGMA query_only = ON")
        with pytest.raises(SpoolError, match="readonly"), spool_file.transaction() as db:
            save_sessions(db, {"a": 7})
        spool_file.db.execute("PRAGMA query_only = OFF")
        with spool_file.transaction() as db:
            save_sessions(db, {"a": 8})
        assert load_sessions(spool_file.db) == {"a": 8}


def test_text_that_lost_a_bit_costs_its_own_row_only(tmp_path: Path) -> None:
    """SQLite has no checksums, and its own check finds nothing wrong with such a text."""
    path = tmp_path / "spool.db"
    with closing(SpoolFile(path)) as spool_file, spool_file.transaction() as db:
        save_sessions(db, {"one": 1, "two": 2})
    path.write_bytes(path.read_bytes().replace(b"two", b"tw\xef"))
    with closing(SpoolFile(path)) as spool_file, spool_file.transaction() as db:
        assert load_sessions(db) == {"one": 1, "tw\ufffd": 2}


def test_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    path.write_bytes(b"not a database at all " * 100)
    with pytest.raises(SpoolError, match="not a database"):
        SpoolFile(path)


def test_counter_belongs_to_address_and_keys_not_to_the_device_s_name() -> None:
    assert session_key(device("a")) == session_key(device("b"))
    assert session_key(device(address=1)) != session_key(device(address=2))
    assert session_key(lowcost_device(keys=KEYS)) != session_key(lowcost_device())


@pytest.mark.parametrize("state", [7, 1.5, b"\xff", "{", ""], ids=repr)
def test_join_that_is_damaged_costs_that_device_only_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, state: object
) -> None:
    with closing(SpoolFile(tmp_path / "spool.db")) as spool_file:
        with spool_file.transaction() as db:
            save_joins(db, {"whole": JoinState((1,))})
            db.execute("INSERT INTO joined VALUES (CAST(? AS TEXT), ?)", (b"pond\xff", state))
        for _ in range(2):
            with spool_file.transaction() as db:
                assert load_joins(db) == {"whole": JoinState((1,))}
        (line,) = caplog.records
        assert line.levelno == logging.ERROR
        assert "pond" in line.getMessage()


@pytest.mark.parametrize("command", [7, b"\xff", b'{"device":"\xff"}', "{", "", b'{"value":' + b"[" * 5000], ids=repr)
def test_command_that_is_damaged_costs_itself(tmp_path: Path, command: object) -> None:
    now = Moment(1, "boot", 1)
    with closing(SpoolFile(tmp_path / "spool.db")) as spool_file, spool_file.transaction() as db:
        db.execute("INSERT INTO downlink VALUES (7, 'pond', 0, ?)", (command,))
        whole = downlinks.add(db, Command("pond", 1, b"x", now), now)
        assert downlinks.load_waiting(db) == [whole]


@pytest.mark.parametrize("column", ["device", "time_us", "fcnt", "fport", "payload", "frame"])
@pytest.mark.parametrize("value", ["x", b"\xff", 1.5, b"\x81\xa7gateway\xa1\xff"], ids=repr)
def test_accepted_uplink_that_is_damaged_costs_itself(tmp_path: Path, column: str, value: object) -> None:
    frame = Frame("gw", NOON_US, seal_lorawan(KEYS, device().address or 0, 1, 2, b"x"), RxInfo())
    uplink = Uplink(frame, device(), 1, 2, b"x", True)
    with closing(SpoolFile(tmp_path / "spool.db")) as spool_file, spool_file.transaction() as db:
        accepted.put(db, [(1, uplink), (2, uplink)])
        db.execute(f"UPDATE accepted SET {column} = ? WHERE id = 1", (value,))
        found = accepted.load(db, {uplink.device.id: uplink.device}).uplinks
        if column == "device" or (column == "payload" and isinstance(value, bytes)):
            del found[0]  # its keys tell who has sent it
        assert found == [(2, uplink)]


def test_counter_that_is_no_number_is_left_out(tmp_path: Path) -> None:
    with closing(SpoolFile(tmp_path / "spool.db")) as spool_file:
        spool_file.db.execute("INSERT INTO session VALUES ('a', 'x'), ('b', 7)")
        assert load_sessions(spool_file.db) == {"b": 7}


def test_log_that_others_keep_growing_is_shortened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(SpoolFile(tmp_path / "spool.db")) as writer, closing(SpoolFile(tmp_path / "spool.db")) as other:
        writer.leave_checkpoints()
        for number in range(1200):
            _save(writer, {str(number): number})
        log = tmp_path / "spool.db-wal"
        grown = log.stat().st_size
        assert grown > 1100 * 1024, "it was left to others"
        monkeypatch.setattr(spool_file_module, "MAX_LOG_BYTES", grown - 1)
        other.shorten_log()
        _save(writer, {"last": 1})
        assert log.stat().st_size < grown // 10, "it is long no more, so that the next look has nothing to do"
        assert len(load_sessions(other.db)) == 1201
