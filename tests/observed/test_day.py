"""The last day of a sensor."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lora_post.observed.day import POINTS, STEP_US, Day
from tests.support.build import NOON_US


def test_day_gives_means_of_quarter_hours_and_leaves_gaps() -> None:
    day = Day()
    for offset, value in ((0, 1.0), (1, 2.0), (2 * STEP_US, 7.0)):
        day.add(NOON_US + offset, value)
    assert day.points(NOON_US + 2 * STEP_US)[-4:] == [None, 1.5, None, 7.0]


def test_day_forgets_what_is_older_than_a_day() -> None:
    day = Day()
    day.add(NOON_US, 1.0)
    assert day.points(NOON_US + (POINTS - 1) * STEP_US)[0] == 1.0
    assert day.points(NOON_US + POINTS * STEP_US) == [None] * POINTS
    day.add(NOON_US + 3 * POINTS * STEP_US, 2.0)
    day.add(NOON_US, 5.0)
    assert [point for point in day.points(NOON_US + 3 * POINTS * STEP_US) if point is not None] == [2.0]


@given(st.lists(st.tuples(st.integers(0, 10**17), st.floats(allow_nan=False, allow_infinity=False)), max_size=60))
def test_day_takes_any_values_at_any_times(values: list[tuple[int, float]]) -> None:
    day = Day()
    for time_us, value in values:
        day.add(time_us, value)
    assert len(day.points(max((time for time, _ in values), default=0))) == POINTS
