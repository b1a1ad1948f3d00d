"""One week: lives of lora-post one after another, then the verdict."""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC
from pathlib import Path
from random import Random
from threading import Event
from unittest.mock import patch

from msgspec import Struct

from lora_post.alerts.loop import AlertLoop
from lora_post.alerts.senders import Webhook
from lora_post.clocks.gateway import Times
from lora_post.clocks.scale import parse_utc
from lora_post.clocks.steady import SteadyClock
from lora_post.config import Config, load_config
from lora_post.config.alerts import WebhookConfig
from lora_post.decoding.choice import Decoding
from lora_post.decoding.loading import load_folder, shipped_folder
from lora_post.formats import FORMATS
from lora_post.inputs.byte_streams import SerialPort
from lora_post.inputs.stream import StreamInput
from lora_post.metrics import Metrics
from lora_post.observed.run_state import RunState
from lora_post.observed.signs import Signs
from lora_post.observed.site_state import SiteState
from lora_post.observed.verdict import faults
from lora_post.run.delivery import Delivery, open_delivery
from lora_post.run.ingest import pump
from lora_post.run.live import ALERTS
from lora_post.run.upload_thread import BEAT_S, thread_name
from lora_post.run.view import RunView
from lora_post.sandbox.server import running_sandbox
from lora_post.spool.facts import Facts
from lora_post.spool.spool_file import SpoolFile
from tests.support.alerts import webhook
from tests.support.command import Admin
from tests.support.serial_port import Port
from tests.week.plan import Plan
from tests.week.radio import write_site
from tests.week.world import AlertCount, Ticking, World

MAX_STEPS = 400
TIME_SLACK_US = 2_000_000  # the server tells whole seconds
RSS_SLACK_KB = 3_000


class Summary(Struct, frozen=True):
    """What came of it. alerts: raised; wrong: what is not as it should be."""

    readings: int
    lives: int
    messages: int
    alerts: Counter[str]
    rss_kb: tuple[int, ...]
    spool_kb: int
    seconds: float
    wrong: tuple[str, ...]

    @property
    def line(self) -> str:
        alerts = " ".join(f"{key}:{count}" for key, count in sorted(self.alerts.items()))
        return (
            f"readings={self.readings} lives={self.lives} alerts={self.alerts.total()} ({alerts})"
            f" messages={self.messages} rss_kb={','.join(map(str, self.rss_kb))}"
            f" spool_max={self.spool_kb}kB seconds={self.seconds:.0f} wrong={len(self.wrong)}"
            + "".join(f"\n  wrong: {text}" for text in self.wrong)
        )


def _cut_off(delivery: Delivery) -> None:
    """As a kill does: the locks are gone, nothing else is put in order."""
    for upload in delivery.uploads:
        upload.outlet.sink.close()
        upload.outlet.spool_file.close()


class _Week:
    def __init__(self, world: World, config: Config, hook: str, progress: Callable[[float, str], None]) -> None:
        self._world = world
        self._config = config
        self._sender = world.sender(Webhook(WebhookConfig(hook, None)))
        self._progress = progress
        self._decode = Decoding(config.devices, load_folder(shipped_folder()).decoders).decode
        self.alerts = AlertCount()
        self.lives = 0
        self.spool_kb = 0
        self.rss_kb: list[int] = []
        self.stalled: set[str] = set()

    def live(self, hours: float) -> None:
        """Until the next restart, or the end."""
        world, machine = self._world, self._world.machine
        self.lives += 1
        clock = SteadyClock(machine.wall_us, lambda: machine.boot_us() / 1e6)
        signs, metrics, stop = Signs(clock), Metrics(), Event()
        site = SiteState(self._config.devices, clock)
        delivery = open_delivery(
            self._config, self._decode, metrics, site.hear, system=machine, steady=clock, heartbeats=signs.heartbeats
        )
        view = RunView(self._config, signs, clock, delivery.destinations, delivery.clock.trouble)
        spool_file = SpoolFile(self._config.spool_path)
        facts = Facts(spool_file, ALERTS)
        alert_loop = AlertLoop(site, view, [self._sender], facts, signs.heartbeats)
        ends: list[str] = []

        def tick() -> None:
            for upload in delivery.uploads:
                for _ in range(MAX_STEPS):
                    if upload.step() > 0:
                        break
                signs.heartbeats.beat(thread_name(upload.name), BEAT_S)  # as its thread does
            alert_loop.step(clock.monotonic())
            self._look(alert_loop.raised, view())
            restart = world.restart_due()
            if restart is not None or world.hour >= hours:
                ends.append(restart.kind if restart else "stop")
                stop.set()
                off_h.append(restart.off_h if restart else 0.0)

        off_h: list[float] = []
        port = SerialPort(str(world.port.path), 38400, wait=lambda seconds: None)
        input_ = Ticking(StreamInput(port, FORMATS["lowcost"]("week", UTC)), world, tick)
        pump(input_, delivery.pipeline.taking(Times.LIVE), stop, signs)
        input_.close()
        if ends[0] == "stop":
            alert_loop.run(stop)  # writes down what the next run is to know
            with delivery:
                pass  # lets the uploaders finish
        else:
            _cut_off(delivery)
        spool_file.close()
        if ends[0] == "power":
            world.power_cut(off_h[0])

    def _look(self, raised: object, runtime: RunState) -> None:
        self.alerts.look(list(raised))  # type: ignore[call-overload]
        self.stalled.update(faults(runtime))
        spool = self._config.spool_path
        files = [file for file in spool.parent.iterdir() if file.name.startswith(spool.name)]
        self.spool_kb = max(self.spool_kb, sum(file.stat().st_size for file in files) >> 10)
        hour = self._world.hour
        if hour >= len(self.rss_kb) * min(24.0, self._world.plan.hours / 4):
            self.rss_kb.append(rss_kb())
        self._progress(hour / self._world.plan.hours, f"hour {hour:.0f}, {sum(self.alerts.raised.values())} alerts")


def week(folder: Path, plan: Plan, random: Random, progress: Callable[[float, str], None]) -> Summary:
    """Live through a plan. progress: share done, and what it is at."""
    began = time.monotonic()
    port = Port(folder / "tty")
    port.plug_in()
    start_us = time.time_ns() // 1000 - int((plan.hours + 24) * 3.6e9)
    world = World(plan, random, port, start_us)
    # In a file: what the server knows must not look like memory of ours.
    with running_sandbox(file=folder / "server.db", faults=world) as url, webhook() as (hook, got):
        config = load_config(write_site(folder, url, port.path), {})
        one = _Week(world, config, hook, progress)

        # The server's clock is that of the week, too.
        def of_the_week(date: str) -> int:
            return world.machine.true_us // 1_000_000 * 1_000_000

        with (
            patch("lora_post.upload.server_time.read_date", of_the_week),
            patch("lora_post.clocks.server.read_date", of_the_week),
        ):
            while world.hour < plan.hours:
                one.live(plan.hours)
        wrong = [*_readings_wrong(world, url), *_alerts_wrong(world, one.alerts), *one.stalled]
        if len(got) != len(world.messages):
            wrong.append(f"{len(got)} messages arrived, {len(world.messages)} were sent")
    # Of the second day, and of the last: a new process grows for a while.
    first_kb, last_kb = one.rss_kb[2], one.rss_kb[-1]
    if last_kb - first_kb > RSS_SLACK_KB:
        wrong.append(f"memory grew day by day: {one.rss_kb} kB")
    if port.is_plugged_in:
        port.unplug()
    return Summary(
        readings=2 * len(world.sent),
        lives=one.lives,
        messages=len(world.messages),
        alerts=one.alerts.raised,
        rss_kb=tuple(one.rss_kb),
        spool_kb=one.spool_kb,
        seconds=time.monotonic() - began,
        wrong=tuple(wrong),
    )


def _readings_wrong(world: World, url: str) -> list[str]:
    admin, wrong = Admin(url), []
    for device in world.devices:
        wanted = [(count, time_us) for index, count, time_us in world.sent if index == device.index]
        rows = admin.rows(f"field-{device.index}", "analog_in_1")
        values = [round(float(str(value)) * 100) for value, _ in rows]
        if sorted(values) != sorted(count for count, _ in wanted):
            missing = Counter(count for count, _ in wanted) - Counter(values)
            doubled = Counter(values) - Counter(count for count, _ in wanted)
            wrong.append(f"field-{device.index}: missing {sorted(missing)[:5]}, too many {sorted(doubled)[:5]}")
        times = dict(wanted)
        off = [
            v
            for v, (_, at) in zip(values, rows, strict=True)
            if abs(parse_utc(str(at)) - times.get(v, 0)) > TIME_SLACK_US
        ]
        if off:
            wrong.append(f"field-{device.index}: {len(off)} readings with a wrong time, as {off[:5]}")
    return wrong


def _alerts_wrong(world: World, alerts: AlertCount) -> list[str]:
    expected = world.plan.expected()
    wrong = []
    for what, found in (("raised", alerts.raised), ("cleared", alerts.cleared)):
        for key in sorted(expected.keys() | found.keys()):
            if expected[key] != found[key]:
                wrong.append(f"{key} was {what} {found[key]} times, not {expected[key]}")
    told = Counter(_kind(alert.key) for _, digest in world.messages for alert in digest.cleared)
    if told != expected:
        wrong.append(f"the ends of alerts that were told: {dict(told)}")
    for one in world.plan.incidents:
        end = one.start + one.hours
        after = [hour for hour, _ in world.messages if end <= hour < end + 1.5]
        if one.kind == "link down" and len(after) > 1:
            wrong.append(f"{len(after)} messages after an outage")
    return wrong


def _kind(key: str) -> str:
    return "input" if key.startswith("input:") else key


def rss_kb() -> int:
    """What this process holds in memory."""
    gc.collect()
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])
