"""What devices have sent in the quarter of an hour that goes on, until it is written for plots.

It is written with a commit that happens anyway, once for each quarter of an hour that is over: a power cut costs the
plots of the last one, and no reading.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Final

from lora_post.clocks.scale import UNKNOWN_FROM_US
from lora_post.spool import trends
from lora_post.spool.trends import SHORT_S, Span
from lora_post.uplink.counters import missed_between
from lora_post.uplink.model import Report

MAX_AT_ONCE: Final = 64
"""So many devices are written with one commit: a quarter of an hour ends for all at once, and others wait."""
COUNT_EVERY: Final = 25_000
"""Rows written until those in the file are counted again: others change them, too."""
_SLOT_US: Final = SHORT_S * 1_000_000
_UNKNOWN_SLOT: Final = UNKNOWN_FROM_US // _SLOT_US
_HOUR: Final = 4
_DAY: Final = 96
_MONTH: Final = 31 * _DAY


class TrendBook:
    """The quarters of an hour that are not in the file yet; used by one thread at a time.

    What is heard counts from `saved` on; `forget` takes it back when its transaction has failed.
    """

    def __init__(self) -> None:
        self._open: dict[int, dict[str, Span]] = {}  # by slot and device
        self._fcnt: dict[str, int] = {}
        self._now = self._sure = 0  # the slot that goes on; one that a single wrong time has not made
        self._sure_from = 0  # a clock that leaps by a month may be wrong: nothing is too old by it for a day
        self._over: list[tuple[int, str, Span]] = []  # what is written next at the end
        self._written: list[tuple[int, str, Span]] = []
        self.forget()

    def forget(self) -> None:
        """Forget what was heard since the last `saved`."""
        self._over += reversed(self._written)
        self._heard: list[Report] = []
        self._written = []
        self._is_due = True
        self._rows = self._uncounted = 0  # rows in the file; so many may be written before they are counted

    @property
    def is_empty(self) -> bool:
        """Whether everything is in the file."""
        return not self._open and not self._over

    def hear(self, reports: Sequence[Report]) -> None:
        """Take in uplinks that are about to be kept."""
        self._heard += reports
        is_set = 0 < self._now < _UNKNOWN_SLOT
        times = [report.uplink.frame.time_us for report in reports]
        known = [time_us for time_us in times if time_us < UNKNOWN_FROM_US] or ([] if is_set else times)
        if known:
            self._go_on(max(known) // _SLOT_US)

    def _go_on(self, slot: int) -> None:
        """Begin another quarter of an hour: a newer one, or an older one where the clock was ahead by an hour."""
        if self._now - _HOUR <= slot <= self._now:
            return
        if slot < _UNKNOWN_SLOT <= self._now:
            self._open = {each: spans for each, spans in self._open.items() if each < _UNKNOWN_SLOT}  # see `shift`
            self._over = [each for each in self._over if each[0] < _UNKNOWN_SLOT]
        if slot > self._now + _MONTH and self._now:
            self._sure_from = slot + _DAY
        elif slot < self._now:
            self._sure_from = 0
        self._now, self._sure = slot, min(self._now, slot) if slot >= self._sure_from else self._sure
        self._close([each for each in self._open if each != slot])

    def _close(self, slots: Iterable[int]) -> None:
        """Let quarters of an hour be written, in the order of the table, so that what is written together lies so."""
        self._over += [(slot, *each) for slot in slots for each in self._open.pop(slot).items()]
        self._over.sort(key=itemgetter(0, 1), reverse=True)
        self._is_due = True

    def _add(self, reports: Sequence[Report]) -> None:
        slot, spans = -1, dict[str, Span]()  # most of a group are of one slot
        for report in reports:
            uplink = report.uplink
            device, frame, fcnt = uplink.device.id, uplink.frame, uplink.fcnt
            time_us, rx = frame.time_us, frame.rx
            if time_us // _SLOT_US != slot:
                if time_us >= UNKNOWN_FROM_US and self._now < _UNKNOWN_SLOT:
                    continue  # others bring their time
                slot = time_us // _SLOT_US
                spans = self._open.setdefault(slot, {})
            span = spans.get(device) or self._span(slot, device)
            span.heard += 1
            before = self._fcnt.get(device)
            if before is None or fcnt - before != 1 or uplink.is_late:
                span.missed += missed_between(before, uplink)
            if not uplink.is_late:
                self._fcnt[device] = fcnt
            span.hear(rx.rssi_dbm, rx.snr_db)
            for reading in report.readings:
                value = reading.value
                if type(value) is not float and type(value) is not int:
                    continue
                if reading.age_s or reading.at_s is not None:
                    measured = reading.measured_us(time_us) // _SLOT_US
                    if slot - _DAY < measured <= slot:
                        self._span(measured, device).measure(reading.name, value)
                else:
                    span.measure(reading.name, value)

    def _span(self, slot: int, device: str) -> Span:
        spans = self._open.get(slot)
        if spans is None:
            spans = self._open[slot] = {}
        span = spans.get(device)
        if span is None:
            span = spans[device] = Span()
        return span

    def save(self, db: sqlite3.Connection, *, is_last: bool = False) -> None:
        """Write quarters of an hour that are over, inside a transaction; is_last: all, and the one that goes on.

        Late ones are written with those of the next quarter of an hour.
        """
        if is_last:
            self._close(list(self._open))
        while self._is_due:
            over = self._over[: -MAX_AT_ONCE - 1 : -1]
            if over:
                del self._over[-len(over) :]
                self._written += over
                self._note(db, trends.put(db, over))
            self._is_due = bool(self._over) or (not is_last and self._tidy(db))
            if not is_last:
                return

    def _tidy(self, db: sqlite3.Connection) -> bool:
        """Take care of what has grown old; return whether there is more to do."""
        if not 0 < self._sure < _UNKNOWN_SLOT:
            return False
        fewer, is_more = trends.roll_up(db, self._sure)
        self._rows -= fewer + trends.forget_old(db, self._sure)
        return is_more

    def _note(self, db: sqlite3.Connection, more: int) -> None:
        """Note that there are more rows, of which the oldest go where they are too many."""
        self._rows += more
        self._uncounted -= more
        if self._uncounted < 0:
            self._rows, self._uncounted = trends.count(db), COUNT_EVERY
        if self._rows > trends.MAX_ROWS:
            self._rows -= trends.forget_some(db, self._rows - trends.MAX_ROWS)

    def saved(self) -> None:
        """Note that what was heard and written is committed."""
        self._add(self._heard)
        self._heard, self._written = [], []
