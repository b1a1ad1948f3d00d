"""The table `session`: the frame counters of each address and its keys, up and down."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping


def load_sessions(db: sqlite3.Connection) -> dict[str, int]:
    """Return all counters, session_key -> next FCnt, without damaged ones."""
    return dict(db.execute("SELECT device, next_fcnt FROM session WHERE typeof(next_fcnt) = 'integer'"))


def load_sessions_of(db: sqlite3.Connection, prefix: str) -> dict[str, int]:
    """Return the counters whose keys begin like this, without damaged ones."""
    rows = db.execute(
        "SELECT device, next_fcnt FROM session WHERE device BETWEEN ? AND ? AND typeof(next_fcnt) = 'integer'",
        (prefix, prefix + "\U0010ffff"),
    )
    return dict(rows)


def save_sessions(db: sqlite3.Connection, sessions: Mapping[str, int]) -> None:
    """Store counters, in the transaction of the readings that they belong to."""
    db.executemany("INSERT OR REPLACE INTO session VALUES (?, ?)", sessions.items())


def raise_sessions(db: sqlite3.Connection, sessions: Iterable[tuple[str, int]]) -> None:
    """Store counters that are ahead of those that are here."""
    db.executemany(
        "INSERT INTO session VALUES (?, ?)"
        " ON CONFLICT (device) DO UPDATE SET next_fcnt = max(next_fcnt, excluded.next_fcnt)",
        sessions,
    )


def forget_sessions(db: sqlite3.Connection, sessions: Iterable[str]) -> int:
    """Delete counters by session_key; returns how many there were."""
    return db.executemany("DELETE FROM session WHERE device = ?", [(key,) for key in sessions]).rowcount
