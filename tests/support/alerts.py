"""States of a run for tests of alerts, and a webhook that is told of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from msgspec.structs import replace

from lora_post.alerts.book import Alert
from lora_post.config.alerts import AlertLimits
from lora_post.observed.run_state import DestinationState, Disk, InputState, RunState
from tests.support.build import NOON_US

HOUR_US = 3_600_000_000
LIMITS = AlertLimits(3 * HOUR_US, 24 * HOUR_US, 24 * HOUR_US, 15, 2.5)
WELL = RunState(
    gateway="Farm",
    started_us=NOON_US,
    now_us=NOON_US + HOUR_US,
    inputs=(InputState("stdin", NOON_US + HOUR_US),),
    destinations=(DestinationState("waziup", 0, 0, 0, 0, 0),),
    disk=Disk(1 << 30, 1 << 31, 1 << 20),
    stalled=(),
    troubles={},
    limits=LIMITS,
)
LATER = replace(WELL, now_us=NOON_US + 30 * HOUR_US)
RAISED = Alert("disk", "only 5 MB of the disk are free", NOON_US, 0)
CLEARED = replace(RAISED, cleared_us=NOON_US + 3 * HOUR_US)


@contextmanager
def webhook(status: int = 200) -> Iterator[tuple[str, list[tuple[dict[str, Any], str]]]]:
    """A real HTTP server that answers every POST like this; gives its address and what it got."""
    got: list[tuple[dict[str, Any], str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((json.loads(data), self.headers.get("Authorization", "")))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/hook/5ec2e7", got
        finally:
            server.shutdown()
            thread.join()
