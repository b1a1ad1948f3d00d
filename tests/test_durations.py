"""Lengths of time as people write and say them."""

from __future__ import annotations

import pytest

from lora_post.text import parse_duration, span_text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("10 min", 600),
        (" 1h ", 3600),
        ("2d", 172_800),
        ("0s", 0),
        ("", None),
        ("5", None),
        ("1.5h", None),
        ("h", None),
        ("-1s", None),
    ],
)
def test_length_of_time_is_read_as_people_write_it(text: str, seconds: float | None) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("minutes", "text"), [(-9, "<1 min"), (0, "<1 min"), (1, "1 min"), (119, "119 min"), (120, "2 h"), (2880, "2 d")]
)
def test_length_of_time_is_said_in_one_unit(minutes: int, text: str) -> None:
    assert span_text(minutes * 60 + 59) == text
