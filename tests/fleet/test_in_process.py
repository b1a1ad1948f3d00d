"""A short stretch of bad days without servers: joins, answers and commands while workers are killed."""

from __future__ import annotations

import pytest

from tests.fleet.in_process import Days, days_in_process


def test_nothing_is_lost_doubled_or_used_twice() -> None:
    outcome = days_in_process(110, 8, kill_one_in=60, old_disk_every=60)
    assert outcome.is_right, outcome.line
    harm = (outcome.kills, outcome.old_disks, outcome.lies)
    assert min(*harm, outcome.joins, outcome.commands, outcome.void) > 0, outcome.line


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4))
def test_longer(seed: int) -> None:
    outcome = days_in_process(2500, seed)
    assert outcome.is_right, outcome.line


@pytest.mark.long
def test_kills_and_old_disks_together_far_too_often() -> None:
    wrong = {seed: outcome.line for seed in range(40) if not (outcome := days_in_process(150, seed, 60, 60)).is_right}
    assert not wrong


def test_what_is_wrong_is_seen() -> None:
    days = Days(1, 1 << 40)
    while days.at_s < 200:
        days.send()
        days.work()
    days.at_s += 1000
    while days.queue:
        days.work()
    assert days.outcome().is_right
    days.texts.setdefault((0, 0), set()).update((b"a", b"b"))
    assert days.outcome().fcntdown_twice == 1
    days.sent.add((1, 1))
    assert days.outcome().missing == 1
