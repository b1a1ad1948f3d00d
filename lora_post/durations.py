"""Lengths of time as people write them: 90s, 10min, 1h, 2d."""

from __future__ import annotations

import re

_DURATION = re.compile(r"(\d{1,9})\s*(s|min|h|d)", re.ASCII)
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86_400}


def parse_duration(text: str) -> float | None:
    """Seconds; None when the text is no length of time."""
    match = _DURATION.fullmatch(text.strip())
    return float(match[1]) * _SECONDS[match[2]] if match else None
