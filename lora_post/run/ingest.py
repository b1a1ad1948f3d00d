"""From an input into the pipeline, until the input ends or `stop` is set."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from threading import Event, Thread
from typing import Protocol, Self

from lora_post.clocks.gateway import Times
from lora_post.downlink.transmit import Transmits
from lora_post.errors import Fault, Problem, SpoolError, defect
from lora_post.inputs import Input
from lora_post.metrics import Metrics
from lora_post.model import Heard as Heard
from lora_post.model import Noise, NoiseReason
from lora_post.observed.signs import Signs
from lora_post.run.answered_first import answered_first
from lora_post.text import plural

log = logging.getLogger(__name__)

READ_TIMEOUT_S = 0.5
STORE_RETRY_S = 5.0
# So many events are kept in one transaction: meanwhile no other input is served, and nobody else can write. One read
# can give thousands, and a decoder may take its time over each.
MAX_TOGETHER = 256
# Getting round takes half a second, unless the store is slow; a decoder that never returns is found out by this.
BEAT_S = 60.0
STORE = "spool"
# Python runs signal handlers in the main thread. The system may have told another one while this one waits for a lock:
# a SIGTERM was then not heard of until the next signal.
SIGNAL_S = 0.5


class Taker(Protocol):
    """Takes what inputs give: a pipeline."""

    metrics: Metrics

    def taking(self, times: Times, way_back: Transmits | None = None) -> Self:
        """Return the same for an input whose times are worth this. way_back: the input, where it can send."""
        ...

    def handle(self, events: Sequence[Heard]) -> None:
        """Keep events. Raises SpoolError when nothing could be kept; they are then handed in again."""
        ...


def pump(input_: Input, pipeline: Taker, stop: Event, signs: Signs) -> None:
    """Feed everything that arrives.

    When the store cannot be written, nothing more is read until it can: the input waits, no frame is lost.
    """
    signs.last_frames.opened(input_.name)
    keeper = _Keeper(input_, pipeline, stop, signs)
    try:
        while not stop.is_set():
            keeper.beat()
            events = input_.events(READ_TIMEOUT_S)
            if events is None:
                return
            signs.troubles.tell(input_.name, input_.trouble)
            began = time.monotonic()
            if keeper.keep(events):
                input_.kept()
            if events:
                pipeline.metrics.observe("accept_duration", time.monotonic() - began)
            if events and not all(isinstance(event, Noise) for event in events):
                signs.last_frames.heard(input_.name)
        if keeper.keep(input_.drain()):
            input_.kept()
    finally:
        signs.heartbeats.end(input_.name)
        signs.troubles.tell(input_.name, None)


def pump_all(inputs: Sequence[tuple[Input, Times]], pipeline: Taker, stop: Event, signs: Signs) -> list[Exception]:
    """Pump each input in a thread until all have ended or `stop` is set; return what broke off.

    Raises BrokenPipeError when the reader of stdout has ended.
    """
    broken: list[Exception] = []
    threads = [
        Thread(
            target=_pump_safely,
            args=(
                input_,
                pipeline.taking(times, input_ if isinstance(input_, Transmits) else None),
                stop,
                signs,
                broken,
            ),
            name=input_.name,
        )
        for input_, times in inputs
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(SIGNAL_S)
    for error in broken:
        if isinstance(error, BrokenPipeError):
            raise error
    return broken


def _pump_safely(input_: Input, pipeline: Taker, stop: Event, signs: Signs, broken: list[Exception]) -> None:
    try:
        pump(input_, pipeline, stop, signs)
    except BrokenPipeError as error:
        broken.append(error)
        stop.set()
    except Exception as error:
        broken.append(error)
        log.exception("input %s has stopped over a defect", input_.name)
        signs.troubles.tell(input_.name, Fault(f"has stopped: {defect(error)}", "restart lora-post"))
    finally:
        input_.close()


class _Keeper:
    """Hands events to the pipeline until they are kept."""

    def __init__(self, input_: Input, pipeline: Taker, stop: Event, signs: Signs) -> None:
        self._input = input_
        self._pipeline = pipeline
        self._stop = stop
        self._signs = signs

    def beat(self) -> None:
        self._signs.heartbeats.beat(self._input.name, BEAT_S)

    def keep(self, events: Sequence[Heard]) -> bool:
        """Return whether all is kept or refused, so that the input need not give it again."""
        left = len(events)
        for part in self._parts(events):
            if not self._keep(part):
                log.error("stopped, and %s could not be stored", plural(left, "frame"))
                return False
            left -= len(part)
            self.beat()
        return True

    def _parts(self, events: Sequence[Heard]) -> Iterable[Sequence[Heard]]:
        """Return what is kept in one transaction each; where nothing is answered, as few as possible."""
        if isinstance(self._input, Transmits) and self._input.transmitter:
            return answered_first(events, MAX_TOGETHER)
        return (events[at : at + MAX_TOGETHER] for at in range(0, len(events), MAX_TOGETHER))

    def _keep(self, events: Sequence[Heard]) -> bool:
        trouble: Problem | None = None
        while True:
            try:
                self._pipeline.handle(events)
                if trouble:
                    log.warning("storing readings again")
                    self._signs.troubles.tell(STORE, None)
                return True
            except SpoolError as error:
                if error.problem != trouble:
                    log.error("cannot store readings, input waits: %s", error)
                trouble = error.problem
                self._signs.troubles.tell(STORE, trouble)
                if self._stop.wait(STORE_RETRY_S):
                    return False
                self.beat()
            except OSError:
                raise  # what is printed has nowhere to go
            except Exception as error:
                if len(events) == 1:
                    log.error("skipped over a defect, %s: %s", defect(error), events[0])
                    self._pipeline.metrics.count("noise", NoiseReason.DEFECT)
                    return True
                # One of them is at fault; the others, which nothing was kept of, go through.
                return all([self._keep([event]) for event in events])
