"""The table `undecoded`: payloads that wait for a better decoder, or for the right AppSKey.

A device without MIC can be imitated, and a wrong decoder makes one of every uplink. They have a bound of their own,
which all devices share evenly, and go before any reading does.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from msgspec import Struct

from lora_post.model import Device, Frame, RxInfo
from lora_post.spool.spool_file import SpoolFile
from lora_post.times import StampUs
from lora_post.uplink.model import Report, Uplink
from lora_post.uplink.unlock import is_sent_by, opened_by

KEEP_OF_DEVICE: Final = 2_000
"""An uplink every 10 min for two weeks."""
KEEP_BYTES: Final = 2 << 20
PRUNE_EVERY: Final = 64
MAX_PROBLEM: Final = 300
"""Characters of a reason that are kept."""

_ROW_BYTES: Final = 32  # what a row takes besides its texts and its payload
_COLUMNS: Final = ("payload", "phy_payload", "problem", "device", "decoder")
_SIZE: Final = " + ".join([f"length({name})" for name in _COLUMNS] + [str(_ROW_BYTES)])


class Undecoded(Struct, frozen=True, array_like=True):
    """A payload that its decoder could not read.

    decoder, payload: the one that it was tried with, and what was clear then. phy_payload: the frame; b"" where no
    MIC proves that the device has sent it.
    """

    id: int
    device: str
    decoder: str
    time_us: StampUs
    fcnt: int
    fport: int | None
    payload: bytes
    problem: str
    phy_payload: bytes

    def uplink(self, device: Device, gateway: str) -> Uplink:
        """Return the uplink as the device's keys of today open it, or as it was clear then where they do not."""
        frame = Frame(gateway, self.time_us, self.phy_payload, RxInfo(), device.link)
        opened = opened_by(device, frame, self.fcnt) if self.phy_payload else None
        return opened or Uplink(frame, device, self.fcnt, self.fport, self.payload, True)

    def is_from(self, device: Device) -> bool:
        """Tell whether the device may have sent it: the one that has its id now may have taken the place of another."""
        frame = Frame("", self.time_us, self.phy_payload, RxInfo(), device.link)
        return is_sent_by(device, frame, self.fcnt) is not False


def load(spool_file: SpoolFile, device: str | None = None) -> list[Undecoded]:
    """Return the payloads, oldest first. device: only of this one."""
    rows = spool_file.rows(
        "SELECT id, device, decoder, time_us, fcnt, fport, payload, problem, phy_payload FROM undecoded"
        " WHERE ?1 IS NULL OR device = ?1 ORDER BY id",
        (device,),
    )
    return [Undecoded(*row) for row in rows]


def count(spool_file: SpoolFile) -> int:
    """Return how many payloads wait."""
    return int(spool_file.rows("SELECT count(*) FROM undecoded")[0][0])


def put(db: sqlite3.Connection, report: Report, keep_bytes: int) -> None:
    """Keep the payload of an uplink that could not be decoded; now and then, what exceeds the bounds is deleted."""
    uplink = report.uplink
    row = db.execute(
        "INSERT INTO undecoded (device, decoder, time_us, fcnt, fport, payload, problem, phy_payload)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
        (
            uplink.device.id,
            uplink.device.decoder_for(uplink.fport),
            uplink.frame.time_us,
            uplink.fcnt,
            uplink.fport,
            uplink.payload,
            (report.problem or "")[:MAX_PROBLEM],
            uplink.frame.phy_payload if uplink.authentic else b"",
        ),
    ).fetchone()
    if row[0] % PRUNE_EVERY == 0:
        trim(db, min(keep_bytes, KEEP_BYTES))


def used_bytes(db: sqlite3.Connection) -> int:
    """Return about how many bytes the payloads take in the file."""
    return int(db.execute(f"SELECT coalesce(sum({_SIZE}), 0) FROM undecoded").fetchone()[0])  # noqa: S608 - names of our own


def trim(db: sqlite3.Connection, keep_bytes: int) -> None:
    """Keep the newest payloads of each device, as many of one as of the others, within so many bytes."""
    db.execute(
        "DELETE FROM undecoded WHERE id IN (SELECT id FROM"  # noqa: S608 - names of our own
        " (SELECT id, place, sum(size) OVER (ORDER BY place, id DESC ROWS UNBOUNDED PRECEDING) AS total FROM"
        f" (SELECT id, {_SIZE} AS size, row_number() OVER (PARTITION BY device ORDER BY id DESC) AS place"
        " FROM undecoded)) WHERE place > ? OR total > ?)",
        (KEEP_OF_DEVICE, keep_bytes),
    )


def add(db: sqlite3.Connection, row: Undecoded) -> int:
    """Keep a payload of another file; returns 0 when it is here already, else 1."""
    return db.execute(
        "INSERT INTO undecoded (device, decoder, time_us, fcnt, fport, payload, problem, phy_payload)"
        " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8 WHERE NOT EXISTS"
        " (SELECT 1 FROM undecoded WHERE device = ?1 AND time_us = ?3 AND payload = ?6)",
        (row.device, row.decoder, row.time_us, row.fcnt, row.fport, row.payload, row.problem, row.phy_payload),
    ).rowcount


def remove(db: sqlite3.Connection, id_: int) -> bool:
    """Delete a payload that was decoded; False when another process has done so."""
    return db.execute("DELETE FROM undecoded WHERE id = ?", (id_,)).rowcount > 0


def drop(db: sqlite3.Connection, device: str | None) -> int:
    """Delete the payloads; returns how many. device: only of this one."""
    return db.execute("DELETE FROM undecoded WHERE ?1 IS NULL OR device = ?1", (device,)).rowcount


def note(db: sqlite3.Connection, id_: int, report: Report) -> None:
    """Note with what a payload was tried again, and why it still cannot be decoded."""
    uplink = report.uplink
    db.execute(
        "UPDATE undecoded SET decoder = ?, payload = ?, problem = ? WHERE id = ?",
        (uplink.device.decoder_for(uplink.fport), uplink.payload, (report.problem or "")[:MAX_PROBLEM], id_),
    )


def move(db: sqlite3.Connection, device: str, new_device: str) -> None:
    """Give all payloads of a device to another id."""
    db.execute("UPDATE undecoded SET device = ? WHERE device = ?", (new_device, device))


def shift(db: sqlite3.Connection, first_us: StampUs, last_us: StampUs, by_us: int) -> None:
    """Move the times within a range."""
    db.execute("UPDATE undecoded SET time_us = time_us + ? WHERE time_us BETWEEN ? AND ?", (by_us, first_us, last_us))
