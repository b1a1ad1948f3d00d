from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.week.plan import Plan, morning, short
from tests.week.run import week


@pytest.mark.parametrize(
    ("plan", "lives", "alerts"), [(morning, 3, 1), pytest.param(short, 4, 4, marks=pytest.mark.long)]
)
def test_hours_of_a_bad_week_tell_of_everything_once_and_lose_nothing(
    plan: Callable[[Random], Plan], lives: int, alerts: int, tmp_path: Path
) -> None:
    summary = week(tmp_path, plan(Random(5)), Random(5), lambda share, text: None)
    assert summary.wrong == ()
    assert (summary.lives, summary.alerts.total()) == (lives, alerts)
