"""The table `downlink`: commands for devices, and what became of them.

`lora-post downlink` writes it while `run` reads it. Those that are not over have an index of their own, so that to
look for them costs one page.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from lora_post.command import Command, Fate, Moment
from lora_post.errors import SpoolError
from lora_post.spool.facts import note_change
from lora_post.spool.spool_file import SpoolFile

log = logging.getLogger(__name__)

MAX_WAITING: Final = 64
"""Of one device."""
KEEP_OVER: Final = 1000
"""Commands that are over, of all devices; the oldest go."""

_WAITING: Final = "SELECT id, command FROM downlink WHERE NOT is_over ORDER BY id"
_decode: Final = msgspec.json.Decoder(Command).decode


def add(db: sqlite3.Connection, command: Command, now: Moment) -> Command:
    """Queue a command and return it with its id; an unsent one for the same actuator is replaced.

    Raises SpoolError when too many wait for its device.
    """
    waiting = [each for each in load_waiting(db) if each.device == command.device]
    (last,) = db.execute("SELECT coalesce(max(id), 0) FROM downlink").fetchone()
    command = replace(command, id=last + 1)
    newer = command.actuator if not command.is_over else ""  # one that is refused takes no place
    # What a network server was given has no seal, and cannot be taken back.
    replaced = [each for each in waiting if newer and each.actuator == newer and not (each.sealed or each.tries)]
    if len(waiting) - len(replaced) >= MAX_WAITING:
        raise SpoolError(
            f"{len(waiting)} commands wait for {command.device} already",
            fix="see `lora-post downlink list`, and cancel what is not wanted any more",
        )
    change(db, [*(each.ended(now, Fate.CANCELLED, f"replaced by command {command.id}") for each in replaced), command])
    db.execute(
        "DELETE FROM downlink WHERE is_over AND id <= (SELECT id FROM downlink WHERE is_over"
        " ORDER BY id DESC LIMIT 1 OFFSET ?)",
        (KEEP_OVER,),
    )
    return command


def change(db: sqlite3.Connection, commands: Iterable[Command]) -> None:
    """Store what another process is to know: the `run` that is going on reads them again before its next frame."""
    save(db, commands)
    note_change(db, "downlinks")


def save(db: sqlite3.Connection, commands: Iterable[Command]) -> None:
    """Store commands, in the transaction of the counters that they use."""
    db.executemany(
        "INSERT OR REPLACE INTO downlink (id, device, is_over, command) VALUES (?, ?, ?, ?)",
        [(each.id, each.device, each.is_over, msgspec.json.encode(each)) for each in commands],
    )


def load_waiting(db: sqlite3.Connection) -> list[Command]:
    """Return the commands that are not over, in their order; called inside a transaction."""
    return _commands(db.execute(_WAITING))


def look_for_waiting(spool_file: SpoolFile) -> list[Command]:
    """Return what `load_waiting` does. Raises SpoolError."""
    return _commands(spool_file.rows(_WAITING))


def load(spool_file: SpoolFile, device: str | None = None, limit: int = -1) -> list[Command]:
    """Return the last commands of a device, or of all, the newest last. limit: how many; below 0: all.

    Raises SpoolError.
    """
    where, values = ("", ()) if device is None else ("WHERE device = ?", (device,))
    rows = spool_file.rows(
        f"SELECT id, command FROM downlink {where} ORDER BY id DESC LIMIT ?",  # noqa: S608 - words of our own
        (*values, limit),
    )
    return _commands(reversed(rows))


def find(spool_file: SpoolFile, number: int) -> Command | None:
    """Return one command. Raises SpoolError."""
    return next(iter(_commands(spool_file.rows("SELECT id, command FROM downlink WHERE id = ?", (number,)))), None)


def _commands(rows: Iterable[Sequence[object]]) -> list[Command]:
    found = []
    for number, text in rows:
        try:
            found.append(_decode(text))  # type: ignore[arg-type]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError) as error:
            log.warning("command %s cannot be read and is left out: %s", number, error)
    return found
