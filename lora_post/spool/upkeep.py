"""What a person does with the spool: look, release, drop, move, decode again."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from msgspec import Struct

from lora_post.errors import SpoolError
from lora_post.model import Device, Report
from lora_post.spool.queue import QueueWriter, insert_rows
from lora_post.spool.spool_file import SpoolFile, forget_sessions, load_joins
from lora_post.uplink.join_state import JoinState
from lora_post.uplink.joins import joined_device
from lora_post.uplink.sessions import join_key, session_key


def held_by_sink(store: SpoolFile) -> dict[str, int]:
    """How many readings are held for each sink that some are held for."""
    rows = store.rows(
        "SELECT sink, (SELECT count(*) FROM reading JOIN lane ON lane.id = lane WHERE sink = known.sink)"
        " + (SELECT count(*) FROM refused JOIN lane ON lane.id = lane WHERE sink = known.sink)"
        " FROM (SELECT DISTINCT sink FROM lane) AS known"
    )
    return {sink: held for sink, held in rows if held}


def drop_sink(store: SpoolFile, sink: str) -> int:
    """Forget a sink that nothing is sent to any more, and all that it still had to get; returns how many readings."""
    lanes = "(SELECT id FROM lane WHERE sink = ?)"
    with store.transaction() as db:
        dropped = db.execute(f"DELETE FROM reading WHERE lane IN {lanes}", (sink,)).rowcount  # noqa: S608 - our own text
        dropped += db.execute(f"DELETE FROM refused WHERE lane IN {lanes}", (sink,)).rowcount  # noqa: S608
        db.execute("DELETE FROM lane WHERE sink = ?", (sink,))
    return dropped


class SensorState(Struct, frozen=True):
    """One sensor in the spool: how many readings are to be sent or held back, how many the server refused.

    oldest_us: of the oldest of them, None when there is none. sink: where it goes.
    """

    device: str
    name: str
    is_parked: bool
    waiting: int
    refused: int
    oldest_us: int | None
    sink: str


def sensor_states(store: SpoolFile) -> list[SensorState]:
    """Every sensor that something was ever queued for, by device and name."""
    rows = store.rows(
        "SELECT device, name, parked IS NOT NULL, (SELECT count(*) FROM reading WHERE lane = lane.id),"
        " (SELECT count(*) FROM refused WHERE lane = lane.id),"
        " (SELECT min(time_us) FROM (SELECT min(time_us) AS time_us FROM reading WHERE lane = lane.id"
        " UNION ALL SELECT min(time_us) FROM refused WHERE lane = lane.id))"
        ", sink FROM lane ORDER BY device, name, sink"
    )
    return [
        SensorState(device, name, bool(is_parked), waiting, refused, oldest, sink)
        for device, name, is_parked, waiting, refused, oldest, sink in rows
    ]


class Parked(Struct, frozen=True):
    """A sensor that is held back, or readings of it that were refused one by one.

    since_us: when it was parked, or the time of the oldest refused reading. refused: that reading's JSON value.
    """

    device: str
    name: str
    reason: str
    readings: int
    since_us: int
    sink: str
    refused: bytes | None = None


def parked(store: SpoolFile) -> list[Parked]:
    """Everything that needs a person: parked lanes and refused readings, by device and sensor."""
    rows = store.rows(
        "SELECT device, name, parked, (SELECT count(*) FROM reading WHERE lane = lane.id), parked_us, sink, NULL"
        " FROM lane WHERE parked IS NOT NULL"
        " UNION ALL SELECT device, name, reason, count(*), min(time_us), sink, value"
        " FROM refused JOIN lane ON lane.id = refused.lane GROUP BY lane.id, reason ORDER BY 1, 2, 6"
    )
    return [Parked(*row) for row in rows]


def release(store: SpoolFile, device: str | None, name: str | None) -> int:
    """Let parked lanes and refused readings go out again; returns how many readings that are.

    device, name: only these; None means all.
    """
    with store.transaction() as db:
        lanes = _matching_lanes(db, device, name)
        released = 0
        for lane in lanes:
            rows = db.execute("SELECT lane, time_us, value FROM refused WHERE lane = ?", (lane,)).fetchall()
            insert_rows(db, rows)
            db.execute("DELETE FROM refused WHERE lane = ?", (lane,))
            released += len(rows)
            (held,) = db.execute(
                "SELECT count(*) FROM reading JOIN lane ON lane.id = lane WHERE lane = ? AND parked IS NOT NULL",
                (lane,),
            ).fetchone()
            released += held
            db.execute("UPDATE lane SET parked = NULL, parked_us = NULL WHERE id = ?", (lane,))
    return released


def drop(store: SpoolFile, device: str | None, name: str | None) -> int:
    """Delete what is parked or refused; returns the number of readings. A parked sensor stays parked."""
    dropped = 0
    with store.transaction() as db:
        for lane in _matching_lanes(db, device, name):
            (is_parked,) = db.execute("SELECT parked IS NOT NULL FROM lane WHERE id = ?", (lane,)).fetchone()
            dropped += db.execute("DELETE FROM refused WHERE lane = ?", (lane,)).rowcount
            if is_parked:
                dropped += db.execute("DELETE FROM reading WHERE lane = ?", (lane,)).rowcount
    return dropped


def _matching_lanes(db: sqlite3.Connection, device: str | None, name: str | None) -> list[int]:
    rows = db.execute(
        "SELECT id FROM lane WHERE (?1 IS NULL OR device = ?1) AND (?2 IS NULL OR name = ?2)", (device, name)
    ).fetchall()
    if not rows and device is not None:
        raise SpoolError(f"the spool knows no sensor {device}{'/' + name if name else ''}")
    return [row[0] for row in rows]


class Undecoded(Struct, frozen=True):
    """A payload that its decoder could not read. decoder: the one that it was tried with."""

    id: int
    device: str
    decoder: str
    time_us: int
    fcnt: int
    fport: int | None
    payload: bytes
    problem: str


def undecoded(store: SpoolFile, device: str | None = None) -> list[Undecoded]:
    """The payloads that wait for a better decoder, oldest first. device: only of this one."""
    rows = store.rows(
        "SELECT id, device, decoder, time_us, fcnt, fport, payload, problem FROM undecoded"
        " WHERE ?1 IS NULL OR device = ?1 ORDER BY id",
        (device,),
    )
    return [Undecoded(*row) for row in rows]


def decode_again(
    store: SpoolFile, writer: QueueWriter, decode: Callable[[Undecoded], Report], device: str | None = None
) -> list[Report]:
    """Try the undecoded payloads once more, all in one transaction; returns their reports.

    Readings of those that can be read now are queued with their original time; the others stay,
    with the new reason. device: only payloads of this one.
    """
    reports = []
    with store.transaction() as db:
        for row in undecoded(store, device):
            report = decode(row)
            if report.problem is None:
                writer.put(db, [report])
                db.execute("DELETE FROM undecoded WHERE id = ?", (row.id,))
            else:
                db.execute("UPDATE undecoded SET problem = ? WHERE id = ?", (report.problem, row.id))
            reports.append(report)
        writer.make_room(db)
    return reports


def reset_counter(store: SpoolFile, device: Device) -> bool:
    """Forget the frame counters of a device's sessions; False when there was none.

    A `run` that is going on reads them again before its next frame.
    """
    with store.transaction() as db:
        state = load_joins(db).get(join_key(device), JoinState())
        sessions = [joined_device(device, session) for session in state.sessions]
        if device.address is not None:
            sessions.append(device)
        return forget_sessions(db, [session_key(each) for each in sessions]) > 0


def move(store: SpoolFile, device: str, new_device: str) -> int:
    """Give everything that is held of a device to another id, and let it go out; returns the number of readings.

    The one way in which an accepted reading changes its address: a person asks for it, because the id was wrong.
    """
    moved = 0
    with store.transaction() as db:
        for lane in _matching_lanes(db, device, None):
            db.execute(
                "INSERT OR IGNORE INTO lane (sink, device, name, unit, quantity, channel)"
                " SELECT sink, ?, name, unit, quantity, channel FROM lane WHERE id = ?",
                (new_device, lane),
            )
            (target,) = db.execute(
                "SELECT new.id FROM lane AS new JOIN lane AS old USING (sink, name)"
                " WHERE old.id = ? AND new.device = ?",
                (lane, new_device),
            ).fetchone()
            for table in ("reading", "refused"):
                rows = db.execute(f"SELECT ?, time_us, value FROM {table} WHERE lane = ?", (target, lane)).fetchall()  # noqa: S608
                db.execute(f"DELETE FROM {table} WHERE lane = ?", (lane,))  # noqa: S608 - two names of our own
                insert_rows(db, rows)
                moved += len(rows)
            db.execute("UPDATE lane SET parked = NULL, parked_us = NULL WHERE id = ?", (lane,))
        db.execute("UPDATE undecoded SET device = ? WHERE device = ?", (new_device, device))
    return moved
