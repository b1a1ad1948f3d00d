"""The table `boot`: readings taken before the time was known get it later.

Their rows carry a time on the scale of unknown times (`clocks.scale`). Once the time of their boot is known, they move
to their true times. A boot that ended before that is placed as late as it can have been: it ended when the next one
began. That is an estimate, and is counted as one, with how much earlier it may have been: it began after the last
moment that is known.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence

from msgspec import Struct

from lora_post.clocks.gateway import GatewayClock
from lora_post.clocks.scale import BOOT_SLOTS, boot_zero, slot_range, utc_text
from lora_post.spool import accepted, frames, heard, joins, lanes, strangers, thinning, trends, undecoded
from lora_post.spool.spool_file import SpoolFile
from lora_post.text import plural
from lora_post.times import BootUs, WallUs

log = logging.getLogger(__name__)

NOTE_EVERY_US = 600_000_000
KEEP_BOOTS = 200


class Boot(Struct, frozen=True):
    """A boot. seen_us: when something was last kept. offset_us: UTC at boot, None: not known."""

    number: int
    seen_us: BootUs
    offset_us: WallUs | None


class Estimate(Struct, frozen=True):
    """Readings with estimated times.

    until_us: the latest. early_us: how much earlier they may be, None where that is not known.
    """

    readings: int
    until_us: WallUs
    early_us: int | None


class BootBook:
    """Keeps the times in the spool in step with the clock; called inside transactions."""

    def __init__(self, clock: GatewayClock) -> None:
        self._clock = clock
        self._noted_us = BootUs(-NOTE_EVERY_US)

    def enter(self, db: sqlite3.Connection) -> None:
        """Find or add this boot, and give their time to readings that were left without it."""
        self.follow(db)
        _give_left_behind(db)
        if self._clock.offset_us is not None:
            thinning.not_after(db, self._clock.wall_us())

    def follow(self, db: sqlite3.Connection) -> bool:
        """Give readings their time once it is known, here or in another process of this boot.

        Returns whether times in the spool have changed.
        """
        this = self._this(db)
        if self._clock.offset_us is None and this.offset_us is not None:
            self._clock.adopt(this.offset_us)
        offset_us = self._clock.offset_us
        if offset_us is None or offset_us == this.offset_us:
            return False
        db.execute("UPDATE boot SET offset_us = ? WHERE number = ?", (offset_us, this.number))
        if this.offset_us is not None:
            return thinning.not_after(db, self._clock.wall_us()) > 0
        moved = give_times(db, this.number, offset_us)
        if moved:
            log.info("set the time of %s, which was not known when they came", plural(moved, "reading"))
        _estimate_earlier(db, this.number, offset_us)
        thinning.not_after(db, self._clock.wall_us())
        db.execute("DELETE FROM boot WHERE number <= ?", (this.number - KEEP_BOOTS,))
        return True

    def note(self, db: sqlite3.Connection) -> None:
        """Remember that this boot lasts: always while the time is not known, else every 10 min."""
        boot_us = self._clock.boot_us()
        if self._clock.offset_us is None or boot_us - self._noted_us >= NOTE_EVERY_US:
            self._noted_us = boot_us
            db.execute("UPDATE boot SET seen_us = max(seen_us, ?) WHERE id = ?", (boot_us, self._clock.boot_id))

    def _this(self, db: sqlite3.Connection) -> Boot:
        """Return this boot's row; make it when it is missing, as after a damaged file was replaced."""
        query = "SELECT number, seen_us, offset_us FROM boot WHERE id = ?"
        row = db.execute(query, (self._clock.boot_id,)).fetchone()
        if row is None:
            db.execute(
                "INSERT INTO boot (id, number, seen_us) SELECT ?, coalesce(max(number), 0) + 1, ? FROM boot",
                (self._clock.boot_id, self._clock.boot_us()),
            )
            row = db.execute(query, (self._clock.boot_id,)).fetchone()
        this = Boot(*row)
        self._clock.take_slot(this.number % BOOT_SLOTS)
        return this


def _give_left_behind(db: sqlite3.Connection) -> None:
    """Give their time to readings that were salvaged after the time of their boot was known."""
    for slot in lanes.unknown_slots(db):
        query = "SELECT number, offset_us FROM boot WHERE offset_us IS NOT NULL AND number % ? = ?"
        for number, offset_us in db.execute(query, (BOOT_SLOTS, slot)).fetchall():
            give_times(db, number, offset_us)


def _estimate_earlier(db: sqlite3.Connection, number: int, began_us: WallUs) -> None:
    """Place boots that never learned the time, one behind the other, the last one ending here."""
    rows = db.execute("SELECT number, seen_us, offset_us FROM boot WHERE number < ? ORDER BY number DESC", (number,))
    unknown: list[Boot] = []
    known_until_us = None
    for boot in (Boot(*row) for row in rows.fetchall()):
        if boot.offset_us is not None:
            known_until_us = boot.offset_us + boot.seen_us
            break
        unknown.append(boot)
    lasted_us = sum(boot.seen_us for boot in unknown)
    # Between the last known moment and this boot, the others leave so much room for all of them to move.
    early_us = None if known_until_us is None else max(0, began_us - lasted_us - known_until_us)
    for boot in unknown:
        until_us = began_us
        began_us = WallUs(began_us - boot.seen_us)
        moved = give_times(db, boot.number, began_us)
        db.execute(
            "UPDATE boot SET offset_us = ?, estimated = ?, early_us = ? WHERE number = ?",
            (began_us, moved, early_us, boot.number),
        )
        if moved:
            log.warning("%s", estimate_text(Estimate(moved, until_us, early_us)))


def give_times(db: sqlite3.Connection, number: int, offset_us: WallUs) -> int:
    """Move everything that was kept in a boot to its true times; returns how many readings."""
    slot = number % BOOT_SLOTS
    first_us, last_us = slot_range(slot)
    by_us = offset_us - boot_zero(slot)
    moved = lanes.shift(db, first_us, last_us, by_us)
    for table in (accepted, undecoded, heard, thinning, joins, strangers, trends, frames):
        table.shift(db, first_us, last_us, by_us)
    return moved


def known_boots(db: sqlite3.Connection) -> dict[str, tuple[int, int | None]]:
    """Return number and offset of each boot, by its id."""
    rows = db.execute("SELECT id, number, offset_us FROM boot")
    return {boot: (number, offset_us) for boot, number, offset_us in rows}


def estimates(spool_file: SpoolFile) -> list[Estimate]:
    """Return the estimates of all boots that have one, oldest first."""
    rows: Sequence[tuple[int, WallUs, int | None]] = spool_file.rows(
        "SELECT estimated, offset_us + seen_us, early_us FROM boot WHERE estimated > 0 ORDER BY number"
    )
    return [Estimate(*row) for row in rows]


def estimate_text(estimate: Estimate) -> str:
    """Return an estimate as a line for a person."""
    early = "older by an unknown time"
    if estimate.early_us is not None:
        early = f"up to {max(1, round(estimate.early_us / 60_000_000))} min older"
    return (
        f"{plural(estimate.readings, 'reading')} up to {utc_text(estimate.until_us)[:19]}Z with estimated times: the "
        f"gateway restarted before it learned the time; they may be {early}"
    )
