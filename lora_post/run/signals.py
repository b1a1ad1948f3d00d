"""Ctrl-C and SIGTERM, for commands that run until they are told to stop."""

from __future__ import annotations

import signal
from queue import SimpleQueue
from threading import Event, Thread
from types import FrameType


def stop_on_signals() -> Event:
    """Return an event that Ctrl-C and SIGTERM set; a second one ends the process at once."""
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
