"""The [upload] table → when, how much and how soon is sent; and times as people write them."""

from __future__ import annotations

import re

from lora_post.config.tables import UploadTable
from lora_post.config.upload_rules import RESERVE_BYTES, UploadRules, Window
from lora_post.durations import parse_duration
from lora_post.toml_table import TableReader

MIN_BYTES_PER_DAY = 2 * RESERVE_BYTES
MAX_HOLD_S = 86_400

_WINDOW = re.compile(r"\s*(\d{1,2}):(\d\d)\s*-\s*(\d{1,2}):(\d\d)\s*", re.ASCII)


def read_upload(reader: TableReader) -> UploadRules:
    """The [upload] table; without one, everything is sent at once."""
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
    """A window of the day; None when it is none or has no length."""
    match = _WINDOW.fullmatch(text)
    if match is None:
        return None
    numbers = [int(group) for group in match.groups()]
    start_s, end_s = (hours * 3600 + minutes * 60 for hours, minutes in (numbers[:2], numbers[2:]))
    if start_s == end_s or max(start_s, end_s) > 86_400 or max(numbers[1], numbers[3]) > 59:
        return None
    return Window(start_s, end_s)
