"""The [upload] table → when, how much and how soon is sent."""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec import Struct

from lora_post.config.tables import UploadTable
from lora_post.text import parse_duration
from lora_post.toml_table import TableReader

DAY_S = 86_400
MAX_HOLD_S = DAY_S
# What the request may cost that is under way when the rest of the day is closed: a new TLS connection, a login,
# and a full batch or the question which of its readings have arrived.
RESERVE_BYTES = 32 << 10
MIN_BYTES_PER_DAY = 2 * RESERVE_BYTES

_WINDOW = re.compile(r"\s*(\d{1,2}):(\d\d)\s*-\s*(\d{1,2}):(\d\d)\s*", re.ASCII)


class Window(Struct, frozen=True):
    """A part of every day, in seconds since local midnight; it may go over midnight."""

    start_s: int
    end_s: int

    def holds(self, second: int) -> bool:
        """Return whether a second of the day is inside."""
        if self.start_s <= self.end_s:
            return self.start_s <= second < self.end_s
        return second >= self.start_s or second < self.end_s


class UploadRules(Struct, frozen=True):
    """What the configuration allows.

    windows: none for the whole day. max_bytes_per_day: 0 for no limit. hold_s: 0 to send at once.
    """

    windows: tuple[Window, ...] = ()
    max_bytes_per_day: int = 0
    hold_s: float = 0.0


def closed_s(windows: Iterable[Window], second: int) -> int:
    """Return for how many seconds no window is open; 0 inside of one, and without any."""
    windows = tuple(windows)
    if not windows or any(window.holds(second) for window in windows):
        return 0
    return min((window.start_s - second) % DAY_S for window in windows)


def read_upload(reader: TableReader) -> UploadRules:
    """Return what the [upload] table says; without one, everything is sent at once."""
    table = reader.table("upload", UploadTable) or UploadTable()
    windows = []
    for text in table.schedule:
        window = parse_window(text)
        if window is None:
            reader.refuse(
                f"[upload] schedule has {text!r}", 'write times of the day as "22:00-06:00", from 00:00 to 24:00'
            )
        else:
            windows.append(window)
    if table.max_bytes_per_day and table.max_bytes_per_day < MIN_BYTES_PER_DAY:
        reader.refuse(
            f"[upload] max_bytes_per_day is {table.max_bytes_per_day}",
            f"it must be at least {MIN_BYTES_PER_DAY}, or 0 for no limit",
        )
    hold_s = parse_duration(table.hold)
    if hold_s is None or hold_s > MAX_HOLD_S:
        reader.refuse(f"[upload] hold is {table.hold!r}", 'write it as "90s", "10min" or "1h", up to a day')
    return UploadRules(tuple(windows), table.max_bytes_per_day, hold_s or 0.0)


def parse_window(text: str) -> Window | None:
    """Read a window of the day such as 22:00-06:00; None when it is not one, or has no length."""
    match = _WINDOW.fullmatch(text)
    if match is None:
        return None
    numbers = [int(group) for group in match.groups()]
    start_s, end_s = (hours * 3600 + minutes * 60 for hours, minutes in (numbers[:2], numbers[2:]))
    if start_s == end_s or max(start_s, end_s) > DAY_S or max(numbers[1], numbers[3]) > 59:
        return None
    return Window(start_s, end_s)
