"""The time from the server's answers, learned before the first readings go to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lora_post.clocks.gateway import GatewayClock
from lora_post.clocks.server import SECOND_US, read_date
from lora_post.sinks.sink import Sink
from lora_post.spool.boots import BootBook
from lora_post.spool.model import Batch
from lora_post.spool.queue import Queue
from lora_post.spool.spool_file import SpoolFile
from lora_post.times import WallUs


class ServerTime:
    """Tells the clock what the server's answers say of the time."""

    def __init__(self, clock: GatewayClock, boots: BootBook) -> None:
        self.clock = clock
        self.boots = boots

    def on_date(self, date: str, took_us: int) -> None:
        """Take the Date header of an answer that came took_us after its request was begun."""
        date_us = read_date(date)
        if date_us is not None:
            answered_us = self.clock.boot_us()
            asked_us = answered_us - took_us
            # It was written at some moment since the request, and the rest of its second is cut off.
            self.clock.vouch(WallUs(date_us - answered_us), WallUs(date_us + SECOND_US - asked_us))


class TimedSink(Sink):
    """A sink that learns the time before its first batch, for readings that wait for theirs."""

    def __init__(
        self, sink: Sink, time: ServerTime, spool_file: SpoolFile, queue: Queue, ask: Callable[[], object] | None
    ) -> None:
        """ask: makes a request whose answer may tell the time; None when another sink hears it."""
        self._sink = sink
        self._ask = ask
        self._clock = time.clock
        self._boots = time.boots
        self._spool_file = spool_file
        self._queue = queue
        self._written_us: WallUs | None = None
        self.looks_back = sink.looks_back
        self.goes_on = sink.goes_on

    def prepare(self) -> None:
        """Do whatever is due besides readings, and learn the time; an account logs in here."""
        self._sink.prepare()
        self._clock.look()
        if self._clock.offset_us is None and self._ask is not None and self._queue.awaits_time():
            self._ask()
            self._clock.believe()
        if self._clock.offset_us != self._written_us:
            with self._spool_file.transaction() as db:
                self._boots.follow(db)
            self._written_us = self._clock.offset_us

    def send(self, batch: Batch) -> None:
        """Deliver a batch."""
        self._sink.send(batch)

    def stored(self, batch: Batch, since_us: WallUs) -> Sequence[WallUs]:
        """Return the times of a batch that have arrived already."""
        return self._sink.stored(batch, since_us)

    def clock_us(self) -> WallUs:
        """Return the time by the sink's clock."""
        return self._sink.clock_us()
