"""One run of the pipeline, whatever feeds it: for real, or dry."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from contextlib import nullcontext
from queue import SimpleQueue
from threading import Event, Thread
from types import FrameType
from typing import TYPE_CHECKING, TypeAlias

from lora_post.config import Config
from lora_post.metrics import Metrics
from lora_post.run.outcome_log import OutcomeLog
from lora_post.run.pipeline import Pipeline
from lora_post.spool.queue import Counts
from lora_post.uplink.model import Decode
from lora_post.uplink.outcome import Outcome

if TYPE_CHECKING:
    from lora_post.run.oversight import Oversight
    from lora_post.upload.policy import UploadPolicy

log = logging.getLogger("lora_post")

EXIT_QUEUED = 75  # EX_TEMPFAIL of sysexits.h: try again later

Feed: TypeAlias = Callable[[Pipeline], None]


def stop_on_signals() -> Event:
    """An event that Ctrl-C and SIGTERM set; a second one ends the process at once."""
    stop = Event()
    numbers: SimpleQueue[int] = SimpleQueue()
    seen: list[int] = []

    def on_signal(number: int, frame: FrameType | None) -> None:
        if seen:
            raise SystemExit(128 + number)
        seen.append(number)
        # Not stop.set(): that waits for a lock, which the code that is interrupted here may be holding.
        numbers.put(number)

    def set_stop() -> None:
        numbers.get()
        stop.set()

    Thread(target=set_stop, name="signals", daemon=True).start()

    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)
    return stop


def deliver(
    config: Config,
    decode: Decode,
    metrics: Metrics,
    feed: Feed,
    stop: Event,
    drain_timeout_s: float,
    oversight: Oversight | None = None,
    say: Callable[[Outcome], None] | None = None,
    policy: UploadPolicy | None = None,
) -> int:
    """Take everything that is fed to the destinations; returns the exit code.

    oversight: of a live run. say: what writes the log of outcomes, None for that of a live run.
    policy: of the uploaders, None for the usual one.
    """
    # Not for dry runs: the HTTP library alone is a third of the memory.
    from lora_post.run.delivery import open_delivery

    say = say or OutcomeLog()

    def listen(outcome: Outcome) -> None:
        if oversight is not None:
            oversight.site.hear(outcome)
        say(outcome)

    steady = oversight.clock if oversight is not None else None
    heartbeats = oversight.signs.heartbeats if oversight is not None else None
    with open_delivery(
        config, decode, metrics, listen, steady=steady, heartbeats=heartbeats, policy=policy
    ) as delivery:
        log.info(
            "started gateway=%s devices=%d spool=%s destinations=%s",
            config.gateway_id,
            len(config.devices),
            config.spool_path,
            ",".join(config.destinations),
        )
        for line in delivery.left_over():
            log.warning("%s", line)
        with oversight.over(delivery) if oversight is not None else nullcontext():
            feed(delivery.pipeline)
            delivery.drain(drain_timeout_s, stop)
    log.info("%s", summary(metrics))
    errors = delivery.last_errors()
    held = {name: counts for name, counts in delivery.counts().items() if counts.undelivered}
    for name, counts in held.items():
        log.warning("%s: %s", name, left_behind(counts, errors[name]))
    return EXIT_QUEUED if held and not stop.is_set() else 0


def left_behind(counts: Counts, last_error: str) -> str:
    """What a run leaves in the spool, and why, in one line."""
    text = f"{counts.undelivered} readings stay in the spool"
    if counts.parked or counts.refused:
        text += f", {counts.parked + counts.refused} of them parked: see lora-post spool"
    return text + (f"; last error: {last_error}" if last_error else "")


def summary(metrics: Metrics) -> str:
    """The totals of a run in one line."""
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
