"""Put what reports say into queues and history, inside the caller's transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from lora_post.model import Device
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from lora_post.spool.thinning import Thinner
from lora_post.spool.trend_book import TrendBook
from lora_post.uplink.model import Report


class Shelf:
    """Queues and history of one connection; used by one thread at a time."""

    def __init__(self, writer: QueueWriter, devices: Iterable[Device]) -> None:
        self._writer = writer
        self._trends = TrendBook()
        self.use(devices)

    def use(self, devices: Iterable[Device]) -> None:
        """Thin the readings of these devices from now on."""
        self._thinner = Thinner(devices)

    def put(self, db: sqlite3.Connection, reports: Sequence[Report]) -> None:
        """Put the readings of reports into the queues, and into the history."""
        self._writer.put(db, self._thinner.thin(db, reports))
        self._trends.hear(reports)
        self._trends.save(db)

    def tell(self, db: sqlite3.Connection, reports: Sequence[Report]) -> None:
        """Put readings that no uplink gave into the queues."""
        self._writer.put(db, reports)

    def make_room(self, db: sqlite3.Connection) -> None:
        """Keep the file within its bound."""
        self._writer.make_room(db)

    def kept(self) -> None:
        """Note that what was put is kept."""
        self._writer.kept()
        self._trends.saved()

    def forget(self) -> None:
        """Read all again, and take back what was not kept; after a rollback."""
        self.forget_lanes()
        self._thinner.forget()
        self._trends.forget()

    def forget_lanes(self) -> None:
        """Look lanes up again."""
        self._writer.forget_lanes()

    def forget_last(self) -> None:
        """Look up again what was kept last of sensors that are thinned."""
        self._thinner.forget()

    def finish(self, spool_file: SpoolFile) -> None:
        """Keep the history of the quarter of an hour that goes on; for the end of a run. Raises SpoolError."""
        if self._trends.is_empty:
            return
        with spool_file.transaction() as db:
            self._trends.save(db, is_last=True)
        self._trends.saved()
