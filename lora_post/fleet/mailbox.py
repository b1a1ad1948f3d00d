"""Hand calls from other threads to one thread."""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty, SimpleQueue


class Mailbox:
    """Calls for one thread, done in their order; `put` is for any thread."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[Callable[[], None]] = SimpleQueue()

    def put(self, call: Callable[[], None]) -> None:
        """Queue a call for the next `do`."""
        self._calls.put(call)

    def do(self, wait_s: float = 0.0) -> None:
        """Do all that has come; wait so long for the first. What a call raises leaves the others for the next time."""
        while (call := self._next(wait_s)) is not None:
            call()
            wait_s = 0.0

    def _next(self, wait_s: float) -> Callable[[], None] | None:
        try:
            return self._calls.get(timeout=wait_s)
        except Empty:
            return None
