"""Decode uplinks in a thread of their own, behind what answers devices: no decoder, however slow, costs a window.

They are accepted already, and stay in the spool until their readings are kept (`accepted`). The order stays: what
is not an uplink is told in its place, too.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice
from threading import Condition, Event, Thread
from typing import Final, TypeAlias

from msgspec import Struct

from lora_post.errors import SpoolError, defect
from lora_post.model import Device, Heard, NoiseReason
from lora_post.observed.signs import Heartbeats
from lora_post.run.doctor import Doctor
from lora_post.spool.late_ledger import LateLedger
from lora_post.text import plural, printable
from lora_post.uplink.model import Decode, Expects, Report, Uplink
from lora_post.uplink.outcome import Outcome
from lora_post.uplink.telling import Telling

log = logging.getLogger("lora_post")

NAME: Final = "decoding"
MAX_WAITING: Final = 2048
"""Outcomes that wait; inputs wait while there are more."""
MAX_TOGETHER: Final = 64
"""Kept in one transaction: meanwhile nobody else can write, and answers wait."""
TOGETHER_S: Final = 0.5
"""What was decoded within so long is kept together."""
RETRY_S: Final = 5.0
BEAT_S: Final = 60.0
_LOOK_S: Final = 10.0


class Held(Struct, frozen=True):
    """An uplink that is accepted and not decoded; id: its number in the spool."""

    id: int
    uplink: Uplink


Undecided: TypeAlias = "Outcome | Held"


class Batch(Struct):
    """What was accepted together. is_synced: it survives a power cut."""

    is_synced: bool = False


class _Entry(Struct, frozen=True):
    event: Heard
    outcome: Undecided
    batch: Batch


class LateDecoding:
    """Decodes what `put` was given, from `start` to `finish`."""

    def __init__(
        self,
        ledger: LateLedger,
        devices: Sequence[Device],
        decode: Decode,
        tell: Telling,
        heartbeats: Heartbeats,
        doctor: Doctor | None = None,
    ) -> None:
        """doctor: looks for the mistake behind a payload that cannot be decoded."""
        self._ledger = ledger
        self._in_use = devices, decode
        self._tell = tell
        self._heartbeats = heartbeats
        self._doctor = doctor
        self._waiting: deque[_Entry] = deque()
        self._changed = Condition()
        self._is_ending = False
        self._stop = Event()
        self._thread = Thread(target=self._run, name=NAME, daemon=True)

    def start(self) -> None:
        """Begin, with what an earlier run has left. Raises SpoolError."""
        left = self._ledger.left_over()
        if left.uplinks:
            log.info("decoding %s accepted before the last stop", plural(len(left.uplinks), "uplink"))
        for device, count in left.strange.items():
            log.warning(
                "%s of %s cannot be decoded: it is not in the configuration, put it back",
                plural(count, "uplink"),
                printable(device),
            )
        if left.damaged:
            log.error("deleted %d accepted uplinks that cannot be read, the spool was damaged", len(left.damaged))
            self._tell.metrics.count("noise", NoiseReason.DAMAGED, len(left.damaged))
        kept = Batch(is_synced=True)
        self._waiting.extend(_Entry(uplink.frame, Held(id_, uplink), kept) for id_, uplink in left.uplinks)
        self._thread.start()

    def use(self, devices: Sequence[Device], decode: Decode) -> None:
        """Decode with this, and keep the readings of these devices, from now on."""
        self._in_use = devices, decode
        self._ledger.use(devices)

    def wait_for_room(self) -> None:
        """Return when there is room for more."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) < MAX_WAITING or self._stop.is_set())

    def put(self, events: Sequence[Heard], outcomes: Iterable[Undecided]) -> Batch:
        """Take outcomes in their order; the caller sets the batch's `is_synced` when that is so."""
        batch = Batch()
        with self._changed:
            self._waiting.extend(map(_Entry, events, outcomes, [batch] * len(events)))
            self._changed.notify_all()
        return batch

    def wait(self, timeout_s: float) -> bool:
        """Wait until all is decoded; tell whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting, timeout_s)

    def finish(self, timeout_s: float) -> None:
        """Decode what waits, for so long; the rest is left to the next start."""
        with self._changed:
            self._is_ending = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
            self._stop.set()
            self._thread.join(timeout_s)
        if self._thread.is_alive():
            return
        try:
            self._ledger.finish()
        except SpoolError as error:
            log.error("%s", error)
        self._ledger.close()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._heartbeats.beat(NAME, BEAT_S)
                entries = self._next()
                if entries is None:
                    return
                done = self._decoded(entries)
                if not self._keep(done):
                    return
                self._tell([entry.event for entry, _ in done], [outcome for _, outcome in done])
                with self._changed:
                    for _ in done:
                        self._waiting.popleft()
                    self._changed.notify_all()
        finally:
            self._heartbeats.end(NAME)

    def _next(self) -> list[_Entry] | None:
        """Return what waits, empty after a while without anything; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_ending, _LOOK_S)
            if not self._waiting and self._is_ending:
                return None
            return list(islice(self._waiting, MAX_TOGETHER))

    def _decoded(self, entries: Sequence[_Entry]) -> list[tuple[_Entry, Outcome]]:
        until = time.monotonic() + TOGETHER_S
        _, decode = self._in_use
        if isinstance(decode, Expects):
            decode.expect([entry.outcome.uplink for entry in entries if isinstance(entry.outcome, Held)])
        done: list[tuple[_Entry, Outcome]] = []
        for entry in entries:
            outcome = entry.outcome
            done.append((entry, self._report(outcome.uplink) if isinstance(outcome, Held) else outcome))
            if time.monotonic() >= until:
                break
        return done

    def _report(self, uplink: Uplink) -> Report:
        devices, decode = self._in_use
        try:
            report = decode(uplink)
            if report.problem is not None and self._doctor:
                report = self._doctor.report(report, decode, devices)
        except Exception as error:
            return Report(uplink, (), problem=defect(error))
        return report

    def _keep(self, done: Sequence[tuple[_Entry, Outcome]]) -> bool:
        """Keep the reports; False when they are left to the next start."""
        decoded = [
            (entry.outcome.id, outcome)
            for entry, outcome in done
            if isinstance(entry.outcome, Held) and isinstance(outcome, Report)
        ]
        batches = [entry.batch for entry, _ in done]
        return not decoded or self._keep_reports(decoded, batches)

    def _keep_reports(self, decoded: Sequence[tuple[int, Report]], batches: Sequence[Batch]) -> bool:
        said = ""
        while True:
            try:
                self._ledger.keep(decoded, lambda: all(batch.is_synced for batch in batches))
                if said:
                    log.warning("storing readings again")
                return True
            except SpoolError as error:
                if str(error) != said:
                    said = str(error)
                    log.error("cannot store readings, they wait: %s", error)
                if self._stop.wait(RETRY_S):
                    return False
                self._heartbeats.beat(NAME, BEAT_S)
            except Exception as error:
                if len(decoded) > 1:  # one of them is at fault; the others, which nothing was kept of, go through
                    return all([self._keep_reports([each], batches) for each in decoded])
                ((id_, report),) = decoded
                if report.problem is not None:
                    log.error("skipped over a defect, %s: %s", defect(error), report.uplink)
                    return True
                decoded = [(id_, Report(report.uplink, (), problem=defect(error)))]
