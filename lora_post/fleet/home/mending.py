"""Put a damaged log of a home gateway aside, and decide anew about the frames left in it."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from lora_post.clocks.scale import now_us, utc_text
from lora_post.fleet.errors import UNREADABLE, LogUnavailable
from lora_post.fleet.log.entry import Entry, decode
from lora_post.spool.spool_file import is_damage
from lora_post.text import plural

log = logging.getLogger(__name__)


def mend(path: Path) -> list[Entry]:
    """Put a damaged log aside; return the entries that can be read there, none where it is whole.

    What begins in its place goes on from the hub's log, behind every counter that it may have used.
    Raises LogUnavailable.
    """
    if not path.exists():
        return []
    try:
        with closing(sqlite3.connect(path)) as db:
            is_whole, found = _read(db)
        if is_whole:
            return []
        aside = path.with_name(f"{path.name}.damaged-{utc_text(now_us())[:19].replace(':', '').replace('-', '')}Z")
        for part in ("-wal", "-shm", ""):  # the WAL first: beside a new file it would be played back into that
            with suppress(FileNotFoundError):
                path.with_name(path.name + part).rename(aside.with_name(aside.name + part))
    except (OSError, sqlite3.Error) as error:
        raise LogUnavailable(f"log {path}: {error}") from error
    log.error("log %s was damaged, it is %s now: %s of it are decided again", path, aside, plural(len(found), "frame"))
    return found


def _read(db: sqlite3.Connection) -> tuple[bool, list[Entry]]:
    """Return whether all can be read, and the entries with frames that can, oldest first."""
    found: dict[int, Entry] = {}
    is_whole = True
    query = "SELECT position, data FROM entry ORDER BY position"
    for each in (query, f"{query} DESC"):  # a damaged page ends a read
        try:
            for position, data in db.execute(each):
                try:
                    found[position] = decode(data)
                except (*UNREADABLE, TypeError):
                    is_whole = False
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            is_whole = False
        if is_whole:
            with suppress(sqlite3.DatabaseError):
                is_whole = db.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
            return is_whole, []
    return False, [entry for _, entry in sorted(found.items()) if entry.up]
