"""The times of readings are right whatever a gateway's clock says and however long its link stands still."""

from __future__ import annotations

from random import Random

import pytest

from lora_post.fleet.hub.raw import Raw
from lora_post.fleet.worker.gateway_times import DOUBT_US, STOOD_STILL_US, GatewayTimes
from lora_post.times import WallUs

S = 1_000_000
NOW = 1_790_000_000 * S
DAY = 86_400 * S


def heard(times: GatewayTimes, at_us: int, delay_us: int, error_us: int = 0, age_ms: int | None = 200) -> int:
    """Return how far the time of a frame is from the true one. at_us: when it was heard."""
    raw = Raw(1, False, age_ms, WallUs(at_us + error_us), b"")
    published_us = WallUs(at_us + (age_ms or 0) * 1000 + delay_us)
    return times.heard_us("gw1", "s", raw, published_us) - at_us


def test_link_that_stood_still_does_not_shift_the_time() -> None:
    """Also where a worker has just begun, and knows nothing of the gateway."""
    times = GatewayTimes()
    for number, delay_us in enumerate((7 * S, 60 * S, 6 * S, 20_000, *[9 * S] * 99)):
        assert heard(times, NOW + number * S, delay_us) == 0


@pytest.mark.parametrize("error_us", [DAY, -DAY, 40 * S, -40 * S])
def test_wrong_clock_is_found_out_and_what_a_link_delays_does_not_count(error_us: int) -> None:
    times, chance = GatewayTimes(), Random(1)
    for number in range(300):
        delay_us = chance.choice((30_000, 30_000, 7 * S))
        off_us = heard(times, NOW + number * S, delay_us, error_us)
        if number * S > STOOD_STILL_US + 9 * S:
            assert abs(off_us) <= 30_000, number


@pytest.mark.parametrize(("before_us", "after_us"), [(DAY, 0), (-DAY, 0), (DAY, -DAY), (-DAY, 3600 * S)])
def test_clock_that_is_set_is_believed_at_once_or_found_out_again(before_us: int, after_us: int) -> None:
    times = GatewayTimes()
    for number in range(50):
        heard(times, NOW + number * S, 30_000, before_us)
    off_us = [heard(times, NOW + (50 + number) * S, 30_000, after_us) for number in range(10)]
    assert all(abs(each) <= DOUBT_US for each in off_us)
    assert after_us or not any(off_us)


def test_frame_of_another_boot_has_the_time_that_its_gateway_tells() -> None:
    assert heard(GatewayTimes(), NOW, DAY, age_ms=None) == 0
    assert GatewayTimes().heard_us("gw1", "s", Raw(1, True, None, None, b""), WallUs(NOW)) == NOW
