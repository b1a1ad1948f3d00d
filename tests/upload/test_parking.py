"""What is said of parked sensors: each reason once for each device, though every sensor is parked."""

from __future__ import annotations

import logging
from contextlib import closing
from pathlib import Path

import pytest

from lora_post.clocks.scale import now_us
from lora_post.errors import Problem
from lora_post.metrics import Metrics
from lora_post.model import Reading
from lora_post.spool.lanes import parked
from lora_post.spool.queue import Queue
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from lora_post.times import WallUs
from lora_post.upload.parking import MAX_TOLD, Parking
from lora_post.upload.policy import UploadPolicy
from tests.support.build import device, report

FOREIGN = Problem("the device belongs to another account", "give it another id")


def test_foreign_device_is_one_line_of_the_log_whatever_it_measures(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(SpoolFile(tmp_path / "spool.db")) as store:
        readings = [Reading(name, 1) for name in "abcd"]
        with store.transaction() as db:
            writer = QueueWriter(store, ["waziup"], 1 << 30)
            writer.put(db, [report(*readings), report(*readings, of=device("field-9"))])
        queue, metrics = Queue(store, "waziup"), Metrics()
        parking = Parking(queue, metrics, UploadPolicy(), now_us)

        def said_of(why: Problem) -> list[str]:
            caplog.clear()
            for lane in queue.lanes_of("pond-7"):
                parking.park(lane, why)
            return [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]

        line = f"waziup: parked device=pond-7 sensor=a: {FOREIGN}"
        assert said_of(FOREIGN) == [line]
        assert said_of(FOREIGN) == []  # a day later
        assert len(said_of(Problem("its value is too long"))) == 1
        assert said_of(FOREIGN) == []
        parking.park(queue.lanes_of("field-9")[0], FOREIGN)
        assert f"waziup: parked device=field-9 sensor=a: {FOREIGN}" in caplog.messages
        assert len(parked(store)) == 5
        assert metrics.total("parked") == 17
        for number in range(MAX_TOLD):
            said_of(Problem(f"reason {number}"))
        assert said_of(FOREIGN) == [line]


@pytest.mark.parametrize(("parked_days_ago", "is_released"), [(0.5, False), (1.5, True), (-365 * 30, True)])
def test_sensor_is_tried_again_after_a_day_and_not_when_a_clock_that_was_ahead_says(
    tmp_path: Path, parked_days_ago: float, is_released: bool
) -> None:
    """Parked while the clock was 30 years ahead, it would have waited for 30 years."""
    with closing(SpoolFile(tmp_path / "spool.db")) as store:
        with store.transaction() as db:
            QueueWriter(store, ["waziup"], 1 << 30).put(db, [report(Reading("a", 1))])
        queue = Queue(store, "waziup")
        wall_us = WallUs(now_us() - int(parked_days_ago * 86_400_000_000))
        parking = Parking(queue, Metrics(), UploadPolicy(), lambda: wall_us)
        parking.park(queue.lanes_of("pond-7")[0], FOREIGN)
        wall_us = now_us()
        parking.release(0.0)
        assert bool(queue.waiting()) is is_released
