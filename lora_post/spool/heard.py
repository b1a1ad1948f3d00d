"""The table `heard`: the latest uplinks whose counter cannot show a repetition."""

from __future__ import annotations

import hashlib
import sqlite3
from typing import Final

from lora_post.times import StampUs
from lora_post.uplink.model import Uplink

KEEP_HEARD: Final = 20_000
PRUNE_HEARD_EVERY: Final = 1_000
KEEP_WHEN_FULL: Final = 2_000
"""About 90 kB: readings that wait come before the memory of frames that may come again."""


def is_repeat(db: sqlite3.Connection, uplink: Uplink, window_us: int) -> bool:
    """Tell whether an uplink was heard within window_us; if not, note it as heard."""
    print_, time_us = print_of(uplink), uplink.frame.time_us
    window = (print_, time_us - window_us, time_us + window_us)
    if db.execute("SELECT 1 FROM heard WHERE print = ? AND time_us BETWEEN ? AND ?", window).fetchone():
        return True
    cursor = db.execute("INSERT INTO heard (print, time_us) VALUES (?, ?)", (print_, time_us))
    row = cursor.lastrowid or 0
    if row % PRUNE_HEARD_EVERY == 0:
        db.execute("DELETE FROM heard WHERE id <= ?", (row - KEEP_HEARD,))
    return False


def trim(db: sqlite3.Connection) -> None:
    """Keep only the newest, in a spool that is full."""
    db.execute("DELETE FROM heard WHERE id <= (SELECT max(id) FROM heard) - ?", (KEEP_WHEN_FULL,))


def shift(db: sqlite3.Connection, first_us: StampUs, last_us: StampUs, by_us: int) -> None:
    """Move the times within a range."""
    db.execute("UPDATE heard SET time_us = time_us + ? WHERE time_us BETWEEN ? AND ?", (by_us, first_us, last_us))


def print_of(uplink: Uplink) -> int:
    """Return 63 bits that tell one uplink from another."""
    device = uplink.device
    text = b"%d %d %s" % (device.address or 0, uplink.fcnt, uplink.payload)
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest()) >> 1
