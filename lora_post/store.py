"""The one SQLite file: open, create, `transaction()`, sessions, and what is known of the server.

WAL with `synchronous=FULL`: a commit survives a power cut. Each thread opens its own Store.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lora_post.errors import StoreError
from lora_post.model import Device
from lora_post.store_schema import STEPS

CACHE_KB = 128  # a queue is read and written at its ends; SQLite would take 2 MB for each connection


class Store:
    """A connection to the spool file. Not shared between threads at the same time."""

    def __init__(self, path: Path) -> None:
        """Open the file, create it with mode 0600 when missing.

        Raises StoreError when it cannot be opened, is damaged, or has a newer schema.
        """
        self.path = path
        self._reserved: dict[str, int] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _create_private(path)
            self.db = sqlite3.connect(path, timeout=30.0, isolation_level=None, check_same_thread=False)
            self.db.execute("PRAGMA journal_mode=WAL")
            self.db.execute("PRAGMA synchronous=FULL")
            self.db.execute(f"PRAGMA cache_size=-{CACHE_KB}")
            self._create()
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"spool {path}: {error}") from error

    def _create(self) -> None:
        with self.transaction() as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version == len(STEPS):
                return
            if not 0 <= version < len(STEPS):
                raise StoreError(
                    f"spool {self.path}: schema version {version}, this lora-post knows {len(STEPS)}; "
                    "use the lora-post that wrote it, or another [spool] path"
                )
            for step in STEPS[version:]:
                for statement in step.split(";"):
                    db.execute(statement)
            db.execute(f"PRAGMA user_version={len(STEPS)}")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing; takes the write lock at once, so that what is read stays true.

        Raises StoreError when the file cannot be written.
        """
        try:
            self.db.execute("BEGIN IMMEDIATE")
            try:
                yield self.db
            except BaseException:
                self._roll_back()
                raise
            self.db.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise StoreError(f"spool {self.path}: {error}") from error

    def _roll_back(self) -> None:
        # A full disk may have rolled back already; one that fails altogether is told of by the first error.
        with suppress(sqlite3.Error):
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")

    def reserve(self, task: str) -> bool:
        """Claim a task that only one process may do at a time, until `close`; False while another one has it.

        Raises StoreError when the lock file beside the spool cannot be made.
        """
        if task in self._reserved:
            return True
        try:
            fd = os.open(f"{self.path}-{task}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                os.close(fd)
                if isinstance(error, BlockingIOError):
                    return False
                raise
        except OSError as error:
            raise StoreError(f"spool {self.path}: {error}") from error
        self._reserved[task] = fd
        return True

    def rows(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query outside a transaction. Raises StoreError when the file cannot be read."""
        try:
            return self.db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"spool {self.path}: {error}") from error

    def data_version(self) -> int:
        """A number that changes when another connection has committed."""
        (version,) = self.db.execute("PRAGMA data_version").fetchone()
        return int(version)

    def used_bytes(self) -> int:
        """Bytes of the file that hold data."""
        (pages,) = self.db.execute("PRAGMA page_count").fetchone()
        (free,) = self.db.execute("PRAGMA freelist_count").fetchone()
        (size,) = self.db.execute("PRAGMA page_size").fetchone()
        return int((pages - free) * size)

    def close(self) -> None:
        self.db.close()
        while self._reserved:
            os.close(self._reserved.popitem()[1])


def _create_private(path: Path) -> None:
    """Make an empty file that only its owner may read; one that is there is not even opened.

    To close it again would take away the locks that other connections of this process hold on it, and
    another process would then remove the WAL from under them.
    Source: "How To Corrupt An SQLite Database File", section 2.2.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return


def session_key(device: Device) -> str:
    """What a frame counter belongs to: an address under given keys, whatever the device is called."""
    fingerprint = device.keys.fingerprint.hex() if device.keys else ""
    return f"{device.link}:{device.address_text}:{fingerprint}"


def load_sessions(db: sqlite3.Connection) -> dict[str, int]:
    """All stored counters: session_key -> next FCnt."""
    return dict(db.execute("SELECT device, next_fcnt FROM session"))


def save_sessions(db: sqlite3.Connection, sessions: dict[str, int]) -> None:
    """Store counters, in the transaction of the readings that they belong to."""
    db.executemany("INSERT OR REPLACE INTO session VALUES (?, ?)", sessions.items())


def add_tally(db: sqlite3.Connection, name: str, amount: int) -> None:
    """Add to a total that outlives the process."""
    db.execute(
        "INSERT INTO tally VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET amount = amount + excluded.amount",
        (name, amount),
    )


def tallies(db: sqlite3.Connection) -> dict[str, int]:
    """All totals."""
    return dict(db.execute("SELECT name, amount FROM tally"))


def known(db: sqlite3.Connection, server: str) -> dict[str, str]:
    """Everything remembered about a server."""
    return dict(db.execute("SELECT what, value FROM known WHERE server = ?", (server,)))


def remember(db: sqlite3.Connection, server: str, what: str, value: str) -> None:
    """Remember one thing about a server."""
    db.execute("INSERT OR REPLACE INTO known VALUES (?, ?, ?)", (server, what, value))


def forget(db: sqlite3.Connection, server: str, what: str) -> None:
    """Forget it again."""
    db.execute("DELETE FROM known WHERE server = ? AND what = ?", (server, what))
