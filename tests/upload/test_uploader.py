"""The loop, with a real spool and a sink that does what a test says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event

import pytest

from lora_post.errors import Unavailable
from lora_post.metrics import Metrics
from lora_post.model import Reading
from lora_post.sinks.sink import Sink
from lora_post.spool.lanes import parked
from lora_post.spool.model import Batch
from lora_post.spool.queue import Queue
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from lora_post.times import WallUs
from lora_post.upload.policy import UploadPolicy
from lora_post.upload.uploader import Uploader
from tests.support.build import report

SINK = "waziup"
AT_ONCE = UploadPolicy(first_pause_s=0.0, max_sink_pause_s=0.0)
ROUNDS = 30


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SpoolFile]:
    store = SpoolFile(tmp_path / "spool.db")
    with store.transaction() as db:
        QueueWriter(store, [SINK], 1 << 30).put(db, [report(Reading("t", 1))])
    yield store
    store.close()


class Broken(Sink):
    """Cannot be reached, and every second time has a defect that is not about any sensor."""

    def __init__(self, stop: Event) -> None:
        self._stop = stop
        self.rounds = 0

    def prepare(self) -> None:
        self.rounds += 1
        if self.rounds == ROUNDS:
            self._stop.set()
        assert self.rounds % 2, "one that nobody thought of"

    def send(self, batch: Batch) -> None:
        raise Unavailable("no network")

    def stored(self, batch: Batch, since_us: WallUs) -> Sequence[int]:
        return []


def test_defect_is_not_blamed_on_the_sensor_that_was_served_before(store: SpoolFile) -> None:
    stop = Event()
    sink = Broken(stop)
    Uploader(Queue(store, SINK), sink, Metrics(), policy=AT_ONCE).run(stop, Event())
    assert sink.rounds == ROUNDS
    assert parked(store) == []
