"""Waiting longer after each failure."""

from __future__ import annotations

import itertools

import pytest

from lora_post.net.backoff import Backoff, pause_s


@pytest.mark.parametrize(
    ("failures", "least", "most"), [(1, 0.5, 1), (2, 1, 2), (5, 8, 16), (7, 30, 60), (10**6, 30, 60)]
)
def test_pauses_double_up_to_a_bound(failures: int, least: float, most: float) -> None:
    assert all(least <= pause_s(failures, 60.0) <= most for _ in range(100))


def test_failures_in_a_row_are_counted_until_something_succeeds() -> None:
    backoff = Backoff(60.0)
    for failures in itertools.islice(itertools.count(1), 5):
        backoff.fail(100.0)
        assert backoff.failures == failures
        assert 100 < backoff.until <= 160
    backoff.succeed()
    assert (backoff.failures, backoff.until) == (0, 0.0)


def test_longer_pause_that_is_asked_for_is_kept() -> None:
    backoff = Backoff(60.0)
    backoff.fail(100.0, at_least_s=1234.0)
    assert backoff.until == 1334.0


def test_first_pause_can_be_shorter() -> None:
    assert all(0.005 <= pause_s(1, 60.0, 0.01) <= 0.01 for _ in range(100))
    assert all(0.02 <= pause_s(3, 60.0, 0.01) <= 0.04 for _ in range(100))
