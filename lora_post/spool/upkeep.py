"""Do what a person asks of the spool: release, drop, move, decode again."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Final

from lora_post.errors import SpoolError
from lora_post.model import Device
from lora_post.spool import lanes, undecoded
from lora_post.spool.gaps import forget_gaps
from lora_post.spool.joins import load_joins, save_joins
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.sessions import forget_sessions, raise_sessions
from lora_post.spool.spool_file import SpoolFile
from lora_post.spool.undecoded import Undecoded
from lora_post.uplink.join_state import JoinState
from lora_post.uplink.joins import joined_device, without_nonces
from lora_post.uplink.model import Report
from lora_post.uplink.sessions import downlink_keys, join_key, session_key

DECODED_AT_ONCE: Final = 100
"""Payloads in one transaction, for which a running lora-post waits."""


def held_by_sink(spool_file: SpoolFile) -> dict[str, int]:
    """Return the number of readings that are held, by sink; sinks without any are left out."""
    held: Counter[str] = Counter()
    for sensor in lanes.sensor_states(spool_file):
        held[sensor.sink] += sensor.waiting + sensor.refused
    return {sink: count for sink, count in held.items() if count}


def drop_sink(spool_file: SpoolFile, sink: str) -> int:
    """Forget a sink and delete the readings that it still had to get; returns how many."""
    with spool_file.transaction() as db:
        return lanes.drop_sink(db, sink)


def release(spool_file: SpoolFile, device: str | None, name: str | None) -> int:
    """Let parked lanes and refused readings go out again; returns how many readings that are.

    device, name: only these; None means all.
    """
    with spool_file.transaction() as db:
        return sum(lanes.release(db, lane) for lane in _matching(db, device, name))


def drop(spool_file: SpoolFile, device: str | None, name: str | None) -> int:
    """Delete parked and refused readings; returns how many. A parked sensor stays parked."""
    with spool_file.transaction() as db:
        return sum(lanes.drop_held(db, lane) for lane in _matching(db, device, name))


def move(spool_file: SpoolFile, device: str, new_device: str) -> int:
    """Give everything that is held of a device to another id; returns how many readings.

    It goes out under the new id. Only here does an accepted reading change its address: a person asks for it,
    because the id was wrong.
    """
    with spool_file.transaction() as db:
        undecoded.move(db, device, new_device)
        return sum(lanes.move(db, lane, new_device) for lane in _matching(db, device, None))


def _matching(db: sqlite3.Connection, device: str | None, name: str | None) -> list[int]:
    found = lanes.matching(db, device, name)
    if not found and device is not None:
        raise SpoolError(f"sensor {device}{'/' + name if name else ''} is not in the spool")
    return found


def drop_undecoded(spool_file: SpoolFile, device: str | None) -> int:
    """Delete undecoded payloads; returns how many. device: only of this one."""
    with spool_file.transaction() as db:
        return undecoded.drop(db, device)


def decode_again(
    spool_file: SpoolFile, writer: QueueWriter, rows: Iterable[Undecoded], decode: Callable[[Undecoded], Report]
) -> list[Report]:
    """Try undecoded payloads once more, a few in one transaction; returns their reports.

    Readings of those that can be read now are queued with their original time; the others stay,
    with the new reason.
    """
    reports = []
    waiting = iter(rows)
    while some := list(islice(waiting, DECODED_AT_ONCE)):
        with spool_file.transaction() as db:
            for payload in some:
                report = decode(payload)
                if report.problem is not None:
                    undecoded.note(db, payload.id, report)
                elif undecoded.remove(db, payload.id):
                    writer.put(db, [report])
                else:  # another process has just done it
                    continue
                reports.append(report)
            writer.make_room(db)
    return reports


def reset_nonces(spool_file: SpoolFile, device: Device) -> bool:
    """Forget the DevNonces of a device's joins; False when it has none. Its sessions and its JoinNonce go on.

    A `run` that is going on reads them again before its next frame.
    """
    with spool_file.transaction() as db:
        state = load_joins(db).get(join_key(device), JoinState())
        if not state.dev_nonces:
            return False
        save_joins(db, {join_key(device): without_nonces(state)})
    return True


def raise_down_counters(spool_file: SpoolFile, device: Device, fcnt: int) -> bool:
    """Raise the counters of downlinks in a device's sessions to a number; False without a session.

    A `run` that is going on reads them again before its next frame.
    """
    with spool_file.transaction() as db:
        keys = [session_key(each) for each in _sessions_of(db, device)]
        raise_sessions(db, [(down, fcnt) for key in keys for down in downlink_keys(key)])
        return bool(keys)


def _sessions_of(db: sqlite3.Connection, device: Device) -> list[Device]:
    """Return a device as it is in each of its sessions."""
    state = load_joins(db).get(join_key(device), JoinState())
    sessions = [joined_device(device, session) for session in state.sessions]
    return [*sessions, device] if device.address is not None else sessions


def reset_counter(spool_file: SpoolFile, device: Device) -> bool:
    """Forget the frame counters of a device's sessions; False when it has none.

    A `run` that is going on reads them again before its next frame.
    """
    with spool_file.transaction() as db:
        keys = [session_key(each) for each in _sessions_of(db, device)]
        forget_gaps(db, keys)
        return forget_sessions(db, keys) > 0
