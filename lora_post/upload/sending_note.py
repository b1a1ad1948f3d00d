"""From when on readings were sent that may still be queued: written down for the start after a kill.

That start looks for them in the sink's history from there on. A note for each request would wear the card, one for
each start would make it go through weeks of history. Times are by the sink's clock.
"""

from __future__ import annotations

from lora_post.spool.queue import Queue
from lora_post.times import WallUs
from lora_post.upload.policy import UploadPolicy


class SendingNote:
    """The note of one queue. All methods raise SpoolError."""

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
        """Note, before the first request, that what is sent from now on may still be queued after a kill."""
        if self.since_us is None:
            self._write(now_us)

    def settled(self, count: int, since_us: WallUs) -> None:
        """Note now and then that nothing that is still queued was sent before a time. count: what left the queue."""
        self._settled += count
        if self.since_us is None or (
            self._settled < self._every_readings and since_us - self.since_us < self._every_us
        ):
            return
        self._write(since_us)

    def _write(self, since_us: WallUs) -> None:
        self._settled = 0
        if since_us != self.since_us:
            self._queue.note_sending(since_us)
            self.since_us = since_us
