"""Open the one SQLite file, create it, run transactions.

When the file is found damaged, or is removed under a running process, a new one is made in its place:
what is accepted from then on is kept.

A commit survives a power cut: the log (WAL) is synced behind it, when the write lock is free again, so that nobody
waits for the disk of another. SQLite's `synchronous=FULL` would do it under the lock. Each thread opens its own
SpoolFile.

Source: "Write-Ahead Logging", section 3.2; sqlite3's wal.c: a checkpoint syncs the log before it writes to the file.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from shlex import quote
from typing import Any, Final, TypeAlias

from lora_post.errors import SpoolDamaged, SpoolError
from lora_post.spool.schema import migrate
from lora_post.spool.swap import aside_of, complete_one, one_at_a_time, swap

log = logging.getLogger(__name__)

# A commit writes whole pages, and an uplink changes a few bytes in each of a handful: 40 % less than with 4096.
PAGE_BYTES = 1024
CACHE_KB = 128  # a queue is read and written at its ends; SQLite would take 2 MB for each connection

CHECKPOINT_PAGES = 1000  # SQLite's own
MAX_LOG_BYTES = 32 << 20  # only while hundreds of frames a second come in: writers wait for two syncs then

_DAMAGE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_DISK: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN})
_DISK_FIX: Final = "see that the disk is not full and can be written"
KEPT_FREE_BYTES: Final = 4 << 20
"""So much beside the log: that may still grow to a megabyte, and a home gateway has another one."""
_PLENTY_BYTES: Final = 2 * MAX_LOG_BYTES
_APART_BYTES: Final = 1 << 20  # so much more must be free before it is enough again: not each batch sent is told of
_MISSING: Final = -1
_NOT_OPEN: Final = -2  # unlike every file, so that the next attempt opens it

Mend: TypeAlias = Callable[[Path, int, str], None]
"""Clears the way for a new file. Takes the path of a damaged spool, its inode number and what is wrong."""


class SpoolFile:
    """A connection to the spool file. Not shared between threads at the same time."""

    def __init__(self, path: Path, mend: Mend | None = None) -> None:
        """Open the file; create it with mode 0600 when it is missing.

        mend: called when the file is damaged, now or later; without it, SpoolDamaged is raised.
        Raises SpoolError when the file cannot be opened, or is of a newer lora-post that this one cannot follow.
        """
        self.path = path
        self._mend = mend
        self._reserved: dict[str, int] = {}
        self._checkpoints = True
        self._is_short = False
        self.inode = _NOT_OPEN
        try:
            self._open()
        except SpoolDamaged as error:
            if mend is None:
                raise
            mend(path, self.inode, str(error))
            self._open()

    def _open(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if complete_one(self.path):
                self._finish_swap()
            is_new = _create_private(self.path)
            if not is_new and _is_emptied(self.path) and _was_used(self.path):
                log.error(
                    "spool %s is empty: something has emptied it while lora-post was not running; readings that were "
                    "queued and frame counters are lost, and it goes on with nothing",
                    self.path,
                )
            self.inode = _inode(self.path)
            self.db = sqlite3.connect(self.path, timeout=30.0, isolation_level=None, check_same_thread=False)
            self.db.text_factory = read_text
        except (OSError, sqlite3.Error) as error:
            raise self._problem(error) from error
        try:
            self.db.execute(f"PRAGMA page_size={PAGE_BYTES}")  # of a file that is new
            self.db.execute("PRAGMA journal_mode=WAL")
            self.db.execute("PRAGMA synchronous=NORMAL")
            self.db.execute(f"PRAGMA cache_size=-{CACHE_KB}")
            self._set_checkpoints()
            (self._page_bytes,) = self.db.execute("PRAGMA page_size").fetchone()
            self._create()
        except sqlite3.Error as error:
            self.db.close()
            if is_new and _is_emptied(self.path):
                self.path.unlink(missing_ok=True)  # the disk is full; the next start must not miss what never was there
            raise self._problem(error) from error
        except BaseException:
            self.db.close()
            raise

    def leave_checkpoints(self) -> None:
        """Leave it to other connections to move the log into the file: that takes two syncs."""
        self._checkpoints = False
        self._set_checkpoints()

    def _set_checkpoints(self) -> None:
        self.db.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES if self._checkpoints else 0}")

    def shorten_log(self) -> None:
        """Empty the log into the file where it has grown too long: while others write without a break, SQLite cannot.

        Writers wait meanwhile. Raises SpoolError.
        """
        try:
            if Path(f"{self.path}-wal").stat().st_size > MAX_LOG_BYTES:
                self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except (OSError, sqlite3.Error) as error:
            raise self._problem(error) from error

    def require_room(self) -> None:
        """Raise SpoolError while the disk has only the room that taking readings out of the file needs.

        To delete a row takes room in the log, and the log gives its room back only once all of it is in the file. A
        spool that had filled its disk to the last byte could never be emptied again.
        """
        try:
            free = free_bytes(self.path)
            if free >= _PLENTY_BYTES:
                return
            needed = KEPT_FREE_BYTES + Path(f"{self.path}-wal").stat().st_size  # the file may have to grow by all of it
            needed += _APART_BYTES * self._is_short
            if free < needed:
                (unused,) = self.db.execute("PRAGMA freelist_count").fetchone()
                free += unused * self._page_bytes
        except (OSError, sqlite3.Error) as error:
            raise self._problem(error) from error
        self._is_short = free < needed
        if self._is_short:
            raise SpoolError(
                f"spool {self.path}: its disk is full but for what sending needs",
                fix="delete what is not needed there; sending goes on meanwhile",
            )

    def _finish_swap(self) -> None:
        """Finish replacing a damaged file, where a power cut came in between."""
        with one_at_a_time(self.path):
            if new := complete_one(self.path):
                aside = aside_of(self.path, new)
                swap(self.path, new)
                log.error(
                    "spool %s was damaged and a new one goes on; lora-post spool salvage %s",
                    self.path,
                    quote(str(aside)),
                )

    def _problem(self, error: OSError | sqlite3.Error) -> SpoolError:
        if is_damage(error):
            return SpoolDamaged(f"spool {self.path}: {error}")
        return SpoolError(f"spool {self.path}: {error}", fix=fix_of(error))

    def follow(self) -> bool:
        """Open the file that has replaced this one; False when it is the same. Raises SpoolError.

        A file that was emptied is replaced as a damaged one is.
        """
        inode, size = _inode_and_size(self.path)
        if inode == self.inode:
            if size:
                return False
            if self._refill():
                log.error("something has emptied spool %s while it was in use; nothing is lost this time", self.path)
                return False
            emptied = "something has emptied it"
            if self._mend is None:
                raise SpoolDamaged(f"spool {self.path}: {emptied}")
            self._replace(self._mend, emptied)
            return True
        self._reopen()
        return True

    def _is_another(self) -> SpoolError:
        return SpoolError(f"spool {self.path} is another file than before")

    def _reopen(self) -> None:
        old, self.inode = self.db, _NOT_OPEN
        try:
            self._open()  # while the old file is open: a new one must not get the inode number of one that was removed
        finally:
            old.close()

    def _trouble(self, error: sqlite3.Error) -> SpoolError:
        """Return what to raise; a damaged file is replaced before, where that can be done."""
        problem = self._problem(error)
        if isinstance(problem, SpoolDamaged) and self._mend is not None:
            self._replace(self._mend, str(error))
        return problem

    def _replace(self, mend: Mend, why: str) -> None:
        damaged, self.inode = self.inode, _NOT_OPEN
        self.db.close()
        mend(self.path, damaged, why)
        self._reopen()

    def _refill(self) -> bool:
        """Fill a file that was emptied from the WAL, which has all of it as long as the spool is small and young."""
        try:
            self.db.execute("PRAGMA wal_checkpoint(PASSIVE)")
            with closing(sqlite3.connect(self.path, timeout=1.0)) as other:  # what this one has cached proves nothing
                (verdict,) = other.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.Error:
            return False
        return bool(verdict == "ok") and not _is_emptied(self.path)

    def _create(self) -> None:
        with self._all_or_nothing() as db:
            migrate(db, f"spool {self.path}")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run a block as a transaction that survives a power cut, see `unsynced`."""
        before = self.db.total_changes
        with self.unsynced() as db:
            yield db
        if db.total_changes != before:
            self.sync()

    @contextmanager
    def unsynced(self) -> Iterator[sqlite3.Connection]:
        """Run a block as a transaction that a power cut takes back, with all that follow, until `sync`.

        It takes the write lock at once, so that what is read stays true. Raises SpoolError when the file cannot be
        written, or is not the same any more.
        """
        if self.follow():
            raise self._is_another()
        try:
            with self._all_or_nothing() as db:
                # While this waited for the write lock, another file may have taken the place of a damaged one.
                if _inode(self.path) == self.inode:
                    yield db
                    return
            self._reopen()
            raise self._is_another()
        except sqlite3.Error as error:
            raise self._trouble(error) from error

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let the queries of a block see one state of one file, which costs less than one by one. Raises SpoolError."""
        self.follow()
        try:
            self.db.execute("BEGIN")
            yield
        except sqlite3.Error as error:
            raise self._trouble(error) from error
        finally:
            self._roll_back()

    def sync(self) -> None:
        """Wait until all that was committed survives a power cut. Raises SpoolError."""
        try:
            log_fd = os.open(f"{self.path}-wal", os.O_RDONLY | os.O_CLOEXEC)  # there are no locks on it to lose
            try:
                _sync(log_fd)
            finally:
                os.close(log_fd)
        except OSError as error:
            raise self._problem(error) from error

    @contextmanager
    def _all_or_nothing(self) -> Iterator[sqlite3.Connection]:
        try:
            self.db.execute("BEGIN IMMEDIATE")
            yield self.db
            self.db.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        # A full disk may have rolled back already; one that fails altogether is told of by the first error.
        with suppress(sqlite3.Error):
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")

    def reserve(self, task: str) -> bool:
        """Claim a task until `close`; False while another process has it.

        Raises SpoolError when the lock file beside the spool cannot be made.
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
            raise self._problem(error) from error
        self._reserved[task] = fd
        return True

    def rows(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query. Raises SpoolError when the file cannot be read."""
        if not self.db.in_transaction:
            self.follow()
        try:
            return self.db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise self._trouble(error) from error

    def data_version(self) -> int:
        """Return a number that changes when another connection has committed. Raises SpoolError."""
        try:
            (version,) = self.db.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error as error:
            raise self._trouble(error) from error
        return int(version)

    def used_bytes(self) -> int:
        """Return how many bytes of the file hold data."""
        (pages,) = self.db.execute("PRAGMA page_count").fetchone()
        (free,) = self.db.execute("PRAGMA freelist_count").fetchone()
        return int((pages - free) * self._page_bytes)

    def close(self) -> None:
        """Close the file, and give up what was reserved."""
        self.db.close()
        while self._reserved:
            os.close(self._reserved.popitem()[1])


def read_text(data: bytes) -> str:
    """Decode a text of the file; invalid UTF-8 after a lost bit must cost its own row only."""
    return data.decode("utf-8", "replace")


def is_damage(error: BaseException) -> bool:
    """Tell whether an error is about what is in the file, not about the disk or this process."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE


def fix_of(error: OSError | sqlite3.Error) -> str:
    """Return what to do about an error, "" where it is not about the disk."""
    is_disk = isinstance(error, OSError) or getattr(error, "sqlite_errorcode", 0) & 0xFF in _DISK
    return _DISK_FIX if is_disk else ""


def _sync(fd: int) -> None:
    if sys.platform == "linux":
        os.fdatasync(fd)
    else:
        os.fsync(fd)


def _inode(path: Path) -> int:
    """Return the inode number of the file. Raises SpoolError when the folder cannot be read."""
    return _inode_and_size(path)[0]


def _is_emptied(path: Path) -> bool:
    """Tell whether a file holds nothing: even a new one has its first page once it was opened."""
    return _inode_and_size(path)[1] == 0


def _inode_and_size(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return _MISSING, _MISSING
    except OSError as error:
        raise SpoolError(f"spool {path}: {error}") from error
    return found.st_ino, found.st_size


def free_bytes(file: Path | int) -> int:
    """Return how much this user may write to the disk of a file; without bound where the file system does not tell.

    file: its path or descriptor.
    """
    found = os.statvfs(file)
    return found.f_bavail * found.f_frsize if found.f_blocks else sys.maxsize


def _was_used(path: Path) -> bool:
    """Tell whether a process has emptied queues of this spool before, by its lock files; they stay."""
    own = ("-wal", "-shm", "-rescue")
    names = (each.name for each in path.parent.iterdir() if each.name.startswith(f"{path.name}-"))
    return any(not name.endswith(own) for name in names)


def _create_private(path: Path) -> bool:
    """Make an empty file that only its owner may read; False for an existing one, which is not even opened.

    To close it again would take away the locks that other connections of this process hold on it, and
    another process would then remove the WAL from under them.
    Source: "How To Corrupt An SQLite Database File", section 2.2.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return False
    return True
