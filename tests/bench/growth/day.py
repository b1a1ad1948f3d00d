"""A day of traffic at full speed: what is learned, and must not grow without bound."""

from __future__ import annotations

import gc
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path
from random import Random

from lora_post.alerts.loop import AlertLoop
from lora_post.clocks.steady import SteadyClock
from lora_post.config.alerts import AlertLimits
from lora_post.decoding.choice import Decoding
from lora_post.decoding.loading import load_folder, shipped_folder
from lora_post.errors import Problem
from lora_post.inputs.gateway_book import GatewayBook
from lora_post.metrics import Metrics
from lora_post.model import Frame, Heard, Noise, NoiseReason
from lora_post.observed.run_state import Disk, GatewayState, InputState, RunState
from lora_post.observed.site_state import SiteState
from lora_post.run.live import SHOWN_GATEWAYS
from lora_post.run.outcome_log import OutcomeLog
from lora_post.run.pipeline import Pipeline
from lora_post.spool.arrivals import Arrivals
from lora_post.spool.facts import Facts
from lora_post.spool.ledger import SpoolLedger
from lora_post.spool.queue import Queue
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from lora_post.status.prometheus import metrics_text
from lora_post.times import SteadyUs, WallUs
from lora_post.uplink.outcome import Outcome
from lora_post.uplink.unlock import seal_lorawan
from lora_post.upload.uploader import Uploader
from tests.bench.growth.queue import Taking
from tests.bench.growth.site import PAYLOAD, SINK, Joins, Traffic, devices, joiners, keys
from tests.support.build import NOON_US, frame

FIELD = 500
JOINING = 50
GROUP = 32
OTHERS = 3
PARTS = 8
DAY_US = 86_400_000_000
LOOK_EVERY_US = 30_000_000
TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"


class Day:
    """A run whose clock goes with its frames, the uploader's excepted, which may search a share of the true time.

    Of each group of frames one is a stranger's, one a forgery, one noise.
    """

    def __init__(self, folder: Path, frames: int) -> None:
        self._random = Random(1)
        self.now_us = NOON_US
        of = [*devices(FIELD), *joiners(JOINING)]
        self._traffic = Traffic(of[:FIELD], DAY_US * FIELD * GROUP // (frames * (GROUP - OTHERS)))
        self._joins = Joins(JOINING)
        self._made_up = count(1)
        clock = SteadyClock(lambda: WallUs(self.now_us), lambda: self.now_us / 1e6)
        self.spool_file = SpoolFile(folder / "spool.db")
        arrivals = Arrivals()
        writer = QueueWriter(self.spool_file, [SINK], 1 << 40, arrivals=arrivals)
        self._metrics, self._site, self._log = Metrics(), SiteState(of, clock), OutcomeLog(clock.monotonic)
        decode = Decoding(of, load_folder(shipped_folder()).decoders).decode
        ledger = SpoolLedger(self.spool_file, of, writer, keep_strangers=True)
        self._pipeline = Pipeline(ledger, decode, self._metrics, self._hear)
        self._sink = Taking()
        self._uploader = Uploader(Queue(self.spool_file, SINK, arrivals), self._sink, self._metrics)
        self._book = GatewayBook("udp", clock.monotonic)
        self._clock, self._started_us = clock, clock.now_us()
        self._alerts = AlertLoop(self._site, self._look, [], Facts(self.spool_file, "alerts"))

    def _hear(self, outcome: Outcome) -> None:
        self._site.hear(outcome)
        self._log(outcome)

    def _look(self) -> RunState:
        now_us = self._clock.now_us()
        gateways = tuple(GatewayState(one.gateway, now_us, one.stat) for one in self._book.snapshot(SHOWN_GATEWAYS))
        return RunState(
            gateway="gw1",
            started_us=self._started_us,
            now_us=now_us,
            inputs=(InputState("udp", SteadyUs(self._site.last_frame_us), None, gateways),),
            destinations=(),
            disk=Disk(1 << 40, 1 << 41, 1 << 20),
            stalled=(),
            troubles={f"part-{next(self._made_up) % 7}": Problem("comes and goes")},
            limits=AlertLimits(DAY_US, DAY_US, DAY_US // 24, 20.0, 3.3),
        )

    def live(self, frames: int) -> float:
        """Hear so many frames; return the CPU time of one, in seconds."""
        used = 0.0
        look_at = self.now_us
        for _ in range(0, frames, GROUP):
            events = self._group()
            began = time.process_time()
            self._pipeline.handle(events)
            self._book.heard(f"{next(self._made_up):016x}", "192.0.2.1:1700")
            self._book.look_for_silent()
            while self._uploader.step() == 0:
                pass
            self._sink.taken.clear()
            used += time.process_time() - began
            if self.now_us >= look_at:
                look_at = self.now_us + LOOK_EVERY_US
                self._alerts.step(self.now_us / 1e6)
        metrics_text(self._metrics, self._site, self._look, sensor_values=True)
        return used / frames

    def _group(self) -> list[Heard]:
        frames: list[Frame] = self._traffic.frames(GROUP - OTHERS)
        stranger, forged = self._random.randrange(1 << 32), frames[0]
        made_up = seal_lorawan(keys(stranger % 1000), stranger, self._random.randrange(1 << 16), 2, PAYLOAD)
        broken = forged.phy_payload[:-1] + bytes([forged.phy_payload[-1] ^ 1])
        self.now_us = self._traffic.now_us
        text = self._random.randbytes(8).hex()
        return [
            *frames,
            frame(made_up, self.now_us),
            frame(broken, self.now_us),
            Noise(NoiseReason.UNKNOWN_FORMAT, 8, text),
            *(self._joins.next_pair() if self._random.random() < 0.1 else ()),
        ]

    def rows(self) -> dict[str, int]:
        db = self.spool_file.db
        names = [name for (name,) in db.execute(TABLES)]
        return {name: db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}


def live_a_day(frames: int, say: Callable[[str], None]) -> None:
    """Tell what there is after each part of the day."""
    say(f"\na day: {frames:,} frames of {FIELD:,} devices; strangers, forgeries, noise, joins, new gateways")
    with tempfile.TemporaryDirectory() as folder, closing((day := Day(Path(folder), frames)).spool_file):
        for part in range(1, PARTS + 1):
            used = day.live(frames // PARTS)
            if part in (1, PARTS // 4, PARTS // 2, PARTS):
                rows = " ".join(f"{name} {many}" for name, many in day.rows().items() if many)
                say(f"{part}/{PARTS}: {_resident_mb():6.1f} MB, {used * 1e6:5.1f} µs a frame, rows: {rows}")


def _resident_mb() -> float:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
