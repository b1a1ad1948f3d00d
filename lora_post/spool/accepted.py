"""The table `accepted`: uplinks whose counters are kept, and whose payloads are still to be decoded.

They are here for as long as decoding takes; what a power cut or a kill leaves is decoded by the next start.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from lora_post.model import Device, Frame
from lora_post.times import StampUs
from lora_post.uplink.model import Uplink
from lora_post.uplink.unlock import is_sent_by

_encode: Final = msgspec.msgpack.Encoder().encode
_decode_frame: Final = msgspec.msgpack.Decoder(Frame).decode
_checked_numbers: Final = partial(msgspec.convert, type=tuple[int, int, int | None])


def last_id(db: sqlite3.Connection) -> int:
    """Return the number of the newest one, 0 for none."""
    return int(db.execute("SELECT coalesce(max(id), 0) FROM accepted").fetchone()[0])


def put(db: sqlite3.Connection, rows: Iterable[tuple[int, Uplink]]) -> None:
    """Keep uplinks under their numbers."""
    db.executemany(
        "INSERT INTO accepted VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                id_,
                uplink.device.id,
                uplink.frame.time_us,
                uplink.fcnt,
                uplink.fport,
                uplink.payload,
                uplink.authentic,
                _encode(uplink.frame),
            )
            for id_, uplink in rows
        ],
    )


class LeftOver(Struct, frozen=True):
    """What an earlier run has accepted and not decoded.

    uplinks: with their numbers, oldest first. strange: how many there are of devices that are not in the configuration.
    damaged: the numbers of those that cannot be read.
    """

    uplinks: list[tuple[int, Uplink]]
    strange: Counter[str]
    damaged: list[int]


def load(db: sqlite3.Connection, devices: Mapping[str, Device]) -> LeftOver:
    """Return what there is."""
    left = LeftOver([], Counter(), [])
    for id_, device, time_us, fcnt, fport, payload, authentic, frame in db.execute(
        "SELECT * FROM accepted ORDER BY id"
    ):
        try:
            numbers = _checked_numbers((time_us, fcnt, fport))
            heard = replace(_decode_frame(frame), time_us=StampUs(numbers[0]))
            data = bytes(memoryview(payload))
        except (msgspec.DecodeError, UnicodeDecodeError, TypeError, ValueError):
            left.damaged.append(id_)
            continue
        if of := _sender(devices, device, heard, numbers[1]):
            left.uplinks.append((id_, Uplink(heard, of, numbers[1], numbers[2], data, bool(authentic))))
        else:
            left.strange[device] += 1
    return left


def _sender(devices: Mapping[str, Device], id_: str, frame: Frame, fcnt: int) -> Device | None:
    """Return the device that has sent a frame, by whatever id it has now: its readings are not queued yet."""
    known = devices.get(id_)
    if known is not None and is_sent_by(known, frame, fcnt) is not False:
        return known
    return next((each for each in devices.values() if is_sent_by(each, frame, fcnt)), None)


def times(db: sqlite3.Connection, ids: Collection[int]) -> dict[int, StampUs]:
    """Return the times that uplinks have by now; without those that are not here."""
    query = f"SELECT id, time_us FROM accepted WHERE id IN ({','.join('?' * len(ids))})"  # noqa: S608 - question marks
    return dict(db.execute(query, list(ids)))


def remove(db: sqlite3.Connection, ids: Sequence[int]) -> None:
    """Delete uplinks that are decoded."""
    db.executemany("DELETE FROM accepted WHERE id = ?", [(id_,) for id_ in ids])


def shift(db: sqlite3.Connection, first_us: StampUs, last_us: StampUs, by_us: int) -> None:
    """Move the times within a range."""
    db.execute("UPDATE accepted SET time_us = time_us + ? WHERE time_us BETWEEN ? AND ?", (by_us, first_us, last_us))
