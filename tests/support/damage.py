"""Spools as a worn SD card leaves them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from lora_post.spool.spool_file import PAGE_BYTES


def damage_table(path: Path, table: str) -> None:
    """Overwrite the first page of a table, of a spool that nobody has open."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (number,) = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
    overwrite(path, (number - 1) * PAGE_BYTES)


def damage_page_with(path: Path, text: bytes) -> None:
    """Overwrite the page in which this stands."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    overwrite(path, path.read_bytes().index(text) // PAGE_BYTES * PAGE_BYTES)


def overwrite(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xa5" * PAGE_BYTES)


def set_aside(path: Path) -> list[Path]:
    """What was set aside of a spool."""
    return [each for each in sorted(path.parent.glob("*.damaged-*")) if not each.name.endswith(("-wal", "-shm"))]
