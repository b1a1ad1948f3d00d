"""Signs of life of the threads, and what keeps them from their work.

A thread beats each time it gets round its loop; one that has not for longer than it may is stalled.
"""

from __future__ import annotations

from threading import Lock

from lora_post.clocks.steady import SteadyClock


class Vitals:
    """Shared between all threads of a run."""

    def __init__(self, clock: SteadyClock | None = None) -> None:
        """clock: by which what is heard gets its time."""
        self.clock = clock or SteadyClock()
        self._monotonic = self.clock.monotonic
        self._lock = Lock()
        self._due: dict[str, float] = {}
        self._troubles: dict[str, str] = {}
        self._last_us: dict[str, int] = {}

    def beat(self, name: str, within_s: float) -> None:
        """This thread is alive, and will say so again within so many seconds."""
        with self._lock:
            self._due[name] = self._monotonic() + within_s

    def opened(self, name: str) -> None:
        """There is such an input."""
        with self._lock:
            self._last_us.setdefault(name, 0)

    def heard(self, name: str) -> None:
        """This input gave a frame."""
        with self._lock:
            self._last_us[name] = self.clock.now_us()

    def inputs(self) -> dict[str, int]:
        """When each input gave its latest frame, on the steady clock; 0 for never."""
        with self._lock:
            return dict(self._last_us)

    def end(self, name: str) -> None:
        """This thread has finished; nothing is expected of it any more."""
        with self._lock:
            self._due.pop(name, None)
            self._troubles.pop(name, None)

    def trouble(self, name: str, text: str) -> None:
        """What keeps this part from working; "" when nothing does."""
        with self._lock:
            if text:
                self._troubles[name] = text
            else:
                self._troubles.pop(name, None)

    def stalled(self) -> list[str]:
        """The threads that should have beaten by now."""
        now = self._monotonic()
        with self._lock:
            return [name for name, due in self._due.items() if due < now]

    def troubles(self) -> dict[str, str]:
        """What is wrong at the moment, by part."""
        with self._lock:
            return dict(self._troubles)
