"""One destination while lora-post runs: its sink, and an uploader in a thread of its own.

Destinations share the spool file and nothing else; each has its own queue in it, its own connection
and its own back-off, so that one that is down costs the others nothing.
"""

from __future__ import annotations

import time
from functools import partial
from threading import Event, Thread
from typing import TYPE_CHECKING

from msgspec import Struct

from lora_post.config import Config
from lora_post.errors import Problem
from lora_post.net.traffic import Traffic
from lora_post.observed.run_state import DestinationState
from lora_post.observed.signs import Heartbeats
from lora_post.sinks import SINKS
from lora_post.sinks.announced import Announced
from lora_post.sinks.destination import SinkContext
from lora_post.sinks.sink import Sink
from lora_post.spool.arrivals import Arrivals
from lora_post.spool.facts import Facts
from lora_post.spool.queue import Queue
from lora_post.spool.spool_file import SpoolFile
from lora_post.upload.allowance import UploadAllowance
from lora_post.upload.uploader import Uploader

if TYPE_CHECKING:
    from lora_post.net.http_client import OnDate

# A request, or a time-out of another kind; with HTTP each request of a round counts anew.
BEAT_S = 900.0
CUT_S = 2.0  # for a thread to see that its connection was ended, and to note it


class Outlet(Struct, frozen=True):
    """The sink of one destination, with its connection to the spool, its queue and its traffic."""

    name: str
    sink: Sink
    spool_file: SpoolFile
    queue: Queue
    traffic: Traffic


def open_outlet(
    name: str,
    config: Config,
    spool_file: SpoolFile,
    announced: Announced,
    on_date: OnDate | None = None,
    heartbeats: Heartbeats | None = None,
    arrivals: Arrivals | None = None,
) -> Outlet:
    """Make the sink of a configured destination; libraries that only others need are not loaded.

    spool_file: a connection that only this outlet uses. heartbeats: told of each request. arrivals: what this process
    queues.
    """
    alive = partial((heartbeats or Heartbeats()).beat, thread_name(name), BEAT_S)
    queue, traffic = Queue(spool_file, name, arrivals), Traffic()
    context = SinkContext(config.site, queue.lanes_of, partial(Facts, spool_file), announced, traffic, on_date, alive)
    return Outlet(name, SINKS[name].open(config.destinations[name], context), spool_file, queue, traffic)


def thread_name(destination: str) -> str:
    """Return the name of the thread that uploads to a destination."""
    return f"upload {destination}"


class UploadThread:
    """Uploads what is queued for one destination, from `start` until `finish`."""

    def __init__(
        self, outlet: Outlet, uploader: Uploader, allowance: UploadAllowance | None, stop: Event, heartbeats: Heartbeats
    ) -> None:
        """allowance: the uploader's. stop: ends the thread once `wake` is called."""
        self.name = outlet.name
        self.outlet = outlet
        self._uploader = uploader
        self._allowance = allowance
        self._stop = stop
        self._heartbeats = heartbeats
        self._wake = Event()
        self._thread = Thread(target=self._run, name=thread_name(outlet.name), daemon=True)
        self.start = self._thread.start
        self.step = uploader.step
        self.is_closed = uploader.is_closed

    def wake(self) -> None:
        """Have the queue looked at; what is kept before this call is seen."""
        if not self._wake.is_set():  # a look costs a tenth, and the thread clears it before it looks at the queue
            self._wake.set()

    def _run(self) -> None:
        name = self._thread.name
        try:
            self._uploader.run(self._stop, self._wake, lambda wait_s: self._heartbeats.beat(name, wait_s + BEAT_S))
        finally:
            self._heartbeats.end(name)

    @property
    def last_error(self) -> Problem | None:
        """Return why readings wait, None when they do not."""
        return self._uploader.last_error

    def hold_no_longer(self) -> None:
        """Send what is there: nothing more is going to come."""
        if self._allowance:
            self._allowance.hold_no_longer()
        self._wake.set()

    def state(self, spool_file: SpoolFile) -> DestinationState:
        """Return the state of the queue, seen through another connection."""
        queue = Queue(spool_file, self.name)
        counts = queue.counts()
        return DestinationState(
            name=self.name,
            queued=counts.queued,
            parked=counts.parked,
            refused=counts.refused,
            oldest_us=queue.oldest_us(),
            last_us=self._uploader.delivered_us,
            trouble=self.last_error,
            held=self._uploader.held if counts.queued else "",
        )

    def finish(self, deadline: float) -> None:
        """Let the request under way finish, but not beyond a monotonic time; `stop` is set before.

        One that is cut then is an error for the thread, which notes the sensor as in doubt.
        """
        self._wake.set()
        self._thread.join(max(0.0, deadline - time.monotonic()))
        self.outlet.sink.close()
        self._thread.join(CUT_S)
        if not self._thread.is_alive():
            self.outlet.spool_file.close()
