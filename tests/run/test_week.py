from __future__ import annotations

from pathlib import Path
from random import Random

from tests.week.plan import short
from tests.week.run import week


def test_hours_of_a_bad_week_tell_of_everything_once_and_lose_nothing(tmp_path: Path) -> None:
    summary = week(tmp_path, short(Random(5)), Random(5), lambda share, text: None)
    assert summary.wrong == ()
    assert (summary.lives, summary.alerts.total()) == (4, 4)
