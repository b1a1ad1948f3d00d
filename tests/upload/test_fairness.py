"""Whose turn it is to send."""

from __future__ import annotations

from collections import Counter

import pytest

from lora_post.spool.model import Lane, Waiting
from lora_post.upload.fairness import Fairness
from lora_post.upload.policy import UploadPolicy
from tests.support.build import NOON_US

NOW_US = NOON_US
FRESH_S = UploadPolicy().fresh_for_s
FRESH_US = int(FRESH_S * 1e6)
OLD_US = NOON_US - 3 * 86_400_000_000


def lane(lane_id: int, device: str) -> Lane:
    return Lane(lane_id, device, f"t{lane_id}", "", "", None)


def served(fairness: Fairness, queue: list[Waiting], times: int) -> list[Lane]:
    """The lanes that are served, when no queue ever empties."""
    for waiting in queue:
        fairness.put(waiting, NOW_US)
    found = []
    for _ in range(times):
        first = fairness.take(NOW_US)
        assert first is not None
        fairness.put(first, NOW_US)
        found.append(first.lane)
    return found


def test_fresh_readings_get_every_other_turn_beside_any_backlog() -> None:
    backlog = [Waiting(lane(n, f"old-{n}"), OLD_US) for n in range(40)]
    fresh = Waiting(lane(99, "young"), NOW_US)
    found = served(Fairness(FRESH_S), [*backlog, fresh], 80)
    assert [each.id == 99 for each in found] == [True, False] * 40
    assert len(set(found)) == 41


def test_backlog_gets_every_other_turn_beside_any_number_of_fresh_readings() -> None:
    fresh = [Waiting(lane(n, f"young-{n}"), NOW_US) for n in range(40)]
    found = served(Fairness(FRESH_S), [*fresh, Waiting(lane(99, "old"), OLD_US)], 80)
    assert Counter(each.id for each in found)[99] == 40


@pytest.mark.parametrize("oldest_us", [NOW_US, OLD_US])
def test_devices_take_turns_and_the_sensors_of_each(oldest_us: int) -> None:
    queue = [Waiting(lane(n, "crowd"), oldest_us) for n in range(1, 31)] + [Waiting(lane(31, "lone"), oldest_us)]
    found = served(Fairness(FRESH_S), queue, 60)
    assert [each.device for each in found] == ["crowd", "lone"] * 30
    assert {each.id for each in found} == set(range(1, 32))


@pytest.mark.parametrize(
    ("oldest_us", "fresh"),
    [(NOW_US, True), (NOW_US - FRESH_US + 1, True), (NOW_US - FRESH_US, False), (NOW_US + 86_400_000_000, True)],
)
def test_what_is_younger_than_a_quarter_of_an_hour_is_fresh(oldest_us: int, fresh: bool) -> None:
    assert Fairness(FRESH_S).is_fresh(Waiting(lane(1, "d"), oldest_us), NOW_US) is fresh


def test_what_grows_old_while_it_waits_takes_its_turn_among_the_old() -> None:
    fairness = Fairness(FRESH_S)
    for n in range(3):
        fairness.put(Waiting(lane(n, f"d{n}"), NOW_US), NOW_US)
    later_us = NOW_US + FRESH_US
    young = Waiting(lane(9, "young"), later_us)
    fairness.put(young, later_us)
    order = [fairness.take(later_us) for _ in range(5)]
    assert order[0] == young
    assert [waiting and waiting.lane.id for waiting in order[1:]] == [0, 1, 2, None]


def test_lane_that_is_taken_out_has_no_turn_and_another_time_moves_it() -> None:
    fairness = Fairness(FRESH_S)
    for n in range(3):
        fairness.put(Waiting(lane(n, "d"), OLD_US), NOW_US)
    fairness.discard(0)
    fairness.discard(7)
    fairness.put(Waiting(lane(2, "d"), NOW_US), NOW_US)
    order = [fairness.take(NOW_US) for _ in range(3)]
    assert [waiting and waiting.lane.id for waiting in order] == [2, 1, None]
