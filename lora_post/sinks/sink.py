"""What a destination has to be able to do for the uploader."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from lora_post.spool.model import Batch
from lora_post.times import WallUs


class Sink(ABC):
    """Sends the readings of one destination. All methods raise SinkError.

    A subclass writes `send` and `stored`; the rest may stay as it is.
    looks_back: of how many of a sensor's last readings `stored` can tell after a restart; 0 for none.
    ask_time: makes a small request whose answer tells the time; None where the other end cannot be asked.
    """

    looks_back: int = 0
    ask_time: Callable[[], object] | None = None

    @abstractmethod
    def send(self, batch: Batch) -> None:
        """Deliver a batch; return when it has arrived.

        Raises Unavailable when nothing was sent, OutcomeUnknown when a part of it may have arrived, Rejected when
        trying again does not help with this sensor, and BatchRefused when it does not help with these values.
        """

    @abstractmethod
    def stored(self, batch: Batch, recent: int) -> Sequence[WallUs]:
        """Return the times of a batch that have arrived already.

        recent: how many of the sensor's last readings to look through, at least.
        """

    def prepare(self) -> None:  # noqa: B027 - few have something to do
        """Do whatever is due besides readings; called before each batch."""

    def close(self) -> None:  # noqa: B027 - few have something to do
        """End the connections."""
