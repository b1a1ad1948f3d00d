"""Bad days of a home gateway without servers: cut off, killed, taken over, given back."""

from __future__ import annotations

import pytest

from tests.fleet.home.in_process import home_days


def test_nothing_is_lost_doubled_or_used_twice() -> None:
    outcome = home_days(100, 5, kill_one_in=60)
    assert outcome.is_right, outcome.line
    assert outcome.home_kills + outcome.cuts + outcome.take_overs, outcome.line


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
def test_longer(seed: int) -> None:
    outcome = home_days(1000, seed)
    assert outcome.is_right, outcome.line
