"""The table `gap`: the frames of each session that were not heard, so that a late one is accepted once, in its place.

A gateway that kept frames while its link was down, or whose link is slow, hands them in after newer ones. What
proves that such a frame is no replay: it was never accepted here, and it says that it was heard before the next one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from lora_post.clocks.scale import is_unknown, slot_of
from lora_post.spool.schema import GAPS
from lora_post.times import StampUs
from lora_post.uplink.window import DOUBT_US, MAX_GAPS


class Gaps:
    """The gaps of the sessions in one file, inside its transactions."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def open(self, session: str, first: int, last: int, heard_us: StampUs) -> None:
        """Note that FCnts were not heard. heard_us: when the frame behind them was."""
        self._put(session, first, last, heard_us)
        self._db.execute(
            "DELETE FROM gap WHERE session = ?1 AND first <="
            " (SELECT first FROM gap WHERE session = ?1 ORDER BY first DESC LIMIT 1 OFFSET ?2)",
            (session, MAX_GAPS),
        )

    def take(self, session: str, fcnt: int, time_us: StampUs) -> bool:
        """Tell whether a frame was not heard until now, and was heard in time; it is heard now."""
        row = self._db.execute(
            "SELECT first, last, heard_us FROM gap WHERE session = ? AND first <= ? ORDER BY first DESC LIMIT 1",
            (session, fcnt),
        ).fetchone()
        if row is None or not all(isinstance(value, int) for value in row):
            return False
        first, last, heard_us = row
        if fcnt > last or not _is_in_time(time_us, heard_us):
            return False
        self._db.execute("DELETE FROM gap WHERE session = ? AND first = ?", (session, first))
        if first < fcnt:
            self._put(session, first, fcnt - 1, heard_us)
        if fcnt < last:
            self._put(session, fcnt + 1, last, heard_us)
        return True

    def _put(self, session: str, first: int, last: int, heard_us: StampUs) -> None:
        self._db.execute("INSERT OR REPLACE INTO gap VALUES (?, ?, ?, ?)", (session, first, last, heard_us))


def gaps_in_memory() -> Gaps:
    """Return gaps that are kept nowhere, for a dry run."""
    db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    for statement in GAPS:
        db.execute(statement)
    return Gaps(db)


def forget_gaps(db: sqlite3.Connection, sessions: Iterable[str]) -> None:
    """Delete the gaps of sessions that are over, or count anew."""
    db.executemany("DELETE FROM gap WHERE session = ?", [(session,) for session in sessions])


def _is_in_time(time_us: StampUs, heard_us: StampUs) -> bool:
    """Tell whether a frame was heard before the one behind its gap, or soon after, as far as both times tell."""
    if is_unknown(time_us) != is_unknown(heard_us):
        return False
    is_comparable = not is_unknown(time_us) or slot_of(time_us) == slot_of(heard_us)
    return is_comparable and time_us <= heard_us + DOUBT_US
