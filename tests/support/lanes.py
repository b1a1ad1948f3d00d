"""The lanes of a queue, as tests look at them."""

from __future__ import annotations

from lora_post.spool.model import Lane
from lora_post.spool.queue import Queue


def ready_lanes(queue: Queue) -> list[Lane]:
    """Return the lanes with readings that can be sent: of known time, not parked."""
    return [waiting.lane for waiting in queue.waiting()]
