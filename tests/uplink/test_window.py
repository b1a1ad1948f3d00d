"""The counters that a session has accepted, with gaps."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lora_post.times import WallUs
from lora_post.uplink.window import DOUBT_US, MAX_GAPS, Gap, Standing, Window, accepted, late_counters, standing_of

S = 1_000_000


def after(*fcnts: int) -> Window:
    """The window after frames that were received at their counter in seconds."""
    window = Window()
    for fcnt in fcnts:
        window = accepted(window, fcnt, WallUs(fcnt * S))
    return window


def test_frame_that_comes_late_is_accepted_once_in_its_place() -> None:
    window = after(0, 1, 2, 900)
    time_us = WallUs(450 * S)
    assert standing_of(window, 450, time_us) is Standing.LATE
    window = accepted(window, 450, time_us)
    assert standing_of(window, 450, time_us) is Standing.SEEN
    assert window.up == 901
    assert [(gap.first, gap.last) for gap in window.gaps] == [(3, 449), (451, 899)]


def test_recording_is_not_late() -> None:
    window = after(0, 900)
    assert standing_of(window, 5, WallUs(900 * S + DOUBT_US)) is Standing.LATE
    assert standing_of(window, 5, WallUs(900 * S + DOUBT_US + 1)) is Standing.OUT_OF_TIME
    middle = accepted(window, 800, WallUs(800 * S))
    assert standing_of(middle, 850, WallUs(900 * S + DOUBT_US + 1)) is Standing.OUT_OF_TIME
    assert standing_of(middle, 850, WallUs(850 * S)) is Standing.LATE


def test_recording_in_a_gap_keeps_nothing_else_of_it_out() -> None:
    """Whatever time a late frame claims within its gap, the true ones are accepted at theirs."""
    for claimed_s in (0, 450, 900, 900 + DOUBT_US // S):
        window = after(0, 900)
        assert standing_of(window, 450, WallUs(claimed_s * S)) is Standing.LATE
        window = accepted(window, 450, WallUs(claimed_s * S))
        for fcnt in (1, 449, 451, 899):
            assert standing_of(window, fcnt, WallUs(fcnt * S)) is Standing.LATE


def test_frame_whose_gateway_has_a_slow_clock_keeps_no_missed_one_out() -> None:
    window = accepted(after(0, 500), 900, WallUs(S))
    assert standing_of(window, 501, WallUs(501 * S)) is Standing.LATE


def test_oldest_gap_is_given_up() -> None:
    window = after(*range(0, 2 * MAX_GAPS + 4, 2))
    assert len(window.gaps) == MAX_GAPS
    assert window.gaps[0].first == 3
    assert standing_of(window, 1, WallUs(S)) is Standing.SEEN


def test_sixteen_bits_of_late_counters() -> None:
    window = Window(
        0x30005, WallUs(0), (Gap(0x0FFFE, 0x20001, WallUs(0), WallUs(0)), Gap(0x30000, 0x30002, *[WallUs(0)] * 2))
    )
    assert list(late_counters(window, 0x0001)) == [0x30001, 0x20001, 0x10001]
    assert list(late_counters(window, 0xFFFE)) == [0x1FFFE, 0x0FFFE]
    assert list(late_counters(window, 0x0003)) == [0x10003]


@given(st.lists(st.integers(0, 40), max_size=60))
def test_window_is_a_set_of_counters(fcnts: list[int]) -> None:
    window, there = Window(), set[int]()
    for fcnt in fcnts:
        place = standing_of(window, fcnt, WallUs(0))
        assert (place is Standing.SEEN) == (fcnt in there)
        assert (place is Standing.NEW) == (fcnt > max(there, default=-1))
        if place is not Standing.SEEN:
            window = accepted(window, fcnt, WallUs(0))
            there.add(fcnt)
        assert {each for gap in window.gaps for each in range(gap.first, gap.last + 1)} == set(range(window.up)) - there
