"""Whether [upload] allows sending now: time of day, bytes left for today, holding time."""

from __future__ import annotations

import time
from collections.abc import Callable

from msgspec import Struct

from lora_post.config.upload import DAY_S, RESERVE_BYTES, UploadRules, closed_s
from lora_post.net.traffic import Traffic
from lora_post.spool.facts import Facts
from lora_post.spool.spool_file import SpoolFile
from lora_post.times import WallUs

SAVE_EVERY_BYTES = 16 << 10  # so many a power cut forgets; a write for every request would wear the card
KEEP_DAYS = 31
# The next reading of a sensor that sends every minute, or every hold, is due when the time is over, or a little late:
# it goes along, and its request, most of which is the token, is saved.
LATE_SHARE = 1 / 60


class Closed(Struct, frozen=True):
    """For how many seconds nothing may be sent, and why."""

    wait_s: float
    reason: str


class UploadAllowance:
    """What [upload] allows at one destination, and the bytes spent there today."""

    def __init__(
        self,
        rules: UploadRules,
        traffic: Traffic,
        spool_file: SpoolFile,
        sink: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._rules = rules
        self._book = DayBook(traffic, spool_file, sink)
        self._clock = clock
        self._is_flushing = False

    def closed(self) -> Closed | None:
        """Return why nothing may be sent now; None when it may. Raises SpoolError."""
        rules = self._rules
        now = time.localtime(self._clock())
        second = now.tm_hour * 3600 + now.tm_min * 60 + now.tm_sec
        if wait_s := closed_s(rules.windows, second):
            return Closed(wait_s, "[upload] schedule: it is not the time to send")
        if rules.max_bytes_per_day:
            spent = self._book.spent(time.strftime("%Y-%m-%d", now))
            if spent > rules.max_bytes_per_day - RESERVE_BYTES:
                return Closed(
                    DAY_S - second,
                    f"[upload] max_bytes_per_day: {spent} of {rules.max_bytes_per_day} bytes are used, "
                    "the next request may not fit; sending goes on at midnight",
                )
        return None

    def held_s(self, waiting: int, oldest_us: Callable[[], WallUs], is_full: Callable[[], bool]) -> float:
        """Return for how many seconds the queue may wait for more; 0 when it is to be sent.

        When one reading has waited long enough, everything goes.

        waiting: how many lanes have readings. oldest_us: the time of the oldest one. is_full: whether there is a full
        batch. Both are called only when it matters.
        """
        if not waiting or not self._rules.hold_s:
            self._is_flushing = False
        if not waiting or not self._rules.hold_s or self._is_flushing:
            return 0.0
        hold_s = self._rules.hold_s * (1 + LATE_SHARE)
        # Readings from the future tell that the clock was set; they are not waited for.
        age_s = self._clock() - oldest_us() / 1e6
        self._is_flushing = not 0 <= age_s < hold_s or is_full()
        return 0.0 if self._is_flushing else hold_s - age_s

    def hold_no_longer(self) -> None:
        """Hold nothing from now on: the input has ended, and no more will come to share a request."""
        self._rules = UploadRules(self._rules.windows, self._rules.max_bytes_per_day)

    def save(self) -> None:
        """Write down the bytes spent today. Raises SpoolError."""
        self._book.save()


class DayBook:
    """The bytes of each local day, in the spool: a restart does not give a day its bytes back."""

    def __init__(self, traffic: Traffic, spool_file: SpoolFile, sink: str) -> None:
        self._traffic = traffic
        self._facts = Facts(spool_file, f"traffic {sink}")
        self._day = ""
        self._spent = 0
        self._counted = traffic.bytes
        self._unsaved = 0

    def spent(self, day: str) -> int:
        """Return the bytes spent on this day so far. Raises SpoolError."""
        new = self._traffic.bytes - self._counted
        self._counted += new
        self._unsaved += new
        self._spent += new
        if day != self._day:
            self.save()
            self._day, self._spent = day, _number(self._facts.recall().get(day, ""))
        if self._unsaved >= SAVE_EVERY_BYTES:
            self.save()
        return self._spent

    def save(self) -> None:
        """Write the day down. Raises SpoolError."""
        if not self._unsaved or not self._day:
            return
        self._facts.remember(self._day, str(self._spent))
        for old in sorted(self._facts.recall())[:-KEEP_DAYS]:
            self._facts.forget(old)
        self._unsaved = 0


def _number(text: str) -> int:
    """Return what a text says; 0 when a card has lost a bit of it, or it was never written."""
    return int(text) if text.isdecimal() else 0
