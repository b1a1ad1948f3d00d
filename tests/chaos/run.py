"""One run: bad days, then good ones, then the verdict."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

from msgspec import Struct
from msgspec.structs import replace

from lora_post.clocks.scale import parse_utc
from lora_post.sandbox.faults import RandomFaults, read_rates
from lora_post.sandbox.server import running_sandbox
from tests.chaos import second_writer, site
from tests.chaos.gateway import Gateway
from tests.chaos.site import Row
from tests.chaos.verdict import Verdict, compare
from tests.support.command import Admin
from tests.support.hurried import HURRIED

# So long a server may be at work on a request that was cut; here it is, for all but a tenth of that.
LATE_S = HURRIED.late_s
LATEST_S = 0.9 * LATE_S
# Together more than a third of all requests; a person would call that unusable.
BAD_DAYS = (
    "drop@2,drop-after@3,delay=0.1@2,stall=0.5@1,refuse=0.5@0.5,slow=20000@2,500@2,500-after@3,502@1,502-after@2,"
    "503=1@1,429=1@1,401@1,guest@1,garbage@1,truncated@1,html@2,"
    f"late={LATEST_S / 3}@2,late={LATEST_S}@3,504-late={LATEST_S / 2}@1,504-late={LATEST_S}@2,delay={LATEST_S}@2"
)
SHORTEST_LIFE_S = 0.3
LONGEST_LIFE_S = 12.0
KILLED = 0.6  # the others are stopped in order
TRIES = 5


class Summary(Struct, frozen=True):
    """What happened. stops: with SIGTERM. faults: how many of each kind. released: readings let go by a person."""

    verdict: Verdict
    kills: int
    stops: int
    requests: int
    faults: Counter[str]
    released: int
    seconds: float

    @property
    def line(self) -> str:
        verdict = self.verdict
        faults = " ".join(f"{kind}:{count}" for kind, count in sorted(self.faults.items()))
        return (
            f"readings={verdict.readings} missing={verdict.missing} doubled={verdict.doubled} strange={verdict.strange}"
            f" out_of_order={verdict.out_of_order} kills={self.kills} stops={self.stops} requests={self.requests}"
            f" faults={self.faults.total()} ({faults}) released={self.released} seconds={self.seconds:.0f}"
        )


def bad_days(
    folder: Path, seconds: float, seed: int, frames_a_second: float, progress: Callable[[float, str], None]
) -> Summary:
    """Spoil and kill for so many seconds, then let the queue drain and compare.

    progress: told the share that is done, and what it is at.
    """
    rates = [(replace(fault, latest_s=LATE_S), rate) for fault, rate in read_rates(BAD_DAYS)]
    faults = RandomFaults(rates, seed)
    lives = Random(seed)

    def due() -> int:
        return int((time.monotonic() - began) * frames_a_second)

    with running_sandbox(faults=faults) as url:
        gateway = Gateway(site.write_site(folder, url))
        with second_writer.second_writer(url, seed):
            began = time.monotonic()
            while (past := time.monotonic() - began) < seconds:
                progress(
                    past / seconds, f"{gateway.kills} kills, {gateway.stops} stops, {faults.counts.total()} faults"
                )
                end = min(time.monotonic() + lives.uniform(SHORTEST_LIFE_S, LONGEST_LIFE_S), began + seconds)
                gateway.live(due, lambda end=end: time.monotonic() >= end, is_killed=lives.random() < KILLED)
        frames = due()
        faults.stop()
        progress(1.0, "draining")
        released = _drain(gateway, frames)
        verdict = compare(site.expected(frames), _rows(url))
    return Summary(
        verdict, gateway.kills, gateway.stops, faults.requests, faults.counts, released, time.monotonic() - began
    )


def _drain(gateway: Gateway, frames: int) -> int:
    """Run until nothing is left; return how many readings of parked sensors were let go.

    A server that does not believe the token twice in a row parks a sensor.
    """
    released = 0
    for _ in range(TRIES):
        if gateway.drain(frames) == 0:
            break
        released += gateway.release()
    return released


def _rows(url: str) -> dict[tuple[str, str], list[Row]]:
    admin = Admin(url)
    return {
        (str(device["id"]), sensor["id"]): [
            Row(parse_utc(str(time_)), float(value))  # type: ignore[arg-type]
            for value, time_ in admin.rows(str(device["id"]), sensor["id"])
            if value != second_writer.VALUE
        ]
        for device in admin.get("/devices")
        for sensor in device["sensors"]  # type: ignore[attr-defined]
    }
