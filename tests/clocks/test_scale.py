"""Times as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.clocks.scale import parse_utc, short_utc_text, utc_text
from tests.support.build import NOON_US


@given(st.integers(0, 4_000_000_000_000_000))
def test_short_time_is_the_same_instant(time_us: int) -> None:
    assert parse_utc(short_utc_text(time_us)) == time_us


@pytest.mark.parametrize(
    ("offset_us", "text"),
    [
        (0, "2026-03-01T12:00:00Z"),
        (500_000, "2026-03-01T12:00:00.5Z"),
        (1, "2026-03-01T12:00:00.000001Z"),
        (-1, "2026-03-01T11:59:59.999999Z"),
    ],
)
def test_short_time_has_no_zeros_at_the_end(offset_us: int, text: str) -> None:
    assert short_utc_text(NOON_US + offset_us) == text


@pytest.mark.parametrize("time_us", [1 << 61, -(1 << 61), 1 << 62, 1 << 80])
def test_moment_that_no_date_can_say_is_unknown(time_us: int) -> None:
    assert utc_text(time_us) == "unknown"
