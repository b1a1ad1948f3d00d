"""The table `undecoded`: payloads that wait for a better decoder."""

from __future__ import annotations

import sqlite3
from typing import Final

from msgspec import Struct

from lora_post.spool.spool_file import SpoolFile
from lora_post.times import StampUs
from lora_post.uplink.model import Report

KEEP_UNDECODED: Final = 10_000
"""At 51 bytes a payload about 1 MB."""


class Undecoded(Struct, frozen=True, array_like=True):
    """A payload that its decoder could not read. decoder: the one that it was tried with."""

    id: int
    device: str
    decoder: str
    time_us: StampUs
    fcnt: int
    fport: int | None
    payload: bytes
    problem: str


def load(spool_file: SpoolFile, device: str | None = None) -> list[Undecoded]:
    """Return the payloads, oldest first. device: only of this one."""
    rows = spool_file.rows(
        "SELECT id, device, decoder, time_us, fcnt, fport, payload, problem FROM undecoded"
        " WHERE ?1 IS NULL OR device = ?1 ORDER BY id",
        (device,),
    )
    return [Undecoded(*row) for row in rows]


def count(spool_file: SpoolFile) -> int:
    """Return how many payloads wait."""
    return int(spool_file.rows("SELECT count(*) FROM undecoded")[0][0])


def put(db: sqlite3.Connection, report: Report) -> None:
    """Keep the payload of an uplink that could not be decoded; the oldest ones are deleted."""
    uplink = report.uplink
    row = db.execute(
        "INSERT INTO undecoded (device, decoder, time_us, fcnt, fport, payload, problem)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id",
        (
            uplink.device.id,
            uplink.device.decoder_for(uplink.fport),
            uplink.frame.time_us,
            uplink.fcnt,
            uplink.fport,
            uplink.payload,
            report.problem,
        ),
    ).fetchone()
    db.execute("DELETE FROM undecoded WHERE id <= ?", (row[0] - KEEP_UNDECODED,))


def add(db: sqlite3.Connection, row: Undecoded) -> int:
    """Keep a payload of another file; returns 0 when it is here already, else 1."""
    return db.execute(
        "INSERT INTO undecoded (device, decoder, time_us, fcnt, fport, payload, problem)"
        " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE NOT EXISTS"
        " (SELECT 1 FROM undecoded WHERE device = ?1 AND time_us = ?3 AND payload = ?6)",
        (row.device, row.decoder, row.time_us, row.fcnt, row.fport, row.payload, row.problem),
    ).rowcount


def remove(db: sqlite3.Connection, id_: int) -> None:
    """Delete a payload that was decoded."""
    db.execute("DELETE FROM undecoded WHERE id = ?", (id_,))


def set_problem(db: sqlite3.Connection, id_: int, problem: str) -> None:
    """Note why a payload still cannot be decoded."""
    db.execute("UPDATE undecoded SET problem = ? WHERE id = ?", (problem, id_))


def move(db: sqlite3.Connection, device: str, new_device: str) -> None:
    """Give all payloads of a device to another id."""
    db.execute("UPDATE undecoded SET device = ? WHERE device = ?", (new_device, device))


def shift(db: sqlite3.Connection, first_us: StampUs, last_us: StampUs, by_us: int) -> None:
    """Move the times within a range."""
    db.execute("UPDATE undecoded SET time_us = time_us + ? WHERE time_us BETWEEN ? AND ?", (by_us, first_us, last_us))
