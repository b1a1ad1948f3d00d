"""What a run has queued, told to its uploaders in memory, so that they need not look through the queue."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from threading import Lock

from lora_post.spool.model import Lane
from lora_post.times import StampUs

Arrived = tuple[Lane, StampUs]
"""A lane with new readings, and the time of the oldest of them."""


class Arrivals:
    """Lanes with new readings, by sink and number, until the uploader of the sink takes note; safe between threads.

    What another process queues is not here.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._by_sink: dict[str, dict[int, Arrived]] = {}

    def add(self, sink: str, arrived: Mapping[int, Arrived]) -> None:
        """Note what was committed, by the numbers of the lanes."""
        with self._lock:
            known = self._by_sink.setdefault(sink, {})
            for number, new in arrived.items():
                before = known.get(number)
                if before is None or new[1] < before[1]:
                    known[number] = new

    def take(self, sink: str) -> Collection[Arrived]:
        """Return what is new since the last call."""
        if sink not in self._by_sink:
            return ()
        with self._lock:
            return self._by_sink.pop(sink, {}).values()
