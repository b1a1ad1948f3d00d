"""The threads beside the pipeline and the uploaders: alerts, and systemd's watchdog."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import TYPE_CHECKING

from lora_post.observed.signs import Heartbeats
from lora_post.run.systemd import Notifier

if TYPE_CHECKING:
    from lora_post.alerts.loop import AlertLoop

log = logging.getLogger("lora_post")

JOIN_S = 2.0


@contextmanager
def alerting(alert_loop: AlertLoop) -> Iterator[None]:
    """Look for alerts as long as the block runs."""
    stop = Event()
    thread = Thread(target=alert_loop.run, args=(stop,), name="alerts", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(JOIN_S)  # a mail that is under way is told again by the next run


@contextmanager
def known_to_systemd(heartbeats: Heartbeats, notifier: Notifier) -> Iterator[None]:
    """Tell systemd that we are ready, and that we get on as long as every thread does."""
    stop = Event()
    notifier.tell("READY=1")
    thread = Thread(target=_feed_watchdog, args=(heartbeats, notifier, stop), name="watchdog", daemon=True)
    if notifier.watchdog_s:
        thread.start()
    try:
        yield
    finally:
        notifier.tell("STOPPING=1")
        stop.set()


def _feed_watchdog(heartbeats: Heartbeats, notifier: Notifier, stop: Event) -> None:
    said: list[str] = []
    while not stop.wait(notifier.watchdog_s / 3):
        stalled = heartbeats.stalled()
        if not stalled:
            notifier.tell("WATCHDOG=1")
        elif stalled != said:
            log.error("stalled: %s; systemd restarts us in a moment", ", ".join(stalled))
        said = stalled
