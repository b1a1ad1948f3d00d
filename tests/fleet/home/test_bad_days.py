"""A taste of `python -m tests.fleet --home`: real servers and processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fleet.bad_days import bad_days
from tests.fleet.home.bad_days import HomeFleet


@pytest.mark.long
def test_nothing_is_lost_doubled_or_used_twice(tmp_path: Path) -> None:
    verdict = bad_days(tmp_path, 5.0, 1, 10.0, servers=1, kind=HomeFleet)
    assert verdict.is_right, verdict.line
    assert verdict.uplinks > 20
    assert sum(verdict.counts.values()) > 0
