"""Hand one sink's queue to its uploader: claim, settle, park, refuse."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from typing import Final

import msgspec
from msgspec import Struct

from lora_post.errors import Problem, SpoolError
from lora_post.spool import lanes, undecoded
from lora_post.spool.arrivals import Arrivals, Arrived
from lora_post.spool.facts import Facts, note_all
from lora_post.spool.lanes import is_reading
from lora_post.spool.model import Batch, Lane, Waiting
from lora_post.spool.spool_file import SpoolFile
from lora_post.spool.tallies import add_tally
from lora_post.times import WallUs

DAMAGED: Final = "damaged"
RUNNING: Final = "running"  # a fact about a sink whose readings may be under way, see Queue.mark_running
DOUBTS: Final = "in doubt"
_NOTHING_SENT: Final = "nothing sent"

log = logging.getLogger(__name__)

_FIRST_US: Final = WallUs(-(1 << 63))


class Counts(Struct, frozen=True):
    """The number of readings and payloads that the spool holds for a sink.

    queued, parked, refused: readings to send, of parked sensors, refused one by one. undecoded: payloads.
    """

    queued: int
    parked: int
    refused: int
    undecoded: int

    @property
    def undelivered(self) -> int:
        """Readings that have not reached their sink."""
        return self.queued + self.parked + self.refused


class Unsettled(Struct, frozen=True, array_like=True):
    """A lane whose readings may have arrived. since_us: sent at this time or later, 0 when that is not known.

    until: a monotonic time of that boot, see `Doubt`.
    """

    since_us: WallUs
    until: float


class LeftBehind(Struct, frozen=True):
    """What the last process may have had under way. since_us: sent at this time or later, 0 when that is not known.

    lanes: those in doubt, by their numbers; None: any may be. boot_id: in which the process ended, "" if unknown.
    """

    since_us: WallUs
    lanes: dict[int, Unsettled] | None = None
    boot_id: str = ""


class Queue:
    """The readings that wait for one sink."""

    def __init__(self, spool_file: SpoolFile, sink: str, arrivals: Arrivals | None = None) -> None:
        """arrivals: what this process queues; None where nothing tells."""
        self._spool_file = spool_file
        self._arrivals = arrivals
        self._settled = 0
        self._inode = spool_file.inode
        self._facts = Facts(spool_file, sink)
        self.sink = sink

    # Which process empties it, and from which file.

    def reserve(self) -> bool:
        """Become the only one who empties this queue; False while another process does."""
        return self._spool_file.reserve(self.sink)

    def mark_running(self) -> LeftBehind | None:
        """Remember that readings may be under way from now on; returns what the last process left so."""
        facts = self._facts.recall()
        before, doubts = facts.get(RUNNING, _NOTHING_SENT), facts.get(DOUBTS)
        if RUNNING not in facts:
            self._facts.remember(RUNNING, _NOTHING_SENT)
        if doubts is not None:
            self._facts.forget(DOUBTS)
        if before == _NOTHING_SENT:
            return None
        # Earlier versions wrote a word.
        since_us = WallUs(int(before) if before.isascii() and before.isdigit() else 0)
        return LeftBehind(since_us) if doubts is None else msgspec.json.decode(doubts, type=LeftBehind)

    def note_sending(self, since_us: WallUs) -> None:
        """Remember that what is still queued was not sent before this time, by the sink's clock."""
        self._facts.remember(RUNNING, str(since_us))

    def mark_stopped(self, left: LeftBehind | None = None) -> None:
        """Remember that nothing is under way any more, or only this."""
        if left is not None:
            self._facts.remember(DOUBTS, msgspec.json.encode(left).decode())
        else:
            self._facts.forget(RUNNING)

    def go_on(self) -> bool:
        """Tell whether another file has taken the place of the spool.

        Lane numbers known so far mean other sensors then. Until this has been asked, nothing is claimed, settled
        or set aside by such a number.
        """
        self._spool_file.follow()
        before, self._inode = self._inode, self._spool_file.inode
        return before != self._inode

    def _require_same_file(self) -> None:
        if self._spool_file.inode != self._inode:
            raise SpoolError(f"{self.sink}: the spool is another file than before")

    # What waits.

    def waiting(self) -> list[Waiting]:
        """Return the lanes with readings that can be sent, each with the time of its oldest reading."""
        return lanes.waiting(self._spool_file, self.sink)

    def waiting_of(self, lane: Lane, but: Set[WallUs] = frozenset()) -> Waiting | None:
        """Return a lane with about its oldest reading besides some, None when it has none that can be sent."""
        last = max(but, default=_FIRST_US)
        found = lanes.waiting_of(self._spool_file, self.sink, lane.id, last)
        if found is None and but and lanes.count_until(self._spool_file, lane, last) > len(but):
            return lanes.waiting_of(self._spool_file, self.sink, lane.id, _FIRST_US)  # one that came in among them
        return found

    def arrived(self) -> Collection[Arrived]:
        """Return the lanes with readings that this process has queued since the last call."""
        return self._arrivals.take(self.sink) if self._arrivals else ()

    def version(self) -> tuple[int, int, int]:
        """Return what differs once readings may have come that `arrived` does not tell of.

        The first part differs when another file is the spool, see `go_on`; the others also differ when others have
        committed something else.
        """
        spool_file = self._spool_file
        return spool_file.inode, spool_file.data_version(), spool_file.db.total_changes - self._settled

    def is_owing(self) -> bool:
        """Tell whether readings wait that are not of parked lanes, be it for their time only."""
        return lanes.is_owing(self._spool_file, self.sink)

    def queued_lanes(self) -> list[Lane]:
        """Return the lanes that have readings, parked ones too."""
        return lanes.queued(self._spool_file, self.sink)

    def has_batch_of(self, number: int, size: int) -> bool:
        """Tell whether the lane with this number has so many readings whose time is known."""
        return lanes.has_batch_of(self._spool_file, number, size)

    def awaits_time(self) -> bool:
        """Tell whether readings wait only for their time to be known."""
        return lanes.awaits_time(self._spool_file, self.sink)

    def lanes_of(self, device: str) -> list[Lane]:
        """Return all lanes of a device, for provisioning it in one request."""
        return lanes.of_device(self._spool_file, self.sink, device)

    def oldest_us(self) -> WallUs:
        """Return the time of the oldest reading that can be sent, 0 when there is none."""
        return min((waiting.oldest_us for waiting in self.waiting()), default=WallUs(0))

    def counts(self) -> Counts:
        """Return what this sink still has to get."""
        queued, parked, refused = lanes.counts(self._spool_file, self.sink)
        return Counts(queued, parked, refused, undecoded.count(self._spool_file))

    # What becomes of it.

    def claim(self, lane: Lane, limit: int, but: Set[WallUs] = frozenset()) -> Batch | None:
        """Return the oldest readings of a lane, without some times; they stay queued until settled.

        None as well when the number is another lane's by now.
        """
        with self._spool_file.snapshot():
            self._require_same_file()
            known = lanes.numbered(self._spool_file, self.sink, lane.id)
            if known is None or (known.device, known.name) != (lane.device, lane.name):
                return None
            after = max(but, default=_FIRST_US)
            if but and lanes.count_until(self._spool_file, lane, after) == len(but):
                but = frozenset()  # as long as nothing has come in among them
            else:
                after = _FIRST_US
            rows = lanes.oldest(self._spool_file, lane, after, limit + len(but))
        if but:
            rows = [row for row in rows if row[0] not in but][:limit]
        readings = [row for row in rows if is_reading(row)]
        if len(readings) < len(rows):
            self._drop_damaged(lane, [row for row in rows if not is_reading(row)])
        if not readings:
            return None
        times, values = zip(*readings, strict=True)
        return Batch(known, times, values)

    def _drop_damaged(self, lane: Lane, rows: Sequence[tuple[object, object]]) -> None:
        """Delete rows that are not readings any more: they would hold up those behind them."""
        with self._spool_file.transaction() as db:
            self._require_same_file()
            lanes.take(db, [(lane.id, time) for time, _ in rows])
            for time, value in rows:
                log.error(
                    "%s: a reading in the spool is damaged and is dropped: device=%s sensor=%s time_us=%r value=%.80r",
                    *(self.sink, lane.device, lane.name, time, value),
                )
            add_tally(db, DAMAGED, len(rows))

    def settle(self, times_us: Mapping[int, Iterable[WallUs]], since_us: WallUs | None = None) -> None:
        """Take delivered readings out of the queue. times_us: by the numbers of their lanes.

        since_us: what `note_sending` would note then; None: nothing.
        """
        # One by one: meanwhile others may have come in among them, and a full spool may have given some up.
        readings = [(lane, time) for lane, times in times_us.items() for time in times]
        with self._spool_file.transaction() as db:
            self._require_same_file()
            before = db.total_changes
            lanes.take(db, readings)
            if since_us is not None:
                note_all(db, self.sink, {RUNNING: str(since_us)})
            self._settled += db.total_changes - before

    def park(self, lane: Lane, why: Problem, now_us: WallUs) -> None:
        """Send nothing of this lane until it is released."""
        with self._spool_file.transaction() as db:
            self._require_same_file()
            lanes.park(db, lane, why, now_us)

    def release_parked_before(self, time_us: WallUs, now_us: WallUs) -> int:
        """Let sensors go that have been parked for long: the reason may have gone. Returns how many.

        Those that were parked by a clock that was ahead are not held until that time.
        """
        if not lanes.has_parked_before(self._spool_file, self.sink, time_us, now_us):
            return 0
        with self._spool_file.transaction() as db:
            return lanes.release_parked_before(db, self.sink, time_us, now_us)

    def refuse(self, batch: Batch, reason: str) -> None:
        """Set the readings of a batch aside, so that those behind them go on."""
        with self._spool_file.transaction() as db:
            self._require_same_file()
            lanes.refuse(db, batch, reason)
