"""Lengths of time as people write them (90s, 10min, 2d) and say them (40 min, 7 h)."""

from __future__ import annotations

import re

_DURATION = re.compile(r"(\d{1,9})\s*(s|min|h|d)", re.ASCII)
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86_400}


def parse_duration(text: str) -> float | None:
    """Return the seconds; None when the text is not a length of time."""
    match = _DURATION.fullmatch(text.strip())
    return float(match[1]) * _SECONDS[match[2]] if match else None


def span_text(seconds: float) -> str:
    """Return a length of time as people say it, cut to one unit: <1 min, 40 min, 7 h, 3 d."""
    minutes = int(max(seconds, 0) // 60)
    if minutes < 1:
        return "<1 min"
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} d"
