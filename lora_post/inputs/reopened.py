"""Close an input that fails, and open it again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from lora_post.downlink.through_servers import HasServerQueue, ServerQueue
from lora_post.downlink.transmit import Transmits, Transmitter
from lora_post.errors import ConfigError, Fault, Problem, defect
from lora_post.inputs.gateway_book import GatewayBook
from lora_post.metrics import Metrics
from lora_post.model import Heard
from lora_post.net.backoff import Backoff
from lora_post.text import plural, printable

if TYPE_CHECKING:
    from lora_post.inputs import Input

log = logging.getLogger(__name__)

LONGEST_PAUSE_S: Final = 60.0
AGAIN_AND_AGAIN: Final = 3
"""So many failures in a row are a fault: a restart may help where opening it again does not."""
WELL_AFTER_S: Final = 60.0
"""So long it must work before its failures are forgotten."""


class ReopenedInput:
    """Another input, opened as often as it takes; its failures are its trouble, and counted."""

    def __init__(
        self,
        open_: Callable[[], Input],
        metrics: Metrics,
        wait: Callable[[float], object] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """wait: how to pass the time until the next attempt. Raises ConfigError when it cannot be opened at first."""
        self._open = open_
        self._metrics = metrics
        self._wait = wait
        self._monotonic = monotonic
        self._backoff = Backoff(LONGEST_PAUSE_S)
        self._failure: Problem | None = None
        self._rest: list[Heard] = []  # what it had taken in when it failed
        self._input: Input | None = open_()
        self._opened_s = monotonic()
        self.name = self._input.name

    @property
    def trouble(self) -> Problem | None:
        return self._failure or (self._input.trouble if self._input else None)

    @property
    def gateways(self) -> GatewayBook | None:
        """Return the gateways that it hears now, where it knows them apart."""
        book = getattr(self._input, "gateways", None)
        return book if isinstance(book, GatewayBook) else None

    @property
    def transmitter(self) -> Transmitter | None:
        """Return what sends by it now, where something does."""
        return self._input.transmitter if isinstance(self._input, Transmits) else None

    @property
    def server_queue(self) -> ServerQueue | None:
        """Return the queues of its network server, where it has one."""
        return self._input.server_queue if isinstance(self._input, HasServerQueue) else None

    @property
    def is_awaited(self) -> bool:
        return not isinstance(self._input, Transmits) or self._input.is_awaited

    def events(self, timeout_s: float) -> Sequence[Heard] | None:
        input_ = self._input or self._try_to_open(timeout_s)
        if input_ is None:
            rest, self._rest = self._rest, []
            return rest
        try:
            events = input_.events(timeout_s)
        except Exception as error:  # the inputs' boundary
            self._give_up(input_, error)
            rest, self._rest = self._rest, []
            return rest
        if self._failure and self._monotonic() - self._opened_s > WELL_AFTER_S:
            log.warning("input %s works again", self.name)
            self._failure = None
            self._backoff.succeed()
        return events

    def drain(self) -> Sequence[Heard]:
        return [*self._rest, *(_drained(self._input) if self._input else ())]

    def kept(self) -> None:
        if self._input is None:
            return
        try:
            self._input.kept()
        except Exception as error:  # all that it gave is on disk
            self._give_up(self._input, error)

    def close(self) -> None:
        if self._input is not None:
            _close(self._input)

    def _try_to_open(self, timeout_s: float) -> Input | None:
        left_s = self._backoff.until - self._monotonic()
        if left_s > 0:
            self._wait(min(left_s, timeout_s))
            return None
        try:
            self._input = self._open()
        except Exception as error:
            self._note(error)
            return None
        self._opened_s = self._monotonic()
        log.warning("input %s is open again", self.name)
        return self._input

    def _give_up(self, input_: Input, error: Exception) -> None:
        self._input = None
        self._note(error)
        self._rest += _drained(input_)
        _close(input_)

    def _note(self, error: Exception) -> None:
        self._metrics.count("input_failures", self.name)
        self._backoff.fail(self._monotonic())
        why = printable(str(error)) if isinstance(error, (OSError, ConfigError)) else defect(error)
        times = self._backoff.failures
        log.warning("input %s failed, %s in a row, it is opened again: %s", self.name, plural(times, "time"), why)
        kind = Fault if times >= AGAIN_AND_AGAIN else Problem
        self._failure = kind(f"failed {plural(times, 'time')} in a row: {why}", "the log has more; it is opened again")


def _drained(input_: Input) -> Sequence[Heard]:
    try:
        return input_.drain()
    except Exception as error:
        defect(error)
        return ()


def _close(input_: Input) -> None:
    try:
        input_.close()
    except Exception as error:
        defect(error)
