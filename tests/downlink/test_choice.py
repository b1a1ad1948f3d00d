from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from lora_post.downlink.choice import COLLECT_S, MAX_MARGIN_DB, Chance, best_first, collect_s

NEAR, FAR = Chance(5.0, 7), Chance(-6.0, 7)


def order(**chances: Chance) -> list[str]:
    return best_first(chances, chances.__getitem__)


def test_gateway_that_hears_a_device_best_is_the_first() -> None:
    assert order(far=FAR, near=NEAR) == ["near", "far"]
    # the same SNR is a margin of 10 dB more at SF11
    assert order(fast=Chance(-6.0, 7), slow=Chance(-6.0, 11)) == ["slow", "fast"]


def test_one_that_tells_no_snr_comes_behind_all_that_can_be_heard() -> None:
    assert order(unknown=Chance(None, 7), far=Chance(-7.5, 7)) == ["far", "unknown"]
    assert order(strange=Chance(9.0, None), far=FAR) == ["far", "strange"]


def test_one_without_air_time_or_too_slow_comes_behind_a_far_one() -> None:
    spent = replace(NEAR, airtime_s=1.2, budget_s=1.0)
    slow = replace(NEAR, round_trip_s=0.6, left_s=0.5)
    assert order(spent=spent, far=FAR) == ["far", "spent"]
    assert order(slow=slow, far=FAR) == ["far", "slow"]
    assert order(far=FAR, enough=replace(spent, budget_s=1.2)) == ["enough", "far"]


def test_one_that_did_not_say_whether_it_sends_loses_its_lead() -> None:
    assert order(mute=replace(NEAR, silent=4), far=FAR) == ["far", "mute"]
    assert replace(NEAR, silent=1000).score_db == replace(NEAR, silent=5).score_db


def test_one_that_never_sends_keeps_no_device_from_the_others() -> None:
    black_hole = Chance(1e300, 7, silent=5)
    for others in (FAR, Chance(None, 7), Chance(-9.0, 7)):
        assert order(black_hole=black_hole, other=others) == ["other", "black_hole"]


@given(st.lists(st.floats() | st.none(), min_size=2, max_size=4))
def test_numbers_that_are_no_snr_do_not_spoil_the_order(told: list[float | None]) -> None:
    chances = {str(index): Chance(snr_db, 7) for index, snr_db in enumerate(told)}
    scores = [chances[each].score_db for each in order(**chances)]
    assert scores == sorted(scores, reverse=True)


def test_no_snr_that_a_gateway_makes_up_is_better_than_a_good_one_that_was_first() -> None:
    good = Chance(MAX_MARGIN_DB - 7.5, 7)
    assert order(first=good, liar=Chance(1e300, 7)) == ["first", "liar"]


@given(st.floats(-10, 20), st.none() | st.floats(0, 30))
def test_copies_are_never_waited_for_so_long_that_no_second_gateway_can_be_asked(
    left_s: float, round_trip_s: float | None
) -> None:
    wait_s = collect_s(left_s, round_trip_s)
    assert 0 <= wait_s <= COLLECT_S
    assert wait_s == 0 or wait_s + 2 * (round_trip_s or 0) <= left_s
