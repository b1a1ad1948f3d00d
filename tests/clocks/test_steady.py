from __future__ import annotations

import pytest

from lora_post.clocks.steady import STEP_US, SteadyClock

YEARS_US = 56 * 365 * 86_400_000_000


class Machine:
    """Its wall clock, and the time since it was switched on."""

    def __init__(self, wall_us: int) -> None:
        self.wall = wall_us
        self.on_s = 40.0

    def passes(self, seconds: float) -> None:
        self.wall += int(seconds * 1e6)
        self.on_s += seconds

    def steady(self) -> SteadyClock:
        return SteadyClock(lambda: self.wall, lambda: self.on_s)


@pytest.mark.parametrize("step_us", [YEARS_US, -YEARS_US, 3_600_000_000, -STEP_US])
def test_span_over_a_step_of_the_wall_clock_is_what_has_passed(step_us: int) -> None:
    machine = Machine(YEARS_US)
    clock = machine.steady()
    before_us = clock.now_us()
    machine.passes(30)
    machine.wall += step_us
    machine.passes(30)
    assert clock.now_us() - before_us == 60_000_000
    assert clock.now_us() + clock.ahead_us() == machine.wall


def test_what_a_time_daemon_corrects_all_the_time_moves_nothing() -> None:
    machine = Machine(YEARS_US)
    clock = machine.steady()
    for _ in range(3):
        machine.wall += STEP_US // 4
        assert clock.ahead_us() == 0


def test_moment_of_a_wall_time_is_never_in_the_future() -> None:
    machine = Machine(YEARS_US)
    clock = machine.steady()
    machine.wall += YEARS_US
    machine.passes(100)
    assert clock.moment(machine.wall - 10_000_000) == clock.now_us() - 10_000_000
    for time_us in (machine.wall + YEARS_US, 1 << 62):
        assert clock.moment(time_us) == clock.now_us()
