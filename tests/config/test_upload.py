"""The [upload] table: windows of the day, bytes a day, holding time."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.config import parse_config
from lora_post.config.upload import DAY_S, MIN_BYTES_PER_DAY, UploadRules, Window, closed_s, parse_window
from lora_post.errors import ConfigError

GATEWAY = '[gateway]\nid = "gw1"\n[waziup]\nusername = "demo"\npassword = "x"\n'
HOUR = 3600


def rules(upload: str) -> UploadRules:
    return parse_config(GATEWAY + "[upload]\n" + upload, Path("site.toml"), {}).upload


def test_table_becomes_rules() -> None:
    assert rules('schedule = ["22:00-06:00", "12:00-12:30"]\nmax_bytes_per_day = 1_000_000\nhold = "10min"') == (
        UploadRules((Window(22 * HOUR, 6 * HOUR), Window(12 * HOUR, 12 * HOUR + 1800)), 1_000_000, 600.0)
    )
    assert parse_config(GATEWAY, Path("site.toml"), {}).upload == UploadRules()


@pytest.mark.parametrize(
    ("upload", "complaint"),
    [
        ('schedule = "22:00-06:00"', "schedule is a text in quotes; it must be a list in [ ]"),
        ('schedule = ["22-06"]', "schedule has '22-06'; write times of the day as"),
        ("max_bytes_per_day = 1000", f"max_bytes_per_day is 1000; it must be at least {MIN_BYTES_PER_DAY}"),
        ("max_bytes_per_day = -1", "max_bytes_per_day is -1; it must be at least"),
        ('hold = "soon"', "hold is 'soon'; write it as"),
        ('hold = "2d"', "hold is '2d'; write it as"),
        ("hold = 600", "hold is a whole number; it must be a text in quotes"),
        ("max_bytes = 100000", "unknown key 'max_bytes'; did you mean 'max_bytes_per_day'?"),
    ],
)
def test_mistake_is_named_with_the_fix(upload: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        rules(upload)
    (line,) = str(caught.value).splitlines()
    assert line.startswith("site.toml: [upload]")
    assert complaint in line


@pytest.mark.parametrize(
    "text",
    ["", "22:00", "22:00-", "22:00-22:00", "24:01-06:00", "25:00-06:00", "22:60-23:00", "1:2-3:4", "-", "22:00~06:00"],
)
def test_text_that_is_no_window_is_none(text: str) -> None:
    assert parse_window(text) is None


def test_whole_day_can_be_written() -> None:
    window = parse_window("00:00-24:00")
    assert window is not None
    assert all(window.holds(second) for second in (0, DAY_S // 2, DAY_S - 1))


@pytest.mark.parametrize(
    ("second", "wait_s"),
    [(0, 0), (6 * HOUR - 1, 0), (6 * HOUR, 6 * HOUR), (12 * HOUR, 0), (13 * HOUR, 9 * HOUR), (22 * HOUR, 0)],
)
def test_closed_until_the_next_window_opens(second: int, wait_s: int) -> None:
    windows = [Window(22 * HOUR, 6 * HOUR), Window(12 * HOUR, 12 * HOUR + 1800)]
    assert closed_s(windows, second) == wait_s


times = st.integers(0, DAY_S - 1)


@given(st.lists(st.builds(Window, times, times), min_size=1, max_size=3), times)
def test_when_the_wait_is_over_a_window_is_open(windows: list[Window], second: int) -> None:
    windows = [window for window in windows if window.start_s != window.end_s] or [Window(0, 1)]
    opens = (second + closed_s(windows, second)) % DAY_S
    assert any(window.holds(opens) for window in windows)
