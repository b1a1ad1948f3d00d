from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.downlink.adr import UPLINKS, HeardUplink, adapted
from lora_post.downlink.settings import Limits, Rate
from lora_post.lorawan.region import load_region, region_names

EU868, US915 = load_region("EU868"), load_region("US915")


def heard(snr_db: float, *, step: int = 1, count: int = UPLINKS) -> list[HeardUplink]:
    return [HeardUplink(number * step, snr_db) for number in range(count)]


# margin = SNR - what SF needs - 10 dB, in steps of 3 dB: first the data rate, then the power.
@pytest.mark.parametrize(
    ("snr_db", "now", "then"),
    [
        (-20.0, Rate(0), Rate(0)),
        (-4.0, Rate(0), Rate(2)),
        (5.0, Rate(0), Rate(5)),
        (10.0, Rate(0), Rate(5, 1)),
        (12.0, Rate(5), Rate(5, 3)),
        (30.0, Rate(5), Rate(5, 7)),
        (-3.0, Rate(5, 4), Rate(5, 3)),
        (-15.0, Rate(5, 4), Rate(5, 0)),  # the device itself goes back to slower data rates
        (2.6, Rate(5, 2), Rate(5, 2)),
    ],
)
def test_margin_becomes_data_rate_and_then_less_power(snr_db: float, now: Rate, then: Rate) -> None:
    assert adapted(heard(snr_db), now, EU868, Limits()) == then


def test_nothing_is_changed_before_twenty_uplinks_were_heard() -> None:
    assert adapted(heard(30, count=UPLINKS - 1), Rate(0), EU868, Limits()) == Rate(0)


def test_rate_above_those_that_networks_set_stays() -> None:
    assert adapted(heard(30), Rate(4), US915, Limits()) == Rate(4)


@pytest.mark.parametrize(("step", "before", "after"), [(1, 1, 1), (1, 3, 2), (2, 1, 3), (2, 3, 3)])
def test_lost_uplinks_are_sent_more_often(step: int, before: int, after: int) -> None:
    assert adapted(heard(5, step=step), Rate(5, 0, before), EU868, Limits()).nb_trans == after


@given(
    st.sampled_from(region_names()),
    st.integers(0, 3),
    st.integers(0, 5),
    st.floats(-30, 30),
    st.builds(Limits, st.integers(0, 15), st.integers(0, 1), st.integers(1, 15)),
)
def test_what_is_asked_is_within_the_region_and_what_the_device_takes(
    name: str, data_rate: int, power: int, snr_db: float, limits: Limits
) -> None:
    region, now = load_region(name), Rate(data_rate, power)
    rate = adapted(heard(snr_db), now, region, limits)
    assert data_rate <= rate.data_rate <= max(data_rate, min(region.adr[0], limits.max_rate))
    assert rate == now or limits.min_power <= rate.power <= max(power, min(region.adr[1], limits.max_power))
