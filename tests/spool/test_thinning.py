"""Readings that say nothing new."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from lora_post.model import Device, Reading, SensorRule, Value
from lora_post.spool.ledger import SpoolLedger
from lora_post.spool.queue import Queue
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from lora_post.spool.tallies import tallies
from lora_post.spool.thinning import THINNED, says_nothing_new
from lora_post.uplink.model import Session
from tests.support.build import NOON_US, device, report
from tests.support.keeping import keep
from tests.support.lanes import ready_lanes

SINK = "waziup"
MINUTE_US = 60_000_000
RULE = SensorRule("t", deadband=0.2, min_interval_s=60.0, max_interval_s=3600.0)


@pytest.mark.parametrize(
    ("rule", "age_s", "last", "value", "left_out"),
    [
        (RULE, 59, 20.0, 99.0, True),
        (RULE, 60, 20.0, 20.3, False),
        (RULE, 60, 20.0, 20.1, True),
        (RULE, 60, 22.7, 22.9, True),  # exactly the deadband, although not in binary
        (RULE, 3599, 20.0, 20.0, True),
        (RULE, 3600, 20.0, 20.0, False),
        (SensorRule("t", deadband=0), 1, 20, 20.0, True),
        (SensorRule("t", deadband=0), 1, 20, 21, False),
        (SensorRule("t", deadband=2), 1, True, False, False),
        (SensorRule("t", deadband=2), 1, True, True, True),
        (SensorRule("t", deadband=2), 1, True, 1, False),
        (SensorRule("t", deadband=2), 1, "open", "open", True),
        (SensorRule("t", deadband=2), 1, "open", "shut", False),
        (SensorRule("t", deadband=2), 1, {"x": 1}, {"x": 2}, False),
        (SensorRule("t", min_interval_s=60), 61, 20.0, 20.0, False),
        (SensorRule("t", min_interval_s=60), 0, 20.0, 99.0, True),
    ],
)
def test_what_says_nothing_new(rule: SensorRule, age_s: float, last: Value, value: Value, left_out: bool) -> None:
    assert says_nothing_new(rule, age_s, last, value) is left_out


class Site:
    def __init__(self, path: Path, *sensors: SensorRule) -> None:
        self.device: Device = device(sensors=sensors)
        self.spool_file = SpoolFile(path)
        self.ledger = SpoolLedger(self.spool_file, [self.device], QueueWriter(self.spool_file, [SINK], 1 << 30))

    def keep(self, *readings: Reading, minute: int) -> None:
        with self.ledger.group() as group:
            said = report(*readings, time_us=NOON_US + minute * MINUTE_US, of=self.device)
            keep(group, said, Session(self.device, minute))

    def queued(self, name: str = "t") -> list[object]:
        reader = Queue(self.spool_file, SINK)
        batches = [reader.claim(lane, 1000) for lane in ready_lanes(reader) if lane.name == name]
        return [msgspec.json.decode(value) for batch in batches if batch for value in batch.values]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path / "spool.db", SensorRule("raw", rename="t", deadband=0.5, max_interval_s=3600))
    yield site
    site.spool_file.close()


def test_only_the_named_sensor_is_thinned_and_what_is_left_out_is_counted(site: Site) -> None:
    for minute, value in enumerate([20, 20.1, 20.4, 20.6, 20.6, 19]):
        site.keep(Reading("t", value), Reading("h", 1), minute=minute)
    assert site.queued() == [20, 20.6, 19]
    assert site.queued("h") == [1] * 6
    assert tallies(site.spool_file.db) == {THINNED: 3}


def test_slow_drift_is_seen_because_the_last_value_kept_counts(site: Site) -> None:
    for minute in range(11):
        site.keep(Reading("t", minute / 10), minute=minute)
    assert site.queued() == [0, 0.6]


def test_constant_value_is_sent_now_and_then(site: Site) -> None:
    for minute in range(0, 181, 10):
        site.keep(Reading("t", 20), minute=minute)
    assert site.queued() == [20] * 4


def test_restart_does_not_matter(tmp_path: Path, site: Site) -> None:
    site.keep(Reading("t", 20), minute=0)
    again = Site(tmp_path / "spool.db", *site.device.sensors)
    again.keep(Reading("t", 20.2), minute=1)
    assert again.queued() == [20]
    again.spool_file.close()


def test_history_that_comes_late_is_kept(site: Site) -> None:
    site.keep(Reading("t", 20), minute=60)
    site.keep(Reading("t", 20), minute=30)
    site.keep(Reading("t", 20, age_s=600), minute=61)
    assert site.queued() == [20, 20, 20]


def test_what_was_not_stored_was_not_kept(site: Site) -> None:
    site.keep(Reading("t", 20), minute=0)
    with pytest.raises(ZeroDivisionError), site.ledger.group() as group:
        keep(group, report(Reading("t", 30), time_us=NOON_US + MINUTE_US, of=site.device), Session(site.device))
        site.ledger._shelf._thinner.thin(site.spool_file.db, group.reports)
        raise ZeroDivisionError
    site.keep(Reading("t", 30), minute=2)
    assert site.queued() == [20, 30]
