"""Remember frames whose counter proves nothing: eight bytes each, oldest first.

It must reach as far back as a gateway may hand in its copy of a frame. What is older than all of a full memory cannot
be told from a copy, and is not accepted.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Final

from lora_post.times import StampUs

MAX_RECENT: Final = 256
"""Almost two days of a frame in ten minutes; 2.7 kB in an entry."""
CLOCKS_S: Final = 20
"""So far apart the times may be that two gateways give to a frame."""
_ROW: Final = Struct(">II")  # seconds since 1970, and a part of the print
_SECOND_US: Final = 1_000_000


def is_recent(recent: bytes, print_: int, time_us: StampUs, window_us: int) -> bool:
    """Tell whether an equal frame was accepted within so many µs, or may have been."""
    second, part = _row(print_, time_us)
    rows = list(_rows(recent))
    window_s = window_us // _SECOND_US
    if len(rows) >= MAX_RECENT and second <= rows[0][0] + min(window_s, CLOCKS_S):
        return True  # its equal may be among those that went
    return any(each == part and abs(then - second) <= window_s for then, each in rows)


def with_frame(recent: bytes, print_: int, time_us: StampUs) -> bytes:
    """Return the memory with one more frame; the one that was received first goes when it is full."""
    rows = sorted([*_rows(recent), _row(print_, time_us)])
    return b"".join(_ROW.pack(*row) for row in rows[-MAX_RECENT:])


def _row(print_: int, time_us: StampUs) -> tuple[int, int]:
    return max(0, time_us // _SECOND_US) & 0xFFFFFFFF, print_ & 0xFFFFFFFF


def _rows(recent: bytes) -> Iterator[tuple[int, int]]:
    return _ROW.iter_unpack(recent[: len(recent) // _ROW.size * _ROW.size])
