"""Keep the readings of uplinks that were accepted before they were decoded, see `accepted`."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from threading import Lock
from typing import Final

from msgspec.structs import replace

from lora_post.clocks.scale import is_unknown
from lora_post.model import Device
from lora_post.spool import accepted
from lora_post.spool.facts import changes
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.shelf import Shelf
from lora_post.spool.spool_file import SpoolFile
from lora_post.times import StampUs
from lora_post.uplink.model import Report

_NOT_LOADED: Final = -1


class LateLedger:
    """The readings' side of a ledger whose groups `hold` uplinks."""

    def __init__(self, spool_file: SpoolFile, devices: Iterable[Device], writer: QueueWriter) -> None:
        """spool_file: a connection for the thread that calls `keep`; the writer's, too."""
        self._spool_file = spool_file
        self._lock = Lock()  # between that thread and who brings other devices
        self._devices = tuple(devices)
        self._shelf = Shelf(writer, self._devices)
        self._version = _NOT_LOADED
        self._inode: int | None = None
        self._changes: dict[str, str] = {}

    def use(self, devices: Iterable[Device]) -> None:
        """Keep readings of these devices from now on."""
        with self._lock:
            self._devices = tuple(devices)
            self._shelf.use(self._devices)

    def left_over(self) -> accepted.LeftOver:
        """Return what an earlier run has accepted and not decoded; what is damaged is deleted. Raises SpoolError."""
        with self._spool_file.unsynced() as db:
            left = accepted.load(db, {device.id: device for device in self._devices})
            accepted.remove(db, left.damaged)
            return left

    def keep(self, decoded: Sequence[tuple[int, Report]], is_synced: Callable[[], bool]) -> None:
        """Keep the readings, and forget that their uplinks were accepted. Raises SpoolError: nothing is kept.

        is_synced: tells whether a power cut leaves these uplinks in `accepted`; they are decoded once more then.
        """
        with self._lock:
            try:
                with self._spool_file.unsynced() as db:
                    self._follow(db)
                    self._shelf.put(db, _with_times(db, decoded))
                    accepted.remove(db, [id_ for id_, _ in decoded])
                    self._shelf.make_room(db)
                if not is_synced():
                    self._spool_file.sync()
                self._spool_file.shorten_log()
            except BaseException:
                self._version = _NOT_LOADED
                self._shelf.forget()
                raise
            self._shelf.kept()

    def finish(self) -> None:
        """Keep the history that goes on; for the end of a run. Raises SpoolError."""
        with self._lock:
            self._shelf.finish(self._spool_file)

    def close(self) -> None:
        self._spool_file.close()

    def _follow(self, db: sqlite3.Connection) -> None:
        """Take over what others have changed since the last time."""
        version, now = self._spool_file.data_version(), changes(db)
        if self._version == _NOT_LOADED or self._spool_file.inode != self._inode:
            self._shelf.forget_lanes()
            self._shelf.forget_last()
        elif version != self._version:
            self._shelf.forget_last()
            if now.get("lanes") != self._changes.get("lanes"):
                self._shelf.forget_lanes()
        self._version, self._inode, self._changes = version, self._spool_file.inode, now


def _with_times(db: sqlite3.Connection, decoded: Sequence[tuple[int, Report]]) -> list[Report]:
    """Return the reports with the times that became known while they were decoded."""
    unknown = [id_ for id_, report in decoded if is_unknown(report.uplink.frame.time_us)]
    times = accepted.times(db, unknown) if unknown else {}
    return [_at(report, times[id_]) if id_ in times else report for id_, report in decoded]


def _at(report: Report, time_us: StampUs) -> Report:
    uplink = report.uplink
    return replace(report, uplink=replace(uplink, frame=replace(uplink.frame, time_us=time_us)))
