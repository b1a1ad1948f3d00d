"""What the sandbox remembers: devices, their history, gateways, in one SQLite database.

A device is one row: its attribute map is one JSON document, as in Orion. A `State` belongs to one
thread at a time; the server calls it from its event loop only, so requests never interleave.

Source of the model: Waziup/wazicloud-api: src/Waziup/Devices.hs, SensorData.hs, Gateways.hs.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct, json

from lora_post.errors import SpoolError
from lora_post.sandbox.entities import Attribute, Attributes, Entity
from lora_post.sandbox.rules import Json

_APPLICATION_ID = 0x57415A49  # "WAZI"
_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE secret (token_key BLOB NOT NULL);
CREATE TABLE devices (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
    created_s INTEGER NOT NULL, modified_s INTEGER NOT NULL, attributes TEXT NOT NULL);
CREATE TABLE series (
    number INTEGER PRIMARY KEY, device TEXT NOT NULL, sensor TEXT NOT NULL,
    received INTEGER NOT NULL, UNIQUE (device, sensor));
CREATE TABLE history (
    number INTEGER PRIMARY KEY, series INTEGER NOT NULL, received_s INTEGER NOT NULL, time TEXT, value TEXT NOT NULL);
CREATE INDEX history_in_order ON history (series, received_s, number);
CREATE TABLE gateways (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, document TEXT NOT NULL);
"""


class Point(Struct, frozen=True):
    """One row of history to be written. value: JSON text; time: UTC text or None."""

    value: str
    time: str | None


class Row(Struct, frozen=True):
    """One row of history."""

    device: str
    sensor: str
    value: str
    time: str | None
    received_s: int


class Range(Struct, frozen=True):
    """Which rows of history are wanted. limit 0: all; from_s counts, to_s does not."""

    limit: int = 20
    offset: int = 0
    newest_first: bool = False
    from_s: int | None = None
    to_s: int | None = None


class State:
    """The database of one sandbox."""

    def __init__(self, file: Path | None = None) -> None:
        """file: None keeps everything in memory. Raises SpoolError when it is no sandbox file."""
        try:
            self._db = sqlite3.connect(file or ":memory:", check_same_thread=False, isolation_level=None)
        except sqlite3.Error as error:
            raise SpoolError(f"{file}: {error}") from error
        try:
            self._prepare(file)
        except BaseException:
            self._db.close()
            raise

    def _prepare(self, file: Path | None) -> None:
        try:
            application = self._number("PRAGMA application_id")
            version = self._number("PRAGMA user_version")
            is_new = self._number("SELECT count(*) FROM sqlite_schema") == 0
            if not is_new and application != _APPLICATION_ID:
                raise SpoolError(f"{file} is not a file of the sandbox")
            if not is_new and version != _SCHEMA_VERSION:
                raise SpoolError(f"{file} was written by another version of the sandbox (format {version})")
            # A commit survives the end of this process, which is all that a sandbox promises.
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            if is_new:
                self._create()
        except sqlite3.Error as error:
            raise SpoolError(f"{file}: {error}") from error

    def _create(self) -> None:
        with self._transaction():
            for statement in _SCHEMA.split(";"):
                self._db.execute(statement)
            self._db.execute("INSERT INTO secret VALUES (?)", (secrets.token_bytes(32),))
            self._db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            self._db.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")

    def close(self) -> None:
        """Give the file back."""
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _number(self, query: str, values: Sequence[Any] = ()) -> int:
        return int(self._db.execute(query, values).fetchone()[0])

    def token_key(self) -> bytes:
        """Return the key that tokens are signed with; made once for each database."""
        return bytes(self._db.execute("SELECT token_key FROM secret").fetchone()[0])

    def changes(self) -> int:
        """Return a number that differs whenever something was written since this process started."""
        return self._db.total_changes

    # Devices

    def device(self, device_id: str) -> Entity | None:
        """Return a device by id."""
        rows = self._db.execute("SELECT id, created_s, modified_s, attributes FROM devices WHERE id = ?", (device_id,))
        return next(map(_entity, rows), None)

    def devices(self) -> list[Entity]:
        """Return all devices in the order of their creation."""
        rows = self._db.execute("SELECT id, created_s, modified_s, attributes FROM devices ORDER BY number")
        return list(map(_entity, rows))

    def recent_devices(self, count: int) -> list[Entity]:
        """Return the devices that changed last, in the order of their creation."""
        rows = self._db.execute(
            "SELECT id, created_s, modified_s, attributes FROM "
            "(SELECT * FROM devices ORDER BY modified_s DESC, number DESC LIMIT ?) ORDER BY number",
            (count,),
        )
        return list(map(_entity, rows))

    def device_count(self) -> int:
        """Return how many devices there are."""
        return self._number("SELECT count(*) FROM devices")

    def add_device(self, device_id: str, attributes: Attributes, now_s: int) -> bool:
        """Store a new device; False when the id is taken, by whomever."""
        cursor = self._db.execute(
            "INSERT INTO devices (id, created_s, modified_s, attributes) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (device_id, now_s, now_s, _json_text(attributes)),
        )
        return cursor.rowcount == 1

    def set_attribute(self, entity: Entity, name: str, attribute: Attribute, now_s: int) -> None:
        """Add or replace one attribute of a stored device."""
        if entity.attributes.get(name) is not attribute:
            self._write(entity.id, entity.attributes | {name: attribute}, now_s)

    def drop_attribute(self, entity: Entity, name: str, now_s: int) -> None:
        """Take one attribute away, and the history of that name."""
        with self._transaction():
            self._write(entity.id, {key: item for key, item in entity.attributes.items() if key != name}, now_s)
            self._forget("device = ? AND sensor = ?", (entity.id, name))

    def drop_device(self, device_id: str) -> None:
        """Take a device away, and its history."""
        with self._transaction():
            self._db.execute("DELETE FROM devices WHERE id = ?", (device_id,))
            self._forget("device = ?", (device_id,))

    def _write(self, device_id: str, attributes: Attributes, now_s: int) -> None:
        self._db.execute(
            "UPDATE devices SET attributes = ?, modified_s = ? WHERE id = ?",
            (_json_text(attributes), now_s, device_id),
        )

    def _forget(self, condition: str, values: Sequence[str]) -> None:
        chosen = f"SELECT number FROM series WHERE {condition}"  # noqa: S608 - the condition is one of two literals
        self._db.execute(f"DELETE FROM history WHERE series IN ({chosen})", values)  # noqa: S608
        self._db.execute(f"DELETE FROM series WHERE {condition}", values)  # noqa: S608

    # History

    def add_values(
        self, entity: Entity, sensor: str, attribute: Attribute, points: Sequence[Point], now_s: int
    ) -> None:
        """Write the sensor as the last value left it, and all points, in one transaction."""
        with self._transaction():
            self.set_attribute(entity, sensor, attribute, now_s)
            series = self._number(
                "INSERT INTO series (device, sensor, received) VALUES (?, ?, ?) "
                "ON CONFLICT DO UPDATE SET received = received + excluded.received RETURNING number",
                (entity.id, sensor, len(points)),
            )
            self._db.executemany(
                "INSERT INTO history (series, received_s, time, value) VALUES (?, ?, ?, ?)",
                ((series, now_s, point.time, point.value) for point in points),
            )

    def history(self, devices: Sequence[str], sensors: Sequence[str] | None, wanted: Range) -> list[Row]:
        """Return rows of these devices (sensors None: all of theirs) in the order of reception."""
        series = self._series(devices, sensors)
        numbers = ",".join(map(str, series))  # our own integers; written out, as there is a limit for marks
        conditions, values = [f"series IN ({numbers})"], []
        if wanted.from_s is not None:
            conditions.append("received_s >= ?")
            values.append(wanted.from_s)
        if wanted.to_s is not None:
            conditions.append("received_s < ?")
            values.append(wanted.to_s)
        direction = "DESC" if wanted.newest_first else "ASC"
        rows = self._db.execute(
            f"SELECT series, value, time, received_s FROM history WHERE {' AND '.join(conditions)} "  # noqa: S608 - only literals, marks and our integers
            f"ORDER BY received_s {direction}, number {direction} LIMIT ? OFFSET ?",
            (*values, wanted.limit or -1, wanted.offset),
        )
        return [Row(*series[number], value, time, received_s) for number, value, time, received_s in rows]

    def _series(self, devices: Sequence[str], sensors: Sequence[str] | None) -> dict[int, tuple[str, str]]:
        found: dict[int, tuple[str, str]] = {}
        for device in set(devices):
            rows = self._db.execute("SELECT number, sensor FROM series WHERE device = ?", (device,))
            found |= {number: (device, sensor) for number, sensor in rows if sensors is None or sensor in sensors}
        return found

    def received(self, devices: Iterable[str]) -> dict[tuple[str, str], int]:
        """Return how many values were received, by device and sensor."""
        return {
            (device, sensor): count
            for device in devices
            for sensor, count in self._db.execute("SELECT sensor, received FROM series WHERE device = ?", (device,))
        }

    def received_in_all(self) -> int:
        """Return how many values there are in history."""
        return self._number("SELECT coalesce(sum(received), 0) FROM series")

    # Gateways

    def gateway(self, gateway_id: str) -> dict[str, Json] | None:
        """Return a gateway's document by id."""
        row = self._db.execute("SELECT document FROM gateways WHERE id = ?", (gateway_id,)).fetchone()
        return None if row is None else _document(row[0])

    def gateways(self) -> list[dict[str, Json]]:
        """Return all gateways in the order of their creation."""
        return [_document(text) for (text,) in self._db.execute("SELECT document FROM gateways ORDER BY number")]

    def add_gateway(self, document: dict[str, Json]) -> bool:
        """Store a new gateway; False when its id is taken, by whomever."""
        cursor = self._db.execute(
            "INSERT INTO gateways (id, document) VALUES (?, ?) ON CONFLICT DO NOTHING",
            (document["id"], _json_text(document)),
        )
        return cursor.rowcount == 1

    def set_gateway(self, document: dict[str, Json]) -> None:
        """Replace a stored gateway."""
        self._db.execute("UPDATE gateways SET document = ? WHERE id = ?", (_json_text(document), document["id"]))

    def drop_gateway(self, gateway_id: str) -> None:
        """Take a gateway away; its devices keep naming it."""
        self._db.execute("DELETE FROM gateways WHERE id = ?", (gateway_id,))


_READ_ATTRIBUTES = json.Decoder(Attributes)


def _entity(row: tuple[str, int, int, str]) -> Entity:
    device_id, created_s, modified_s, attributes = row
    return Entity(device_id, created_s, modified_s, _READ_ATTRIBUTES.decode(attributes))


def _document(text: str) -> dict[str, Json]:
    return json.decode(text, type=dict[str, Any])


def _json_text(value: object) -> str:
    return json.encode(value).decode()
