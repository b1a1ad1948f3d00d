"""What the uploader needs of a destination."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from lora_post.model import Batch


class Sink(Protocol):
    """Where readings go. All methods raise SinkError."""

    @property
    def looks_back(self) -> int:
        """Of how many of a sensor's last readings `stored` can tell after a restart; below MAX_BATCH when of none."""
        ...

    def prepare(self) -> None:
        """Whatever is due besides readings."""
        ...

    def send(self, batch: Batch) -> None:
        """Deliver a batch."""
        ...

    def stored(self, batch: Batch, recent: int) -> Sequence[int]:
        """The times of a batch that have arrived already, as far as they are among the `recent` last ones."""
        ...
