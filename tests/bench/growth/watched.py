"""What page, metrics and alerts cost with more and more devices, all of which have been heard."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from itertools import count, cycle
from pathlib import Path

from msgspec import json
from msgspec.structs import replace

from lora_post.alerts.book import CLEAR_AFTER_US
from lora_post.alerts.loop import AlertLoop
from lora_post.config.alerts import AlertLimits
from lora_post.metrics import Metrics
from lora_post.model import Device, Reading
from lora_post.observed.run_state import Disk, InputState, RunState
from lora_post.observed.site_state import SiteState
from lora_post.observed.verdict import judge
from lora_post.spool.facts import Facts
from lora_post.spool.spool_file import SpoolFile
from lora_post.status.overview import news, whole
from lora_post.status.prometheus import metrics_text
from lora_post.times import SteadyUs
from lora_post.uplink.model import Report
from tests.bench.growth.cost import Cost, Prepare
from tests.bench.growth.site import STEP, devices
from tests.support.build import report

MANY = 64
TOGETHER = 10_000
DAY_US = 86_400_000_000
LIMITS = AlertLimits(DAY_US, DAY_US, DAY_US, 20.0, 3.3)


class Heard:
    """A site of which every device was heard, with five sensors."""

    def __init__(self, size: int) -> None:
        self._devices = devices(size)
        self._numbers = count()
        self.site = SiteState(self._devices)
        self.state = RunState(
            gateway="gw1",
            started_us=self.site.clock.now_us(),
            now_us=self.site.clock.now_us(),
            inputs=(InputState("stdin", self.site.clock.now_us()),),
            destinations=(),
            disk=Disk(1 << 40, 1 << 41, 1 << 20),
            stalled=(),
            troubles={},
            limits=LIMITS,
        )
        for one in self._devices:
            self.site.hear(self._report(one))

    def next_report(self) -> Report:
        return self._report(self._devices[next(self._numbers) * STEP % len(self._devices)])

    def _report(self, of: Device) -> Report:
        names = ("temperature_1", "relative_humidity_2", "voltage_3", "rain_4", "wind_5")
        readings = [Reading(name, 20.5, "°C") for name in names]
        return report(*readings, time_us=self.site.clock.now_us(), of=of)

    def look(self) -> RunState:
        return self.state


class Turns:
    """Sites that hear a frame by turns, of as many devices together whatever the number of each.

    In the field a device sends every ten minutes: what is known of it is in no cache of the processor any more. Of a
    single small site it would be, and that would be measured.
    """

    def __init__(self, size: int) -> None:
        self._heard = cycle([Heard(size) for _ in range(max(1, TOGETHER // size))])

    def next(self) -> tuple[SiteState, Report]:
        heard = next(self._heard)
        return heard.site, heard.next_report()


@contextmanager
def _hear(folder: Path, size: int) -> Iterator[Prepare]:
    turns = Turns(size)

    def work(frames: list[tuple[SiteState, Report]]) -> None:
        for site, each in frames:
            site.hear(each)

    yield lambda: (partial(work, [turns.next() for _ in range(MANY)]), MANY)


@contextmanager
def _status_json(folder: Path, size: int) -> Iterator[Prepare]:
    heard = Heard(size)
    yield lambda: (lambda: json.encode(whole(heard.site, heard.state)), 1)


@contextmanager
def _news(folder: Path, size: int) -> Iterator[Prepare]:
    """A frame is heard, and an open page is told of it."""
    turns = Turns(size)

    def work(frames: list[tuple[SiteState, Report]]) -> None:
        for site, each in frames:
            since = site.changes
            site.hear(each)
            json.encode(news(site, since, 0))

    yield lambda: (partial(work, [turns.next() for _ in range(MANY)]), MANY)


@contextmanager
def _judge(folder: Path, size: int) -> Iterator[Prepare]:
    """Whether all is well, which an open page has looked at after each frame, at most once a second."""
    heard = Heard(size)

    def work(heard_now: Report) -> None:
        heard.site.hear(heard_now)
        judge(heard.state, heard.site.devices())

    yield lambda: (partial(work, heard.next_report()), 1)


@contextmanager
def _metrics(folder: Path, size: int) -> Iterator[Prepare]:
    heard = Heard(size)
    yield lambda: (partial(metrics_text, Metrics(), heard.site, heard.look, sensor_values=True), 1)


@contextmanager
def _alert_look(silent: bool, folder: Path, size: int) -> Iterator[Prepare]:
    """A look at devices that are all well, or were found to be silent before."""
    heard = Heard(size)
    with closing(SpoolFile(folder / "spool.db")) as spool_file:
        loop = AlertLoop(heard.site, heard.look, [], Facts(spool_file, "alerts"))
        if silent:
            heard.state = replace(heard.state, now_us=SteadyUs(heard.state.now_us + 3 * DAY_US))
            loop.step(0.0)
        yield lambda: (partial(loop.step, 0.0), 1)


@contextmanager
def _alert_comes_and_goes(folder: Path, size: int) -> Iterator[Prepare]:
    """One more alert while all devices are silent: it is raised, cleared, and both are written down."""
    heard = Heard(size)
    with closing(SpoolFile(folder / "spool.db")) as spool_file:
        loop = AlertLoop(heard.site, heard.look, [], Facts(spool_file, "alerts"))
        heard.state = replace(heard.state, now_us=SteadyUs(heard.state.now_us + 3 * DAY_US))
        loop.step(0.0)

        def look(full: bool) -> None:
            disk = Disk(1, 1 << 41, 1 << 20) if full else Disk(1 << 40, 1 << 41, 1 << 20)
            heard.state = replace(heard.state, disk=disk, now_us=SteadyUs(heard.state.now_us + CLEAR_AFTER_US))
            loop.step(0.0)

        def work() -> None:
            for full in (True, False, False):
                look(full)

        yield lambda: (work, 1)


WATCHED = (
    Cost("the page's board hears a frame, by devices", _hear),
    Cost("status.json, by devices", _status_json, of_all=True),
    Cost("a frame is told to an open page, by devices", _news),
    Cost("whether all is well, by devices", _judge, of_all=True),
    Cost("/metrics with sensor values, by devices", _metrics, of_all=True),
    Cost("a look for alerts, all well, by devices", partial(_alert_look, False), of_all=True),
    Cost("a look for alerts, all silent, by devices", partial(_alert_look, True), of_all=True),
    Cost("an alert comes and goes, all silent, by devices", _alert_comes_and_goes, of_all=True),
)
