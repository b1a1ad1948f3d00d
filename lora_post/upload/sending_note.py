"""From when on readings were sent that may still be queued: written down for the start after a kill.

That start looks for them in the sink's history from there on. A note for each request would wear the card, one for
each start would make it go through weeks of history. Times are by the sink's clock. It is written down together with
what leaves the queue: a commit of its own would cost as much again.
"""

from __future__ import annotations

from lora_post.spool.queue import Queue
from lora_post.times import WallUs
from lora_post.upload.policy import UploadPolicy


class SendingNote:
    """The note of one queue."""

    def __init__(self, queue: Queue, policy: UploadPolicy) -> None:
        self._queue = queue
        self._every_us = int(policy.note_every_s * 1e6)
        self._every_readings = policy.note_every_readings
        self._settled = 0
        self.since_us: WallUs | None = None
        """As it is written down: 0 when it is not known, None while nothing was sent."""

    def take_over(self, since_us: WallUs) -> None:
        """Go on with what an earlier process has noted, and may have left in doubt."""
        self.since_us = since_us

    def sending(self, now_us: WallUs) -> None:
        """Note, before the first request, that what is sent from now on may still be queued after a kill.

        Raises SpoolError.
        """
        if self.since_us is None:
            self._queue.note_sending(now_us)
            self.since_us = now_us

    def due(self, count: int, since_us: WallUs) -> WallUs | None:
        """Return since_us when it is to be written down, now and then; else None.

        count: how many readings leave the queue; none of the others was sent before since_us.
        """
        if self.since_us is None:
            return None
        is_due = self._settled + count >= self._every_readings or since_us - self.since_us >= self._every_us
        return since_us if is_due else None

    def settled(self, count: int, since_us: WallUs | None) -> None:
        """Take note of readings that have left the queue, and of what was written down with it."""
        self._settled += count
        if since_us is not None:
            self._settled, self.since_us = 0, since_us
