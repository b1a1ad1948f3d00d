"""Keep a log in an SQLite file, for processes on one machine."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from lora_post.fleet.errors import LogUnavailable
from lora_post.fleet.log.log import Logged
from lora_post.spool.spool_file import fix_of

READ_AT_ONCE: Final = 1000
LOOK_EVERY_S: Final = 0.05
BUSY_S: Final = 30.0


class SqliteLog:
    """Appends survive a power cut. Not shared between threads at the same time; each opens its own."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it. Raises LogUnavailable."""
        self._path = path
        try:
            with suppress(FileExistsError):  # one that exists is not opened: to close it would take away its locks
                path.touch(0o600, exist_ok=False)
            self._db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            # AUTOINCREMENT: a position is never given out again, whatever was trimmed.
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS entry"
                " (position INTEGER PRIMARY KEY AUTOINCREMENT, subject TEXT NOT NULL, data BLOB NOT NULL)"
            )
            self._db.execute("CREATE INDEX IF NOT EXISTS entry_subject ON entry (subject, position)")
        except (OSError, sqlite3.Error) as error:
            raise self._trouble(error) from error

    def append(self, entries: Sequence[tuple[str, bytes]]) -> Sequence[int | None]:
        """Append entries together, as `Log.append` does. Raises LogUnavailable where the disk takes nothing."""
        try:
            with closing(self._db.cursor()) as cursor:
                cursor.execute("BEGIN IMMEDIATE")
                places: list[int | None] = []
                for entry in entries:
                    cursor.execute("INSERT INTO entry (subject, data) VALUES (?, ?)", entry)
                    places.append(cursor.lastrowid)
                cursor.execute("COMMIT")
                return places
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                return [None] * len(entries)
            raise self._trouble(error) from error

    def read(self, prefix: str, after: int) -> Sequence[Logged]:
        query = "SELECT position, subject, data FROM entry WHERE position > ? AND substr(subject, 1, ?) = ?"
        try:
            rows = self._db.execute(
                f"{query} ORDER BY position LIMIT {READ_AT_ONCE}", (after, len(prefix), prefix)
            ).fetchall()
        except sqlite3.Error as error:
            raise self._trouble(error) from error
        return [Logged(*row) for row in rows]

    def tail(self, prefix: str, after: int, timeout_s: float) -> Sequence[Logged]:
        deadline = time.monotonic() + timeout_s
        while not (found := self.read(prefix, after)) and time.monotonic() < deadline:
            time.sleep(LOOK_EVERY_S)
        return found

    def trim(self, subject: str, before: int) -> None:
        try:
            self._db.execute("DELETE FROM entry WHERE subject = ? AND position < ?", (subject, before))
        except sqlite3.Error as error:
            raise self._trouble(error) from error

    def begin(self, subject: str, data: bytes) -> None:
        """Replace all entries of a subject by this one. Raises LogUnavailable."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("DELETE FROM entry WHERE subject = ?", (subject,))
            self._db.execute("INSERT INTO entry (subject, data) VALUES (?, ?)", (subject, data))
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise self._trouble(error) from error

    def used_bytes(self) -> int:
        """Return how many bytes of the file hold data. Raises LogUnavailable."""
        try:
            pages, free, size = (
                int(self._db.execute(f"PRAGMA {name}").fetchone()[0])
                for name in ("page_count", "freelist_count", "page_size")
            )
        except sqlite3.Error as error:
            raise self._trouble(error) from error
        return (pages - free) * size

    def longest(self, limit: int, *, newest: bool) -> Sequence[Logged]:
        """Return entries of the subject with the most of them, at most half: the first or last.

        Raises LogUnavailable.
        """
        count = "SELECT subject, count(*) FROM entry GROUP BY subject ORDER BY 2 DESC LIMIT 1"
        query = "SELECT position, subject, data FROM entry WHERE subject = ? ORDER BY position {} LIMIT ?"
        try:
            for subject, length in self._db.execute(count).fetchall():
                order = "DESC" if newest else "ASC"
                rows = self._db.execute(query.format(order), (subject, min(limit, length // 2))).fetchall()
                return sorted((Logged(*row) for row in rows), key=lambda each: each.position)
        except sqlite3.Error as error:
            raise self._trouble(error) from error
        return []

    def join(self, entries: Sequence[Logged], data: bytes) -> None:
        """Replace some entries of a subject by this one. Raises LogUnavailable."""
        first, last = entries[0], entries[-1]
        delete = "DELETE FROM entry WHERE subject = ? AND position >= ? AND position < ?"
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(delete, (last.subject, first.position, last.position))
            self._db.execute("UPDATE entry SET data = ? WHERE position = ?", (data, last.position))
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise self._trouble(error) from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _trouble(self, error: OSError | sqlite3.Error) -> LogUnavailable:
        return LogUnavailable(f"log {self._path}: {error}", fix=fix_of(error))
