"""The table `known`: what is remembered of servers, destinations and alerts over restarts.

It also says what has changed in other tables: who keeps rows of them in memory reads them again then, not after each
commit.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from functools import cached_property
from typing import Final, Literal

from lora_post.spool.spool_file import SpoolFile

Cause = Literal["downlinks", "joins", "lanes", "strangers"]

_CHANGES: Final = "changes"


class Facts:
    """Facts about one subject: read once, written at once. Not shared between threads at one time."""

    def __init__(self, spool_file: SpoolFile, subject: str) -> None:
        """subject: as "alerts" or "traffic waziup"; each user of the file has its own."""
        self._spool_file = spool_file
        self._subject = subject

    @cached_property
    def _known(self) -> dict[str, str]:
        rows = self._spool_file.rows("SELECT what, value FROM known WHERE server = ?", (self._subject,))
        return dict(rows)

    def recall(self) -> Mapping[str, str]:
        """Return everything that is known; `remember` and `forget` change it. Raises SpoolError."""
        return self._known

    def remember(self, what: str, value: str) -> None:
        """Write one fact down. Raises SpoolError when it is known in this process only."""
        self._known[what] = value
        # It is as true in a file that has taken the place of a damaged one.
        self._spool_file.follow()
        with self._spool_file.transaction() as db:
            db.execute("INSERT OR REPLACE INTO known VALUES (?, ?, ?)", (self._subject, what, value))

    def forget(self, what: str) -> None:
        """Delete one fact. Raises SpoolError."""
        self._known.pop(what, None)
        self._spool_file.follow()
        with self._spool_file.transaction() as db:
            db.execute("DELETE FROM known WHERE server = ? AND what = ?", (self._subject, what))

    def change(self, values: Mapping[str, str | None]) -> None:
        """Write down those that are new, together; None: delete it. Raises SpoolError when all are to come again."""
        new = {what: value for what, value in values.items() if self._known.get(what) != value}
        if not new:
            return
        self._spool_file.follow()
        with self._spool_file.transaction() as db:
            for what, value in new.items():
                if value is None:
                    db.execute("DELETE FROM known WHERE server = ? AND what = ?", (self._subject, what))
                else:
                    db.execute("INSERT OR REPLACE INTO known VALUES (?, ?, ?)", (self._subject, what, value))
        for what, value in new.items():
            if value is None:
                del self._known[what]
            else:
                self._known[what] = value


def note_all(db: sqlite3.Connection, subject: str, values: Mapping[str, str]) -> None:
    """Write facts down inside the caller's transaction."""
    rows = [(subject, what, value) for what, value in values.items()]
    db.executemany("INSERT OR REPLACE INTO known VALUES (?, ?, ?)", rows)


def note_first(db: sqlite3.Connection, subject: str, what: str, value: str) -> None:
    """Write one fact down inside the caller's transaction, unless something is known of it already."""
    db.execute("INSERT OR IGNORE INTO known VALUES (?, ?, ?)", (subject, what, value))


def note_change(db: sqlite3.Connection, cause: Cause) -> None:
    """Note inside the caller's transaction that rows have changed which others may keep in memory."""
    db.execute(
        "INSERT INTO known VALUES (?, ?, 1) ON CONFLICT (server, what) DO UPDATE SET value = value + 1",
        (_CHANGES, cause),
    )


def changes(db: sqlite3.Connection) -> dict[str, str]:
    """Return a value for each cause, another one after each change."""
    return dict(db.execute("SELECT what, value FROM known WHERE server = ?", (_CHANGES,)))


def subjects_with(spool_file: SpoolFile, what: str) -> list[str]:
    """Return the subjects of which this is known. Raises SpoolError."""
    return [subject for (subject,) in spool_file.rows("SELECT server FROM known WHERE what = ?", (what,))]
