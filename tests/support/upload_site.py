"""One lora-post from its spool to a server, which a test makes work step by step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any

from msgspec.structs import replace

from lora_post.clocks.steady import SteadyClock
from lora_post.config.upload import UploadRules
from lora_post.metrics import Metrics
from lora_post.model import Device, Reading, Value
from lora_post.net.traffic import Traffic
from lora_post.sandbox.endpoint import Settings
from lora_post.secret import Account, Secret
from lora_post.sinks.announced import Announced
from lora_post.sinks.destination import DeviceBook, SinkContext
from lora_post.sinks.destination import Site as Declared
from lora_post.sinks.sink import Sink
from lora_post.sinks.waziup.client import WaziupClient
from lora_post.sinks.waziup.sink import WaziupSink
from lora_post.spool.facts import Facts
from lora_post.spool.queue import Queue
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from lora_post.uplink.model import Report
from lora_post.upload.allowance import UploadAllowance
from lora_post.upload.policy import UploadPolicy
from lora_post.upload.uploader import Uploader
from tests.support.build import NOON_US, device, report
from tests.support.command import PATIENCE_S
from tests.support.lanes import ready_lanes

USERS = Settings(users={"demo": "demo", "alice": "alice", "admin": "admin"})
DEMO = Account("demo", Secret("demo"))
ATTENTIVE = UploadPolicy(search_share=float("inf"))
"""What a test queues, as another process does, is found at the next step: when it was is not the machine's to say."""

IMPATIENT = replace(
    ATTENTIVE,
    first_pause_s=0.01,
    max_sink_pause_s=0.01,
    max_lane_pause_s=0.01,
    ask_after_s=0.01,
    ask_after_per_reading_s=0.0,
    late_s=0.01,
    late_per_reading_s=0.0,
    pace_s=0.01,
    idle_s=0.05,
)
"""Back-off and the waits before asking are as short as they can be; what is asked stays."""


class WatchedUploader(Uploader):
    """One whose queue can be looked into."""

    def __init__(
        self,
        queue: Queue,
        sink: Sink,
        metrics: Metrics,
        allowance: UploadAllowance | None = None,
        clock: SteadyClock | None = None,
        policy: UploadPolicy | None = None,
    ) -> None:
        self.queue = queue
        super().__init__(queue, sink, metrics, allowance, clock, policy)

    def is_idle(self) -> bool:
        """Return whether nothing is queued but what is parked."""
        return not ready_lanes(self.queue)


def context_of(
    store: SpoolFile,
    destination: str,
    *devices: Device,
    announced: Announced | None = None,
    visibility: str = "private",
    gateway_id: str = "gw1",
) -> SinkContext:
    """What the sink of a destination gets in `lora-post run`."""
    declared = Declared(gateway_id, "Farm (north)", visibility, DeviceBook(devices))
    lanes_of = Queue(store, destination).lanes_of
    return SinkContext(declared, lanes_of, partial(Facts, store), announced or Announced(), Traffic(), None)


class Site:
    """A spool file and uploaders that use it. A test may set the clocks, rules and policy.

    changes: of the configuration: pond_name, pond_location, pond_moves, gateway_name, gateway_location.
    """

    def __init__(self, folder: Path, url: str, policy: UploadPolicy | None = None, gateway_id: str = "gw1") -> None:
        self.gateway_id = gateway_id
        self.path = folder / "spool.db"
        self.url = url
        self.store = SpoolFile(self.path)
        self.metrics = Metrics()
        self.clients: list[WaziupClient] = []
        self.rules = UploadRules()
        self.changes: dict[str, Any] = {}
        self.policy = policy or ATTENTIVE
        self.clock: Callable[[], float] = time.time
        self.monotonic: Callable[[], float] = time.monotonic

    def put(self, *reports: Report) -> None:
        writer = QueueWriter(self.store, ["waziup"], 1 << 30)
        with self.store.transaction() as db:
            writer.put(db, reports)

    def put_values(self, name: str, *values: Value, device_id: str = "pond-7", unit: str = "") -> None:
        pond = device(device_id)
        self.put(
            *(
                report(Reading(name, value, unit), time_us=NOON_US + second * 1_000_000, of=pond)
                for second, value in enumerate(values)
            )
        )

    def queue(self) -> Queue:
        """Return the queue, for a look from outside or for an uploader."""
        return Queue(self.store, "waziup")

    def uploader(
        self,
        account: Account | None = DEMO,
        *,
        provision: bool = True,
        client: WaziupClient | None = None,
        visibility: str = "private",
        queue: Queue | None = None,
    ) -> WatchedUploader:
        queue = queue or self.queue()
        sink = self.sink(account, provision=provision, client=client, visibility=visibility)
        # The clocks are looked up each time: a test may move them meanwhile.
        traffic = self.clients[-1]._http.traffic
        self.allowance = UploadAllowance(self.rules, traffic, self.store, queue.sink, lambda: self.clock())
        clock = SteadyClock(monotonic=lambda: self.monotonic())
        return WatchedUploader(queue, self.around(sink), self.metrics, self.allowance, clock, self.policy)

    def sink(
        self,
        account: Account | None = DEMO,
        *,
        provision: bool = True,
        client: WaziupClient | None = None,
        visibility: str = "private",
    ) -> WaziupSink:
        client = client or WaziupClient(self.url)
        client.account = account
        self.clients.append(client)
        changes = {"pond_name": "Pond 7 (west)", "gateway_name": "Farm (north)"} | self.changes
        pond = device("pond-7", name=changes["pond_name"])
        pond = replace(pond, visibility=visibility, location=changes.get("pond_location"))
        pond = replace(pond, moves=changes.get("pond_moves", False))
        context = context_of(self.store, "waziup", pond, visibility=visibility, gateway_id=self.gateway_id)
        names = {"gateway_name": changes["gateway_name"], "location": changes.get("gateway_location")}
        context = replace(context, site=replace(context.site, **names))
        return WaziupSink(client, context, Facts(self.store, self.url), provision=provision)

    def around(self, sink: WaziupSink) -> Sink:
        """Return the sink as the uploader is to see it."""
        return sink

    def close(self) -> None:
        self.store.close()
        for client in self.clients:
            client.close()


@contextmanager
def running(uploader: Uploader) -> Iterator[None]:
    """Run the uploader in a thread of its own."""
    stop, wake = Event(), Event()
    thread = Thread(target=uploader.run, args=(stop, wake))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        wake.set()
        thread.join()


def end(uploader: Uploader) -> None:
    """Tell an uploader to stop; without this, it was killed."""
    stop = Event()
    stop.set()
    uploader.run(stop, Event())


def work(uploader: WatchedUploader, until: Callable[[], bool] | None = None) -> None:
    """Step until nothing is left that could go out (or `until`)."""
    deadline = time.monotonic() + PATIENCE_S
    while not (until() if until else uploader.is_idle()):
        assert time.monotonic() < deadline, uploader.last_error
        Event().wait(uploader.step())
