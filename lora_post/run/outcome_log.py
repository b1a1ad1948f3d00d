"""Log one line for each uplink, and each cause of trouble once a minute."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable

from lora_post.errors import Problem, Repeat
from lora_post.metrics import Metrics
from lora_post.model import Frame, NoiseReason
from lora_post.spool.queue import Counts
from lora_post.text import plural
from lora_post.uplink.join_state import Join
from lora_post.uplink.model import Copy, Refusal, Report
from lora_post.uplink.outcome import Outcome

log = logging.getLogger("lora_post")

QUIET_S = 60.0
# A kind of its own is each check, noise, and each device: a flood of one kind does not silence another.
MAX_LINES = 20


class _Kind:
    """What was said of one kind of trouble in the minute that began at `since`."""

    def __init__(self, since: float) -> None:
        self.since = since
        self.said: set[str] = set()
        self.left_out = 0


class OutcomeLog:
    """A pipeline listener that writes the log; totals are in the metrics."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._kinds: dict[str, _Kind] = {}

    def __call__(self, outcome: Outcome) -> None:
        if isinstance(outcome, Report):
            self._uplink(outcome)
        elif isinstance(outcome, Refusal):
            # A stranger's address is part of the detail, so each is reported.
            if self._is_news(outcome.check, outcome.detail):
                level = logging.INFO if outcome.check == Repeat.check else logging.WARNING
                log.log(level, "refused check=%s: %s", outcome.check, outcome.detail)
                if outcome.fix:
                    log.warning("  fix: %s", outcome.fix)
        elif isinstance(outcome, Copy):
            frame = outcome.frame
            device, fcnt = outcome.uplink.device.id, outcome.uplink.fcnt
            log.debug("copy device=%s fcnt=%d gateway=%s%s", device, fcnt, frame.gateway, _level(frame))
        elif isinstance(outcome, Join):
            log.info("%s device=%s: %s", outcome.message, outcome.device.id, outcome.detail)
        elif outcome.reason is NoiseReason.NO_FRAME or self._is_news("noise", outcome.reason):
            skipped = f"skipped {plural(outcome.size, 'byte')} " if outcome.size else ""
            log.warning("%s(%s): %s", skipped, outcome.reason, outcome.detail)

    def _uplink(self, report: Report) -> None:
        uplink = report.uplink
        device = uplink.device.id
        for warning in (*report.warnings, *([report.problem] if report.problem else [])):
            if self._is_news(device, warning):
                log.warning("device=%s decoder=%s: %s", device, uplink.device.decoder_for(uplink.fport), warning)
        if log.isEnabledFor(logging.INFO):
            values = "".join(f" {reading.name}={reading.value!r}{reading.unit}" for reading in report.readings)
            kind = "late uplink" if uplink.is_late else "uplink"
            log.info("%s device=%s fcnt=%d%s%s", kind, device, uplink.fcnt, _level(uplink.frame), values)

    def _is_news(self, name: str, cause: str) -> bool:
        now = self._monotonic()
        kind = self._kinds.get(name)
        if kind is None or now - kind.since >= QUIET_S:
            if kind is not None and kind.left_out:
                log.warning("%s: %d more were not logged", name, kind.left_out)
            kind = self._kinds[name] = _Kind(now)
        if cause in kind.said:
            return False
        if len(kind.said) == MAX_LINES:
            kind.left_out += 1
            return False
        kind.said.add(cause)
        return True


def _level(frame: Frame) -> str:
    """Return how strong a frame was, "" where the input does not tell."""
    return "" if frame.rx.rssi_dbm is None else f" rssi={frame.rx.rssi_dbm}"


class RecordedLog:
    """A listener for recorded frames, which may have been accepted before: those are counted."""

    def __init__(self) -> None:
        self._log = OutcomeLog()
        self._known: Counter[str] = Counter()

    def __call__(self, outcome: Outcome) -> None:
        if isinstance(outcome, Refusal) and outcome.known:
            self._known[outcome.known] += 1
            log.debug("left out check=%s: %s", outcome.check, outcome.problem)
        else:
            self._log(outcome)

    def finish(self) -> None:
        """Log what was left out, if anything was."""
        if self._known:
            devices = ", ".join(f"{device} {count}" for device, count in self._known.items())
            log.warning("left out, since these frames or newer ones were accepted before: %s", devices)


def left_behind(counts: Counts, last_error: Problem | None) -> str:
    """Return what a run leaves in the spool, and why, in one line."""
    text = f"{plural(counts.undelivered, 'reading')} left in the spool"
    if counts.parked or counts.refused:
        text += f", {counts.parked + counts.refused} of them parked: see lora-post spool"
    return text + (f"; last error: {last_error}" if last_error else "")


def lacks_frames(metrics: Metrics) -> bool:
    """Tell whether an input has ended, and not one frame was in what it gave."""
    return NoiseReason.NO_FRAME in metrics.labels("noise")


def summary(metrics: Metrics) -> str:
    """Return the totals of a run in one line."""
    parts = [f"uplinks={metrics.total('uplinks')}", f"readings={metrics.total('readings')}"]
    for name in ("copies", "joins"):
        if total := metrics.total(name):
            parts.append(f"{name}={total}")
    for name in ("refused", "noise", "dropped", "undecoded", "delivered", "parked", "rejected"):
        labels = metrics.labels(name)
        if labels:
            detail = " ".join(f"{label}:{n}" for label, n in labels.items() if label)
            parts.append(f"{name}={sum(labels.values())}" + (f" ({detail})" if detail else ""))
    return " ".join(parts)
