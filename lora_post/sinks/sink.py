"""Define what the uploader needs of a destination."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from lora_post.clocks.scale import now_us
from lora_post.errors import NotSent, OutcomeUnknown
from lora_post.spool.model import Batch
from lora_post.times import WallUs


class Sink(ABC):
    """Sends the readings of one destination. All methods raise SinkError.

    A subclass writes `send` and `stored`; the rest may stay as it is.
    looks_back: of how many of a sensor's last readings `stored` can tell after a restart; 0 for none.
    goes_on: whether the other end may still act on a request after the connection to it was cut.
    ask_time: makes a small request whose answer tells the time; None where the other end cannot be asked.
    """

    looks_back: int = 0
    goes_on: bool = True
    ask_time: Callable[[], object] | None = None

    @abstractmethod
    def send(self, batch: Batch) -> None:
        """Deliver a batch; return when it has arrived.

        Raises Unavailable when nothing was sent, NotSent when that is due to this sensor alone, OutcomeUnknown when a
        part of it may have arrived, Rejected when trying again does not help with this sensor, and BatchRefused when
        it does not help with these values.
        """

    @abstractmethod
    def stored(self, batch: Batch, since_us: WallUs) -> Sequence[WallUs]:
        """Return the times of a batch that have arrived already.

        since_us: none of them was sent before, by `clock_us`; a sink that needs no such bound does not look at it.
        """

    def clock_us(self) -> WallUs:
        """Return the time by the clock of the other end, or a little less; this machine's where it does not tell."""
        return now_us()

    def prepare(self) -> None:  # noqa: B027 - few have something to do
        """Do whatever is due besides readings; called before each batch."""

    def close(self) -> None:  # noqa: B027 - few have something to do
        """End the connections; another thread may be waiting at one, and is to get an error soon."""


@contextmanager
def nothing_is_sent() -> Iterator[None]:
    """Raise NotSent in place of OutcomeUnknown in this block: it sends no reading."""
    try:
        yield
    except OutcomeUnknown as error:
        raise NotSent(error.what, error.retry_after_s, fix=error.fix) from error
