"""The table `told`: what devices were told in MAC commands, by session; `downlink.settings` knows what it means."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping


def load(db: sqlite3.Connection) -> dict[str, bytes]:
    """Return what is kept, by session."""
    return dict(db.execute("SELECT CAST(session AS TEXT), CAST(state AS BLOB) FROM told"))


def save(db: sqlite3.Connection, told: Mapping[str, bytes]) -> None:
    """Store it, in the transaction of the counters of these sessions."""
    db.executemany("INSERT OR REPLACE INTO told VALUES (?, ?)", told.items())


def add(db: sqlite3.Connection, rows: Iterable[tuple[object, ...]]) -> None:
    """Store what another file has, (session, state); what was told here is newer and stays."""
    db.executemany("INSERT OR IGNORE INTO told VALUES (CAST(? AS TEXT), CAST(? AS BLOB))", rows)


def forget(db: sqlite3.Connection, sessions: Iterable[str]) -> None:
    """Delete it for sessions that are over."""
    db.executemany("DELETE FROM told WHERE session = ?", [(session,) for session in sessions])
