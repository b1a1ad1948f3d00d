"""The tables `log_place` and `log_entry`: how far readers of a fleet's log have read, and what they know.

What an uploader queues and how far it has read are written in one transaction, so each reading is queued once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping


def load_place(db: sqlite3.Connection, reader: str, prefix: str) -> tuple[int, str]:
    """Return position and id of the entry that was read last; 0 and "" for none."""
    query = "SELECT position, anchor FROM log_place WHERE reader = ? AND prefix = ?"
    row = db.execute(query, (reader, prefix)).fetchone()
    return (int(row[0]), str(row[1])) if row else (0, "")


def load_entries(db: sqlite3.Connection, reader: str, prefix: str) -> dict[str, bytes]:
    """Return the newest valid entries of all devices whose subjects have this prefix."""
    query = "SELECT subject, entry FROM log_entry WHERE reader = ? AND substr(subject, 1, ?) = ?"
    return dict(db.execute(query, (reader, len(prefix), prefix)))


def save(
    db: sqlite3.Connection, reader: str, prefix: str, position: int, anchor: str, entries: Mapping[str, bytes]
) -> None:
    """Write down how far a reader is. entries: the newest valid ones of devices where they are new."""
    db.execute("INSERT OR REPLACE INTO log_place VALUES (?, ?, ?, ?)", (reader, prefix, position, anchor))
    db.executemany(
        "INSERT OR REPLACE INTO log_entry VALUES (?, ?, ?)",
        [(reader, subject, entry) for subject, entry in entries.items()],
    )


def knows_any(db: sqlite3.Connection) -> bool:
    """Tell whether any reader here has read an entry."""
    return db.execute("SELECT 1 FROM log_entry LIMIT 1").fetchone() is not None
