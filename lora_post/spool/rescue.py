"""Replace a damaged spool by a new one; the damaged file is renamed, never deleted.

What is small and needed at once is copied into the new file: frame counters, which keep recorded frames
out, sensors with their state, what is known of the server. Queued readings stay in the file that was set
aside, for `lora-post spool salvage`.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from shlex import quote
from threading import Timer
from typing import Final

from lora_post.errors import SpoolError
from lora_post.spool.facts import subjects_with
from lora_post.spool.queue import RUNNING
from lora_post.spool.schema import STEPS
from lora_post.spool.spool_file import SpoolFile, is_damage, read_text
from lora_post.spool.swap import aside_of, declare_complete, one_at_a_time, part_of, swap, throw_away_part

log = logging.getLogger(__name__)

CHECK_S: Final = 0.5  # a start is not to take long; what is damaged further on is met when it is read
_KEPT: Final = ("session", "joined", "lane", "known", "heard", "tally", "boot", "downlink", "accepted", "told")


def open_spool(path: Path) -> SpoolFile:
    """Open the spool for a process that keeps readings in it; replace it when it is damaged.

    Only after an unclean stop is the file looked through, and not for long. Raises SpoolError.
    """
    if part_of(path).exists():
        _throw_away(path)
    spool_file = SpoolFile(path, replace_damaged)
    try:
        ((version,),) = spool_file.rows("PRAGMA user_version")
        if version > len(STEPS):
            log.warning("spool %s was made by a newer lora-post; it is used as it is", path)
        if subjects_with(spool_file, RUNNING):
            problem = quick_check(spool_file)
            if problem:
                replace_damaged(path, spool_file.inode, problem)
                spool_file.close()
                spool_file = SpoolFile(path, replace_damaged)
    except BaseException:
        spool_file.close()
        raise
    return spool_file


def _throw_away(path: Path) -> None:
    try:
        with one_at_a_time(path):
            throw_away_part(path)
    except OSError as error:
        raise SpoolError(f"spool {path}: {error}") from error


def quick_check(spool_file: SpoolFile) -> str:
    """Return what SQLite finds wrong with the file within CHECK_S seconds, "" for nothing."""
    alarm = Timer(CHECK_S, spool_file.db.interrupt)
    alarm.start()
    try:
        (verdict,) = spool_file.db.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        return str(error) if is_damage(error) else ""
    finally:
        alarm.cancel()
        alarm.join()  # it must not interrupt what comes next
    return "" if verdict == "ok" else str(verdict)


def replace_damaged(path: Path, inode: int, problem: str) -> None:
    """Replace the file with this inode number, unless another process has done so.

    Raises SpoolError when that cannot be done.
    """
    try:
        with one_at_a_time(path):
            if path.stat().st_ino != inode:
                return
            with closing(sqlite3.connect(path, timeout=1.0, isolation_level=None)) as old:
                old.text_factory = read_text
                # What another process would still keep in the damaged file must not be lost between the two.
                with suppress(sqlite3.Error):
                    old.execute("BEGIN IMMEDIATE")
                make_part(path, old)
                new = declare_complete(path)
                log.error(
                    "spool %s is damaged (%s); it is kept as %s and a new one goes on. "
                    "To bring back the readings that were queued: lora-post spool salvage %s",
                    path,
                    problem,
                    aside_of(path, new),
                    quote(str(aside_of(path, new))),
                )
                swap(path, new)
    except (OSError, sqlite3.Error) as error:
        raise SpoolError(f"spool {path} is damaged ({problem}) and cannot be set aside: {error}") from error


def make_part(path: Path, old: sqlite3.Connection) -> None:
    """Make the new file with what is copied into it. Raises SpoolError, OSError, sqlite3.Error."""
    throw_away_part(path)
    with closing(SpoolFile(part_of(path))) as new:
        for table in _KEPT:
            _take_over(table, old, new)
        new.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _take_over(table: str, old: sqlite3.Connection, new: SpoolFile) -> None:
    try:
        with new.transaction() as db:
            # An earlier version may have written the damaged file; it knew fewer columns.
            columns = [name for name in columns_of(new.db, table) if name in columns_of(old, table)]
            if not columns:
                return
            names, marks = ",".join(columns), ",".join("?" * len(columns))
            rows = readable_rows(old, table, columns)
            db.executemany(f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})", rows)  # noqa: S608 - names of our own
    except (sqlite3.Error, SpoolError) as error:
        log.error("cannot copy table %s into the new spool: %s", table, error)


def columns_of(db: sqlite3.Connection, table: str) -> list[str]:
    """Return the names of a table's columns; empty when the table is missing."""
    return [row[1] for row in db.execute("SELECT * FROM pragma_table_info(?)", (table,))]


def readable_rows(
    db: sqlite3.Connection, table: str, columns: Sequence[str], rest: str = "", values: tuple[object, ...] = ()
) -> Iterator[tuple[object, ...]]:
    """Yield the rows of a table up to the first unreadable place. rest: WHERE and ORDER BY."""
    try:
        yield from db.execute(f"SELECT {','.join(columns)} FROM {table} {rest}", values)  # noqa: S608 - names of our own
    except sqlite3.Error as error:
        log.warning("cannot read all of table %s: %s", table, error)
