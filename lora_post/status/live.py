"""Keep an open page up to date with a stream of server-sent events (WHATWG HTML, section 9.2).

Each page has a budget of bytes: when more happens than it allows, several changes are told at once, and later.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from threading import Event
from typing import Final

from msgspec import json
from msgspec.structs import replace

from lora_post.observed.page_model import PageNews, PageRun
from lora_post.observed.run_state import Look
from lora_post.observed.site_state import SiteState
from lora_post.observed.verdict import Verdict, judge
from lora_post.status.overview import news, run_page

LOOK_EVERY_S: Final = 1.0
STATE_EVERY_S: Final = 10.0
BYTES_PER_S: Final = 15.0  # 900 bytes a minute
MAX_BYTES_PER_S: Final = 10_000.0
"""For a client on this machine, where bytes cost nothing."""
BURST_BYTES: Final = 6000.0
# A connection on which nothing is sent is closed by mobile networks after a minute or two, and a page that hears
# nothing says so: a comment would not reach it.
ALIVE_EVERY_S: Final = 30.0
ALIVE: Final = b"data:0\n\n"


class Budget:
    """Bytes that may be sent: so many a second, saved up to BURST_BYTES; overdrawn by one message at most."""

    def __init__(self, now_s: float, bytes_per_s: float = BYTES_PER_S) -> None:
        self._rate = min(max(bytes_per_s, BYTES_PER_S), MAX_BYTES_PER_S)
        self._bytes = BURST_BYTES
        self._at = now_s

    def allows(self, now_s: float) -> bool:
        """Return whether anything may be sent now."""
        self._bytes = min(BURST_BYTES, self._bytes + (now_s - self._at) * self._rate)
        self._at = now_s
        return self._bytes > 0

    def spend(self, size: int) -> None:
        """Take off what was sent, in bytes."""
        self._bytes -= size


async def stream(
    site: SiteState, look: Look, since: int, stop: Event, bytes_per_s: float = BYTES_PER_S
) -> AsyncIterator[bytes]:
    """Yield events for a page that knows everything up to version `since`, until `stop` is set."""
    now = time.monotonic()
    budget, said_at, looked_at = Budget(now, bytes_per_s), now, now - STATE_EVERY_S
    ahead_us: int | None = None
    known_state: PageRun | None = None
    known_verdict: Verdict | None = None
    while not stop.is_set():
        await asyncio.sleep(LOOK_EVERY_S)
        if site.used_at > since:
            return  # other devices are shown: the page asks for everything again
        now = time.monotonic()
        changed = site.changes != since
        if (not changed and now - looked_at < STATE_EVERY_S) or not budget.allows(now):
            if now - said_at >= ALIVE_EVERY_S:
                said_at = now
                yield ALIVE
            continue
        looked_at = now
        runtime = await asyncio.to_thread(look)
        ahead_us = runtime.ahead_us if ahead_us is None else ahead_us
        if runtime.ahead_us != ahead_us:
            return  # the clock was set: the page asks for everything again, with its right times
        state, verdict = run_page(runtime), judge(runtime, site.devices())
        message = replace(
            news(site, since, ahead_us),
            state=None if state == known_state else state,
            verdict=None if verdict == known_verdict else verdict,
        )
        since, known_state, known_verdict = message.v, state, verdict
        if message == PageNews(since):
            continue
        event = b"data: " + json.encode(message) + b"\n\n"
        budget.spend(len(event))
        said_at = now
        yield event
