"""The table `tally`: totals that outlive the process."""

from __future__ import annotations

import sqlite3


def add_tally(db: sqlite3.Connection, name: str, amount: int) -> None:
    """Add to a total."""
    db.execute(
        "INSERT INTO tally VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET amount = amount + excluded.amount",
        (name, amount),
    )


def tallies(db: sqlite3.Connection) -> dict[str, int]:
    """Return all totals by name."""
    return dict(db.execute("SELECT name, amount FROM tally"))
