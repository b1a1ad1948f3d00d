"""The table `joined`: what was heard of joins, session keys included, as JSON."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
from msgspec.structs import replace

from lora_post.lorawan.session_keys import KEY_SIZE
from lora_post.spool.facts import note_change
from lora_post.times import StampUs
from lora_post.uplink.join_state import JoinState
from lora_post.uplink.joins import NONCE_BYTES

log = logging.getLogger(__name__)

_KEY_SIZES: Final = ([KEY_SIZE] * 2, [KEY_SIZE] * 4)


def load_joins(db: sqlite3.Connection) -> dict[str, JoinState]:
    """Return what was heard of all joins, join_key -> state; called inside a transaction.

    A state of another form is left out. One that is damaged is deleted, with a line in the log.
    """
    found = {}
    for key, device, text in db.execute("SELECT CAST(device AS BLOB), device, state FROM joined").fetchall():
        try:
            state = msgspec.json.decode(text, type=JoinState)
        except msgspec.ValidationError:
            continue
        except (msgspec.DecodeError, TypeError) as error:
            name = str(device).partition(":")[0]
            log.error("%s must join again: what was heard of its joins is damaged and dropped: %s", name, error)
            db.execute("DELETE FROM joined WHERE CAST(device AS BLOB) = ?", (key,))
            continue
        if all(list(map(len, session.keys)) in _KEY_SIZES for session in state.sessions) and len(
            state.older_nonces
        ) in (0, NONCE_BYTES):
            found[device] = state
    return found


def save_joins(db: sqlite3.Connection, joins: Mapping[str, JoinState]) -> None:
    """Store joins, in the transaction of the readings that they belong to."""
    rows = [(device, msgspec.json.encode(state)) for device, state in joins.items()]
    db.executemany("INSERT OR REPLACE INTO joined VALUES (?, ?)", rows)
    if rows:
        note_change(db, "joins")


def add_joins(db: sqlite3.Connection, rows: Iterable[tuple[object, ...]]) -> None:
    """Store joins of another file, (device, state); what was joined here is newer and stays."""
    db.executemany("INSERT OR IGNORE INTO joined VALUES (CAST(? AS TEXT), ?)", rows)
    note_change(db, "joins")


def shift(db: sqlite3.Connection, first_us: StampUs, last_us: StampUs, by_us: int) -> None:
    """Move the times of join-requests: the answer to one is still to be told as its answer."""
    asked = {key: state for key, state in load_joins(db).items() if first_us <= state.asked_us <= last_us}
    save_joins(db, {key: replace(state, asked_us=state.asked_us + by_us) for key, state in asked.items()})
