"""Make the plots of a page from the spool's trends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from lora_post.observed.page_model import PageTrends
from lora_post.spool.trends import LONG_S, SHORT_S, Row
from lora_post.times import WallUs

LoadTrends = Callable[[str, int, WallUs], Sequence[Row]]
"""(device, length of time of each row in s, since) -> rows, oldest first."""

SPANS_S: Final = {24: SHORT_S, 168: LONG_S, 720: LONG_S}
"""Hours that can be asked for → the length of time that each number is about."""


def trends(load: LoadTrends, device: str, hours: int, now_us: WallUs) -> PageTrends:
    """Return the last hours of a device. hours: a key of SPANS_S. Raises SpoolError."""
    span_s = SPANS_S[hours]
    since_us = WallUs(now_us - hours * 3_600_000_000)
    rows = load(device, span_s, since_us)
    names = dict.fromkeys(name for row in rows for name in row.means)
    return PageTrends(
        span=span_s * 1000,
        since=since_us // 1000,
        until=now_us // 1000,
        times=[row.time_us // 1000 for row in rows],
        heard=[row.heard for row in rows],
        missed=[max(0, row.missed) for row in rows],  # below 0: frames came late that were missed in another slot
        rssi=[row.rssi_dbm for row in rows],
        snr=[row.snr_db for row in rows],
        sensors={name: [row.means.get(name) for row in rows] for name in names},
    )
