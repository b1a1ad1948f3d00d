"""Give the frames of a capture at the pace at which they were heard."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from lora_post.errors import Problem
from lora_post.model import ClearUplink, Heard, Noise
from lora_post.times import StampUs

if TYPE_CHECKING:
    from lora_post.inputs import Input

MAX_GAP_US: Final = 86_400_000_000
"""A longer gap is the jump of a clock that was set, from 1970 to today for example."""


class PacedInput:
    """Another input's events at the pace at which they were heard, times speed.

    Frames whose time lies before the last one's follow at once; noise has no time and follows the frame before it.
    wait: passes that many seconds, and returns early when everything is to stop.
    """

    def __init__(
        self,
        input_: Input,
        speed: float,
        wait: Callable[[float], object],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = input_.name
        self.trouble: Problem | None = None  # a capture has none
        self._input = input_
        self._speed = speed
        self._wait = wait
        self._monotonic = monotonic
        self._pending: deque[Heard] = deque()
        self._last_us: StampUs | None = None
        self._due_s = 0.0  # of the first pending frame
        self._is_timed = False  # _due_s is that of the first pending frame

    def events(self, timeout_s: float) -> Sequence[Heard] | None:
        if not self._pending:
            events = self._input.events(timeout_s)
            if events is None:
                return None
            self._pending.extend(events)
        due: list[Heard] = []
        while self._pending:
            left_s = self._left_s(self._pending[0])
            if left_s > 0:
                if not due:
                    self._wait(min(left_s, timeout_s))
                break
            due.append(self._pending.popleft())
            self._is_timed = False
        return due

    def drain(self) -> Sequence[Heard]:
        """Return nothing: what was not due yet is still in the capture."""
        return []

    def kept(self) -> None:
        self._input.kept()

    def close(self) -> None:
        self._input.close()

    def _left_s(self, event: Heard) -> float:
        """Return the seconds until an event is due."""
        now_s = self._monotonic()
        if isinstance(event, Noise):
            return 0.0
        if not self._is_timed:
            self._is_timed = True
            time_us = (event.frame if isinstance(event, ClearUplink) else event).time_us
            if self._last_us is None:
                self._due_s = now_s
            else:
                gap_us = time_us - self._last_us
                self._due_s += min(max(gap_us, 0), MAX_GAP_US) / 1_000_000 / self._speed
            self._last_us = time_us
        return self._due_s - now_s
