"""The counters that a session has accepted: all below one number, but for gaps.

A frame in a gap is late: it was heard in its time, and kept by a gateway without a link or overtaken on its way. It
is believed only where it was heard before the frame behind the gap: who replays a recording is late in time, too. No
late frame changes that for the others of its gap: its time may be that of a recording, or made up.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Final

from msgspec import Struct

from lora_post.times import StampUs, WallUs

MAX_GAPS: Final = 64
"""So many are remembered of each session; the oldest is given up."""
DOUBT_US: Final = 120_000_000
"""How far the clocks of two gateways may be apart, and a frame may be overtaken."""


class Gap(Struct, frozen=True, array_like=True, gc=False):
    """Counters that were not heard, first to last. after_us, before_us: when the frames around it were received."""

    first: int
    last: int
    after_us: StampUs
    before_us: StampUs


class Window(Struct, frozen=True, array_like=True, gc=False):
    """What a session has accepted. up: the lowest counter above all accepted ones. last_us: when that was received."""

    up: int = 0
    last_us: StampUs = WallUs(0)
    gaps: tuple[Gap, ...] = ()


class Standing(Enum):
    """Where a counter stands."""

    NEW = "new"
    LATE = "late"
    SEEN = "seen"
    OUT_OF_TIME = "out of time"
    """In a gap, and received at another time: a recording."""


def standing_of(window: Window, fcnt: int, time_us: StampUs) -> Standing:
    """Tell where an authentic frame stands. time_us: its reception."""
    if fcnt >= window.up:
        return Standing.NEW
    for gap in window.gaps:
        if gap.first <= fcnt <= gap.last:
            in_time = time_us <= max(gap.after_us, gap.before_us) + DOUBT_US
            return Standing.LATE if in_time else Standing.OUT_OF_TIME
    return Standing.SEEN


def accepted(window: Window, fcnt: int, time_us: StampUs) -> Window:
    """Return the window after a frame that is new or late."""
    if fcnt < window.up:
        gaps = tuple(piece for gap in window.gaps for piece in _without(gap, fcnt))
        return Window(window.up, window.last_us, gaps[-MAX_GAPS:])
    gaps = window.gaps
    if fcnt > window.up:
        gaps = (*gaps, Gap(window.up, fcnt - 1, window.last_us, time_us))
    return Window(fcnt + 1, time_us, gaps[-MAX_GAPS:])


def late_counters(window: Window, fcnt16: int) -> Iterator[int]:
    """Yield the counters in gaps that a frame with these 16 bits may have, newest first."""
    for gap in reversed(window.gaps):
        newest = gap.last - ((gap.last - fcnt16) & 0xFFFF)
        yield from range(newest, gap.first - 1, -0x10000)


def _without(gap: Gap, fcnt: int) -> Iterator[Gap]:
    if not gap.first <= fcnt <= gap.last:
        yield gap
        return
    if gap.first < fcnt:
        yield Gap(gap.first, fcnt - 1, gap.after_us, gap.before_us)
    if fcnt < gap.last:
        yield Gap(fcnt + 1, gap.last, gap.after_us, gap.before_us)
