"""Hold what the threads of a run tell: that they get on, what keeps them from it, when frames came."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock

from lora_post.clocks.steady import SteadyClock
from lora_post.errors import Problem
from lora_post.times import NEVER, SteadyUs


class Heartbeats:
    """The threads that must get round their loops; one that has not for longer than it may is stalled."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = Lock()
        self._due: dict[str, float] = {}

    def beat(self, name: str, within_s: float) -> None:
        """Note that this thread is alive, and is to beat again within so many seconds."""
        with self._lock:
            self._due[name] = self._monotonic() + within_s

    def end(self, name: str) -> None:
        """Expect nothing more of this thread: it has finished."""
        with self._lock:
            self._due.pop(name, None)

    def stalled(self) -> list[str]:
        """Return the threads that should have beaten by now."""
        now = self._monotonic()
        with self._lock:
            return [name for name, due in self._due.items() if due < now]


class Troubles:
    """What keeps parts of the run from working."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._by_part: dict[str, Problem] = {}

    def tell(self, name: str, trouble: Problem | None) -> None:
        """Replace what keeps this part from working; None for nothing."""
        with self._lock:
            if trouble:
                self._by_part[name] = trouble
            else:
                self._by_part.pop(name, None)

    def by_part(self) -> dict[str, Problem]:
        """Return what is wrong at the moment."""
        with self._lock:
            return dict(self._by_part)


class LastFrames:
    """When each input gave its latest frame."""

    def __init__(self, clock: SteadyClock) -> None:
        self._clock = clock
        self._lock = Lock()
        self._last_us: dict[str, SteadyUs] = {}

    def opened(self, name: str) -> None:
        """Note that this input exists; when it last gave a frame stays known."""
        with self._lock:
            self._last_us.setdefault(name, NEVER)

    def heard(self, name: str) -> None:
        """Note that this input has just given a frame."""
        with self._lock:
            self._last_us[name] = self._clock.now_us()

    def moments(self) -> dict[str, SteadyUs]:
        """Return the moment of each input's latest frame, NEVER for none."""
        with self._lock:
            return dict(self._last_us)


class Signs:
    """Heartbeats, troubles and last frames of one run; shared between its threads."""

    def __init__(self, clock: SteadyClock | None = None) -> None:
        clock = clock or SteadyClock()
        self.heartbeats = Heartbeats(clock.monotonic)
        self.troubles = Troubles()
        self.last_frames = LastFrames(clock)
