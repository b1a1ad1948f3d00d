"""What delivery costs: requests and bytes a reading in the trickle, readings a second in a drain.

    python -m tests.bench.bench_upload

Steady state, one frame of two readings at a time, then a backlog of 20,000 readings beside a bare
`requests.Session` that posts the same batches to the same server. Bytes are counted on the socket,
both ways; the sandbox's tokens are shorter than the platform's 1.3 kB, so the figure for such a
token is given too.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import requests

from lora_post.model import Reading
from lora_post.uploader import Uploader
from tests.build import NOON_US, report
from tests.test_delivery import Site, work
from tests.waziup import CuttingProxy, waziup

FRAMES = 200
BACKLOG = 20_000
BATCH = 100
PLATFORM_TOKEN = 1300


def main() -> None:
    with waziup() as server, tempfile.TemporaryDirectory() as folder:
        meter = CuttingProxy(server.url)
        token = len(server.token("demo", "demo"))
        site = Site(Path(folder), meter.url)
        uploader = site.uploader()
        _put(site, 0, 1)
        work(uploader)
        before, requests_before, connections = meter.bytes, len(server.days.seen), meter.connections
        cpu = time.process_time()
        for index in range(1, FRAMES + 1):
            _put(site, index, index + 1)
            work(uploader)
        cpu = time.process_time() - cpu
        calls = len(server.days.seen) - requests_before
        size = (meter.bytes - before) / FRAMES / 2
        sys.stdout.write(
            f"trickle: {calls / FRAMES / 2:.2f} requests and {size:.0f} bytes a reading "
            f"({size + PLATFORM_TOKEN - token:.0f} with a token of {PLATFORM_TOKEN} bytes), "
            f"{meter.connections - connections} new connections, {cpu / FRAMES * 1e3:.1f} ms CPU a frame "
            "(spool, client, server and meter in one process)\n"
        )
        _drain(site, uploader, meter)
        site.close()
        meter.close()


def _put(site: Site, first: int, last: int) -> None:
    site.put(
        *(
            report(Reading("temperature_1", index / 10, "°C", 1), Reading("voltage_2", 3.3, "V"), time_us=_time(index))
            for index in range(first, last)
        )
    )


def _time(index: int) -> int:
    return NOON_US + index * 600_000_000


def _drain(site: Site, uploader: Uploader, meter: CuttingProxy) -> None:
    _put(site, 1000, 1000 + BACKLOG // 2)
    before = meter.bytes
    began = time.perf_counter()
    work(uploader)
    ours = time.perf_counter() - began
    size = (meter.bytes - before) / BACKLOG
    floor = _bare_loop(meter.url)
    sys.stdout.write(
        f"drain of {BACKLOG} readings: {BACKLOG / ours:.0f} a second, {floor / ours:.2f} of a bare loop's "
        f"{BACKLOG / floor:.0f}; {size:.0f} bytes a reading\n"
    )


def _bare_loop(url: str) -> float:
    session = requests.Session()
    token = session.post(f"{url}/auth/token", json={"username": "demo", "password": "demo"}, timeout=10).text
    session.headers["Authorization"] = f"Bearer {token}"
    body = {"id": "bare", "sensors": [{"id": "t"}]}
    session.post(f"{url}/devices", json=body, timeout=10)
    began = time.perf_counter()
    for start in range(0, BACKLOG, BATCH):
        values = [{"value": n / 10, "timestamp": "2026-03-01T12:00:00Z"} for n in range(start, start + BATCH)]
        session.post(f"{url}/devices/bare/sensors/t/values", json=values, timeout=10).raise_for_status()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
