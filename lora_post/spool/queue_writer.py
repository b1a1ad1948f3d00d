"""Put readings into the queues of all sinks, and keep the file within its bound.

When the spool is full, payloads that could not be decoded go first, then the memory of older frames without MIC. Only
then the sensor with the most queued readings gives up its oldest ones, or its newest.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable
from operator import itemgetter
from typing import Final

from msgspec.json import Encoder, encode
from msgspec.structs import replace

from lora_post.model import Reading, Value
from lora_post.spool import heard, lanes, strangers, trends, undecoded, unit_change
from lora_post.spool.arrivals import Arrivals, Arrived
from lora_post.spool.lanes import WhenFull
from lora_post.spool.model import Lane
from lora_post.spool.spool_file import PAGE_BYTES, SpoolFile
from lora_post.spool.tallies import add_tally
from lora_post.text import plural
from lora_post.uplink.model import Report

EVICT_SHARE: Final = 200  # when full, at least one in so many readings goes
UNDECODED_SHARE: Final = 8  # payloads that could not be decoded take one in so many bytes, at most
EVICTED: Final = "evicted"
TOO_MANY_SENSORS: Final = "too-many-sensors"
# A device without MIC can be imitated; invented sensor names must not fill the spool and the server.
MAX_SENSORS: Final = 256

log = logging.getLogger(__name__)

Target = tuple[str, Lane, dict[int, Arrived]]
"""A sink, the lane of a sensor there, and what has arrived at the sink."""

_encode_into = Encoder().encode_into
_lane_of: Final = itemgetter(0)


class QueueWriter:
    """Puts readings into the queue of each sink, inside the caller's transaction."""

    def __init__(
        self,
        spool_file: SpoolFile,
        sinks: Iterable[str],
        max_bytes: int,
        when_full: WhenFull = "drop-oldest",
        arrivals: Arrivals | None = None,
    ) -> None:
        """arrivals: told what was queued; None where this process sends nothing."""
        self._spool_file = spool_file
        self._arrivals = arrivals
        self._max_bytes = max_bytes
        self._when_full = when_full
        self._targets: dict[str, dict[str, tuple[Target, ...]]] = {}  # by device and sensor
        self._arrived: dict[str, dict[int, Arrived]] = {sink: {} for sink in sinks}
        self._relabelled: set[int] = set()
        self._relabelled_now: set[int] = set()  # in the transaction that is open
        self._crowded: set[str] = set()

    def put(self, db: sqlite3.Connection, reports: Iterable[Report]) -> int:
        """Queue every reading of the reports; returns how many rows were added."""
        rows: list[lanes.Row] = []
        for report in reports:
            uplink = report.uplink
            device, heard_us = uplink.device.id, uplink.frame.time_us
            if report.problem is not None:
                undecoded.put(db, report, self._max_bytes // UNDECODED_SHARE)
            known = self._targets.get(device) or self._targets.setdefault(device, {})
            for reading in report.readings:
                unit = reading.unit
                is_stored = reading.age_s or reading.at_s is not None
                time_us = reading.measured_us(heard_us) if is_stored else heard_us
                value = bytearray()
                _encode_into(reading.value, value)
                for sink, lane, arrived in known.get(reading.name) or self._look_up(db, device, reading):
                    number = lane.id
                    first = arrived.get(number)
                    if first is None or time_us < first[1]:
                        arrived[number] = lane, time_us
                    if unit == lane.unit or unit == "":
                        rows.append((number, time_us, value))
                    else:
                        rows.append((number, time_us, encode(self._in_unit_of(db, sink, lane, reading))))
        rows.sort(key=_lane_of)  # those of a lane stay in their order
        lanes.put(db, rows)
        return len(rows)

    def _in_unit_of(self, db: sqlite3.Connection, sink: str, lane: Lane, reading: Reading) -> Value:
        """Return a reading's value in the unit of its lane, which follows the reading where that cannot be.

        Values keep the unit in which a sensor's first one came, so that its history has one scale. A sensor that goes
        on changing has none.
        """
        scale = unit_change.between(reading.unit, lane.unit, reading.value)
        if scale is not None:
            return unit_change.converted(reading.value, *scale)
        is_again = lane.id in self._relabelled or lane.id in self._relabelled_now
        if unit_change.is_label_of(reading) and (lane.unit or not is_again):
            unit = "" if is_again else reading.unit
            changed = replace(lane, unit=unit, quantity=reading.quantity or lane.quantity)
            lanes.relabel(db, changed)
            unit_change.note(db, sink, lane, changed)
            self._relabelled_now.add(lane.id)
            self._targets[lane.device].pop(lane.name, None)
        return reading.value

    def _look_up(self, db: sqlite3.Connection, device: str, reading: Reading) -> tuple[Target, ...]:
        """Look up or add the lanes of a reading; not where its device has too many sensors, which is counted."""
        found: tuple[Target, ...] = ()
        for sink, arrived in self._arrived.items():
            lane = lanes.find(db, sink, device, reading.name) or self._add_lane(db, sink, device, reading)
            if lane is not None:
                found += ((sink, lane, arrived),)
        if len(found) == len(self._arrived):
            self._targets[device][reading.name] = found
        return found

    def _add_lane(self, db: sqlite3.Connection, sink: str, device: str, reading: Reading) -> Lane | None:
        sensors = lanes.count_of(db, sink, device)
        if sensors >= MAX_SENSORS:
            if device not in self._crowded:
                self._crowded.add(device)
                log.error("device=%s has %s: dropping readings of further names", device, plural(sensors, "sensor"))
            add_tally(db, TOO_MANY_SENSORS, 1)
            return None
        lane = Lane(0, device, reading.name, reading.unit, reading.quantity, reading.channel)
        return replace(lane, id=lanes.add(db, sink, lane))

    def forget_lanes(self) -> None:
        """Look lanes up again, after a rollback or another process's commit."""
        self._targets.clear()
        self._relabelled_now.clear()
        for arrived in self._arrived.values():
            arrived.clear()

    def kept(self) -> None:
        """Tell the uploaders what was queued: it is committed."""
        self._relabelled |= self._relabelled_now
        self._relabelled_now.clear()
        for sink, arrived in self._arrived.items():
            if arrived and self._arrivals is not None:
                self._arrivals.add(sink, arrived)
            arrived.clear()

    def make_room(self, db: sqlite3.Connection) -> int:
        """Keep the file within its bound; returns how many readings were deleted for it."""
        if self._spool_file.used_bytes() <= self._max_bytes:
            return 0
        self._give_up_others(db)
        evicted = 0
        while (used := self._spool_file.used_bytes()) > self._max_bytes:
            lengths = lanes.lengths(db)
            total = sum(lengths.values())
            if not total:
                break
            # Counting reads everything, so it has to be worth it.
            surplus = max(1, total // EVICT_SHARE, int(total * (1 - self._max_bytes / used)))
            level = _cut_level(lengths.values(), surplus)
            for lane, length in lengths.items():
                if length > level:
                    evicted += lanes.evict(db, lane, length - level, self._when_full)
        if evicted:
            add_tally(db, EVICTED, evicted)
        return evicted

    def _give_up_others(self, db: sqlite3.Connection) -> None:
        """Delete what is not a reading, as far as it is needed."""
        trends.forget_all(db)
        strangers.forget_all(db)
        while (surplus := self._spool_file.used_bytes() - self._max_bytes) > 0:
            held = undecoded.used_bytes(db)
            if not held:
                heard.trim(db)
                return
            undecoded.trim(db, max(0, held - max(surplus, held // 8, 4 * PAGE_BYTES)))


def _cut_level(lengths: Iterable[int], surplus: int) -> int:
    """Return the length to which the longest are cut to lose `surplus` in all; 0: everything."""
    ordered = sorted(lengths, reverse=True)
    for count, (length, shorter) in enumerate(zip(ordered, [*ordered[1:], 0], strict=True), start=1):
        if (length - shorter) * count >= surplus:
            return length - -(-surplus // count)
        surplus -= (length - shorter) * count
    return 0
