"""What a destination has to be able to do for the uploader."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from lora_post.spool.model import Batch
from lora_post.times import WallUs


class Sink(ABC):
    """Where readings go: `send` and `stored` are needed, the rest may stay as it is. All methods raise SinkError.

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
        """Return the times of a batch that have arrived already, as far as they are among the `recent` last ones."""

    def prepare(self) -> None:  # noqa: B027 - few have something to do
        """Do whatever is due besides readings; called before each batch."""

    def close(self) -> None:  # noqa: B027 - few have something to do
        """End the connections."""
