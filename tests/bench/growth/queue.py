"""What a request and a commit cost with more and more sensors that wait, and with a longer and longer queue."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path

from lora_post.clocks.steady import SteadyClock
from lora_post.metrics import Metrics
from lora_post.model import Reading
from lora_post.sinks.sink import Sink
from lora_post.spool.model import Batch
from lora_post.spool.queue import Queue
from lora_post.spool.spool_file import SpoolFile
from lora_post.times import WallUs
from lora_post.uplink.model import Report
from lora_post.upload.uploader import Uploader
from tests.bench.growth.cost import Cost, Prepare
from tests.bench.growth.site import SINK, Running, Traffic, devices, running
from tests.support.build import NOON_US, device, report

GROUP = 64
REQUESTS = 10
BATCH = 100
LOOKS = 32


class Taking(Sink):
    """A sink that takes everything at once. taken: the batches."""

    looks_back = 500

    def __init__(self) -> None:
        self.taken: list[Batch] = []

    def send(self, batch: Batch) -> None:
        self.taken.append(batch)

    def stored(self, batch: Batch, since_us: WallUs) -> Sequence[WallUs]:
        return batch.times_us


class WorkClock:
    """Seconds of measurements only, so that what may take a share of the time has its share of them."""

    def __init__(self) -> None:
        self._gone_s = 1e6
        self._since: float | None = None

    def __call__(self) -> float:
        return self._gone_s + (0.0 if self._since is None else time.process_time() - self._since)

    @contextmanager
    def going(self) -> Iterator[None]:
        self._since = time.process_time()
        yield
        self._gone_s, self._since = self(), None


def queue_up(site: Running, reports: Sequence[Report]) -> None:
    with site.spool_file.transaction() as db:
        site.writer.put(db, reports)
    site.writer.kept()


@contextmanager
def _request(folder: Path, size: int) -> Iterator[Prepare]:
    """Sensors with ten readings each; what was sent comes anew before the next measurement."""
    with running(folder, devices(1)) as site:
        names, times = [f"field-{index}" for index in range(size)], count(NOON_US, 1_000)

        def readings(of: str, many: int) -> list[Report]:
            return [report(Reading("t", 1.5), time_us=next(times), of=device(of)) for _ in range(many)]

        queue_up(site, [each for name in names for each in readings(name, 10)])
        site.arrivals.take(SINK)  # it was there before the uploader
        sink, clock, many = Taking(), WorkClock(), min(REQUESTS, size)
        queue = Queue(SpoolFile(folder / "spool.db"), SINK, site.arrivals)
        uploader = Uploader(queue, sink, Metrics(), clock=SteadyClock(monotonic=clock))

        def send() -> None:
            with clock.going():
                while len(sink.taken) < many:
                    uploader.step()

        def prepare() -> tuple[Callable[[], object], int]:
            queue_up(site, [each for batch in sink.taken for each in readings(batch.lane.device, len(batch.times_us))])
            sink.taken.clear()
            return send, many

        yield prepare


@contextmanager
def _lanes(folder: Path, size: int) -> Iterator[Running]:
    with running(folder, devices(1)) as site:
        queue_up(site, [report(Reading("t", 1), of=device(f"field-{index}")) for index in range(size)])
        yield site


@contextmanager
def _drain_poll(folder: Path, size: int) -> Iterator[Prepare]:
    with _lanes(folder, size) as site:
        queue = Queue(site.spool_file, SINK)

        def look() -> None:
            for _ in range(LOOKS):
                queue.is_owing()

        yield lambda: (look, LOOKS)


@contextmanager
def _drain_poll_parked(folder: Path, size: int) -> Iterator[Prepare]:
    """With the only ready sensor behind all those that are parked."""
    with _lanes(folder, size) as site:
        with site.spool_file.transaction() as db:
            db.execute("UPDATE lane SET parked = 'because' WHERE id < (SELECT max(id) FROM lane)")
        yield lambda: (Queue(site.spool_file, SINK).is_owing, 1)


def _look_at(site: Running) -> None:
    queue = Queue(site.spool_file, SINK)
    queue.counts()
    queue.oldest_us()


@contextmanager
def _look_lanes(folder: Path, size: int) -> Iterator[Prepare]:
    with _lanes(folder, size) as site:
        yield lambda: (partial(_look_at, site), 1)


@contextmanager
def _long(folder: Path, size: int) -> Iterator[Running]:
    """One sensor with so many readings."""
    with running(folder, devices(1)) as site:
        queue_up(site, [report(Reading("t", 1), time_us=NOON_US - number) for number in range(size)])
        yield site


@contextmanager
def _look_long(folder: Path, size: int) -> Iterator[Prepare]:
    with _long(folder, size) as site:
        yield lambda: (partial(_look_at, site), 1)


@contextmanager
def _commit(folder: Path, size: int) -> Iterator[Prepare]:
    with _long(folder, size) as site:
        traffic = Traffic(devices(1))
        yield lambda: (partial(site.pipeline.handle, traffic.frames(GROUP)), GROUP)


@contextmanager
def _settle(folder: Path, size: int) -> Iterator[Prepare]:
    """A whole batch leaves the queue, and comes again before the next measurement."""
    with _long(folder, size) as site:
        queue = Queue(site.spool_file, SINK)
        (lane,) = queue.queued_lanes()
        first = NOON_US + 1

        def prepare() -> tuple[Callable[[], object], int]:
            nonlocal first
            times = [WallUs(first + number) for number in range(BATCH)]
            first += BATCH
            queue_up(site, [report(Reading("t", 1), time_us=time) for time in times])
            return partial(queue.settle, {lane.id: times}), 1

        yield prepare


QUEUE = (
    Cost("a request: choose, claim, settle, by sensors", _request),
    Cost("look whether all is sent, by sensors", _drain_poll),
    Cost("the same, all but one parked", _drain_poll_parked, of_all=True),
    Cost("look at the queue for the page, by sensors", _look_lanes, of_all=True),
    Cost("look at the queue for the page, by readings", _look_long, of_all=True),
    Cost("frame to commit, in groups, by readings", _commit),
    Cost("settle a batch of 100, by readings", _settle),
)
