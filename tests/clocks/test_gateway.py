from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.clocks.gateway import GatewayClock, Times
from lora_post.clocks.scale import boot_zero, is_unknown
from lora_post.model import ClearUplink, Frame, Noise, NoiseReason
from tests.support.build import frame
from tests.support.clocks import BOOTED_US, Machine

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S


def us(seconds: float) -> int:
    return round(seconds * 1_000_000)


def arrival(clock: GatewayClock, machine: Machine, times: Times = Times.LIVE, ago_s: float = 0) -> int:
    """The time of a frame that an input stamped by the system clock, so long ago."""
    return told(clock, machine.wall_us() - us(ago_s), times)


def told(clock: GatewayClock, time_us: int, times: Times) -> int:
    """The time of a frame whose input says this time."""
    (stamped,) = clock.stamp([frame(time_us=time_us)], times)
    assert isinstance(stamped, Frame)
    return stamped.time_us


def vouch(clock: GatewayClock, machine: Machine, error_s: float = 0) -> None:
    """The server answers with a Date, whose seconds are whole."""
    true_us = machine.true_us + us(error_s)
    date_us = true_us - true_us % 1_000_000
    clock.vouch(date_us - machine.boot_us(), date_us + 1_000_000 - machine.boot_us())


def lost_clock() -> tuple[Machine, GatewayClock]:
    """A board without battery that has started."""
    machine = Machine()
    machine.start_in_1970()
    return machine, GatewayClock(machine)


def right_clock() -> tuple[Machine, GatewayClock]:
    machine = Machine(is_vouched_for=True)
    clock = GatewayClock(machine)
    clock.look()
    return machine, clock


@pytest.mark.parametrize("times", Times)
def test_nothing_is_stamped_by_a_clock_that_nobody_vouches_for(times: Times) -> None:
    machine, clock = lost_clock()
    assert arrival(clock, machine, times) == boot_zero(0) + machine.boot_us()
    machine.pass_s(7)
    assert arrival(clock, machine, times) == boot_zero(0) + machine.boot_us()
    assert clock.offset_us is None


@pytest.mark.parametrize("times", Times)
def test_frames_keep_their_times_while_the_clock_is_right(times: Times) -> None:
    machine, clock = right_clock()
    for ago_s in (0, 0.01, 3, 29):
        assert arrival(clock, machine, times, ago_s) == machine.true_us - us(ago_s)


def test_clock_is_right_as_soon_as_the_machine_vouches_for_it() -> None:
    machine, clock = lost_clock()
    assert is_unknown(arrival(clock, machine))
    machine.pass_s(60)
    machine.wall_error_us, machine.is_vouched_for = 0, True
    assert arrival(clock, machine) == machine.true_us
    assert clock.offset_us == BOOTED_US


def test_server_that_agrees_confirms_the_clock_to_the_microsecond() -> None:
    machine = Machine()
    machine.pass_s(0.123456)
    clock = GatewayClock(machine)
    assert is_unknown(arrival(clock, machine))
    vouch(clock, machine, error_s=-3)
    assert arrival(clock, machine) == machine.true_us


@pytest.mark.parametrize("error_s", [-40 * 365 * DAY_S, -DAY_S, -6.5, 7.0, HOUR_S])
def test_server_that_disagrees_is_believed_and_it_is_said_once(
    error_s: float, caplog: pytest.LogCaptureFixture
) -> None:
    machine = Machine(wall_error_us=us(error_s))
    clock = GatewayClock(machine)
    for _ in range(3):
        vouch(clock, machine)
        assert abs(arrival(clock, machine) - machine.true_us) <= 1_000_000
        machine.pass_s(600)
    (line,) = caplog.messages
    assert "the system clock is" in line
    assert "readings get the server's" in line


def test_answer_that_took_long_does_not_condemn_a_clock_that_may_be_right() -> None:
    machine = Machine(wall_error_us=us(-20))
    clock = GatewayClock(machine)
    boot_us = machine.boot_us()
    clock.vouch(machine.true_us - boot_us - us(60), machine.true_us - boot_us + us(1))
    assert clock.offset_us == BOOTED_US - us(20)


def test_synchronised_clock_is_believed_against_the_server(caplog: pytest.LogCaptureFixture) -> None:
    machine, clock = right_clock()
    vouch(clock, machine, error_s=900)
    vouch(clock, machine, error_s=900)
    assert arrival(clock, machine) == machine.true_us
    assert caplog.messages == ["the server's clock is +900 s from this one, which a time daemon has set"]


def test_clock_is_believed_when_nobody_can_tell_but_not_one_that_was_never_set() -> None:
    machine, clock = lost_clock()
    machine.pass_s(HOUR_S)
    clock.believe()
    assert is_unknown(arrival(clock, machine))
    machine = Machine()
    machine.pass_s(HOUR_S)
    clock = GatewayClock(machine)
    clock.believe()
    assert arrival(clock, machine) == machine.true_us


def test_clock_that_goes_on_from_the_last_shutdown_is_not_believed_before_a_daemon_had_time_to_set_it() -> None:
    machine = Machine(wall_error_us=-us(6 * HOUR_S))
    clock = GatewayClock(machine)
    clock.believe()
    assert is_unknown(arrival(clock, machine))
    machine.pass_s(60)
    machine.wall_error_us, machine.is_vouched_for = 0, True
    clock.believe()
    assert arrival(clock, machine) == machine.true_us


def test_what_another_process_of_this_boot_has_learned_is_taken_over() -> None:
    machine, clock = lost_clock()
    clock.adopt(BOOTED_US)
    assert arrival(clock, machine) == machine.true_us


@pytest.mark.parametrize("jump_s", [-HOUR_S, -3, -0.2, 0.2, 3, DAY_S, 50 * 365 * DAY_S])
def test_jump_that_nobody_vouches_for_changes_no_time(jump_s: float, caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine()
    clock = GatewayClock(machine)
    vouch(clock, machine)
    machine.wall_error_us = us(jump_s)
    for _ in range(5):
        assert arrival(clock, machine, Times.PIPED) == machine.true_us
        machine.pass_s(20)
    assert len(caplog.messages) == 1


def test_frame_from_before_a_jump_is_read_by_the_clock_as_it_was() -> None:
    machine, clock = right_clock()
    machine.wall_error_us = us(-HOUR_S)
    machine.is_vouched_for = False
    clock = GatewayClock(machine)
    clock.look()
    printed_us, true_us = machine.wall_us(), machine.true_us
    machine.pass_s(0.4)
    machine.wall_error_us, machine.is_vouched_for = 0, True
    assert told(clock, printed_us, Times.PIPED) == true_us
    assert arrival(clock, machine, Times.PIPED) == machine.true_us


def test_small_step_back_does_not_reorder(caplog: pytest.LogCaptureFixture) -> None:
    """As a leap second does it, or a time daemon at its start."""
    machine, clock = right_clock()
    before = [arrival(clock, machine)]
    machine.wall_error_us = -1_000_000
    for _ in range(8):
        before.append(arrival(clock, machine))
        machine.pass_s(0.25)
    assert before == sorted(before)
    machine.pass_s(1)
    assert arrival(clock, machine) == machine.wall_us()
    assert caplog.messages == ["the clock was corrected by -1.0 s; readings from now on follow it"]


def test_smear_moves_no_time_at_once() -> None:
    """A smeared leap second changes the rate of all clocks of the machine, so nothing is to be done."""
    machine, clock = right_clock()
    last_us = arrival(clock, machine)
    for _ in range(1000):
        machine.pass_s(60 + 60 / 86_400)
        now_us = arrival(clock, machine)
        assert 0 < now_us - last_us < us(61)
        last_us = now_us


def test_busy_machine_is_no_jump(caplog: pytest.LogCaptureFixture) -> None:
    class Busy(Machine):
        delay_us = 0

        def wall_us(self) -> int:
            self.true_us += self.delay_us
            self.delay_us = 0
            return super().wall_us()

    machine = Busy(is_vouched_for=True)
    clock = GatewayClock(machine)
    clock.look()
    machine.delay_us = 300_000
    clock.look()
    assert arrival(clock, machine) == machine.true_us
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("times", "ago_s", "is_believed"),
    [
        (Times.RECORDED, 20 * 365 * DAY_S, True),
        (Times.RECORDED, -400 * DAY_S, True),
        (Times.PIPED, 20 * 365 * DAY_S, False),
        (Times.PIPED, 60 * DAY_S, True),
        (Times.PIPED, -4, True),
        (Times.PIPED, -6, False),
        (Times.LIVE, 0.9 * DAY_S, True),
        (Times.LIVE, 1.1 * DAY_S, False),
        (Times.LIVE, -4, True),
        (Times.LIVE, -6, False),
    ],
)
def test_time_that_cannot_be_true_gives_way_to_the_time_of_arrival(
    times: Times, ago_s: float, is_believed: bool
) -> None:
    machine, clock = right_clock()
    claimed_us = machine.true_us - us(ago_s)
    assert told(clock, claimed_us, times) == (claimed_us if is_believed else machine.true_us)


def test_gateway_with_a_wrong_clock_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    machine, clock = right_clock()
    for _ in range(5):
        told(clock, 77_000_000, Times.LIVE)
        machine.pass_s(1)
    assert caplog.messages == [
        "gateway gw1: it says that a frame is from 1970-01-01T00:01:17Z, which is more than a day old; its clock "
        "is wrong, or a recording is replayed: such frames get the time of arrival"
    ]


def test_capture_and_a_piped_capture_keep_their_times_before_the_clock_is_known() -> None:
    machine, clock = lost_clock()
    claimed_us = BOOTED_US - us(40 * DAY_S)
    assert told(clock, claimed_us, Times.RECORDED) == claimed_us
    assert told(clock, claimed_us, Times.PIPED) == claimed_us
    assert told(clock, claimed_us, Times.LIVE) == boot_zero(0) + machine.boot_us()


def test_radio_program_on_a_board_that_thinks_it_is_last_week_is_not_taken_for_a_capture() -> None:
    machine = Machine(wall_error_us=us(-7 * DAY_S))
    clock = GatewayClock(machine)
    machine.pass_s(600)
    printed_us = machine.wall_us() - us(90)  # it waited in the pipe while this program started
    assert told(clock, printed_us, Times.PIPED) == boot_zero(0) + machine.boot_us() - us(90)
    vouch(clock, machine)
    assert abs(told(clock, printed_us, Times.PIPED) - (machine.true_us - us(90))) <= 1_000_000


def test_true_times_of_another_machine_are_believed_though_ours_is_ahead() -> None:
    machine = Machine(wall_error_us=us(HOUR_S))
    machine.pass_s(DAY_S)
    clock = GatewayClock(machine)
    vouch(clock, machine)
    assert told(clock, machine.true_us - us(2), Times.LIVE) == machine.true_us - us(2)


def test_noise_passes_and_frames_beside_it_are_stamped() -> None:
    machine, clock = lost_clock()
    noise = Noise(NoiseReason.CRC, 1, "x")
    found = clock.stamp([noise, frame(time_us=machine.wall_us())], Times.LIVE)
    assert found[0] is noise
    assert isinstance(found[1], Frame)
    assert is_unknown(found[1].time_us)


@given(
    st.lists(st.tuples(st.floats(0, 600), st.sampled_from(["wait", "jump", "vouch", "server"]), st.integers(-9, 9))),
    st.booleans(),
)
def test_times_never_go_back_and_are_right_once_known(
    steps: list[tuple[float, str, int]], begins_in_1970: bool
) -> None:
    machine = Machine()
    if begins_in_1970:
        machine.start_in_1970()
    clock = GatewayClock(machine)
    last_us = -1
    for seconds, what, jump_s in steps:
        machine.pass_s(seconds)
        if what == "jump":
            machine.wall_error_us += us(jump_s)
            machine.is_vouched_for = False
        elif what == "vouch":
            machine.wall_error_us, machine.is_vouched_for = 0, True
        elif what == "server":
            vouch(clock, machine)
        time_us = arrival(clock, machine, Times.PIPED)
        if is_unknown(time_us):
            assert clock.offset_us is None
            assert time_us == boot_zero(0) + machine.boot_us()
        else:
            # The server is believed within 5 s, and after a step back times stand still.
            assert abs(time_us - machine.true_us) <= us(16)
            assert is_unknown(last_us) or time_us >= last_us
        last_us = time_us


def test_trouble_with_the_time_is_told_until_it_is_over() -> None:
    machine = Machine()
    machine.start_in_1970()
    clock = GatewayClock(machine)
    assert "the time is not known yet" in str(clock.trouble())
    assert clock.wall_us() == machine.wall_us()
    machine.wall_error_us, machine.is_vouched_for = 0, True
    machine.pass_s(10)
    assert clock.trouble() is None
    machine.wall_error_us, machine.is_vouched_for = 3_600_000_000, False
    assert "the system clock is +3600 s from the right time" in str(clock.trouble())
    assert clock.wall_us() == machine.true_us


@pytest.mark.parametrize("years", [30, -19.6])
def test_daemon_that_leaps_by_years_is_not_followed_once_the_server_has_agreed_with_it(
    years: float, caplog: pytest.LogCaptureFixture
) -> None:
    """A receiver whose weeks begin anew would have sent readings to 2007."""
    machine, clock = right_clock()
    vouch(clock, machine)
    machine.wall_error_us = us(years * 365 * DAY_S)
    machine.pass_s(10)
    assert arrival(clock, machine) == machine.true_us
    assert "the server knew better; readings keep to the time since boot" in caplog.text
    assert "from the right time" in str(clock.trouble())
    machine.pass_s(DAY_S)
    vouch(clock, machine)
    assert arrival(clock, machine) == machine.true_us
    machine.wall_error_us = 0
    machine.pass_s(10)
    assert arrival(clock, machine) == machine.true_us
    assert clock.trouble() is None


def test_daemon_and_server_that_agree_on_another_time_are_followed() -> None:
    """A virtual machine that was paused for years: its time since boot stood still."""
    machine, clock = right_clock()
    vouch(clock, machine)
    machine.true_us += us(2 * 365 * DAY_S)
    machine.booted_us += us(2 * 365 * DAY_S)
    assert clock.wall_us() != machine.true_us
    vouch(clock, machine)
    assert arrival(clock, machine) == machine.true_us
    assert clock.trouble() is None


def test_daemon_that_the_server_contradicts_by_more_than_an_hour_is_told_as_a_trouble() -> None:
    machine, clock = right_clock()
    vouch(clock, machine, error_s=1800)
    assert clock.trouble() is None
    vouch(clock, machine, error_s=-2 * HOUR_S)
    assert "the server's clock is -7200 s from this one, which a time daemon has set" in str(clock.trouble())
    vouch(clock, machine)
    assert clock.trouble() is None


def told_by_server(clock: GatewayClock, time_us: int, times: Times = Times.PIPED) -> int:
    """The time of an uplink of which a network server says this time; copies have the same."""
    uplink = ClearUplink(frame(time_us=time_us), 1, 1, 1, b"", (frame(time_us=time_us),))
    (stamped,) = clock.stamp([uplink], times)
    assert isinstance(stamped, ClearUplink)
    assert stamped.copies[0].time_us == stamped.frame.time_us
    return stamped.frame.time_us


@pytest.mark.parametrize("times", [Times.PIPED, Times.LIVE])
@pytest.mark.parametrize(
    ("ago_s", "is_believed"),
    [
        (3 * HOUR_S, True),
        (60 * DAY_S, True),
        (366 * DAY_S, False),
        (11 * 365 * DAY_S, False),
        (-60, True),
        (-HOUR_S, False),
        (-14 * 365 * DAY_S, False),
    ],
)
def test_network_server_is_believed_within_reason(
    times: Times, ago_s: float, is_believed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    machine, clock = right_clock()
    claimed_us = machine.true_us - us(ago_s)
    assert told_by_server(clock, claimed_us, times) == (claimed_us if is_believed else machine.true_us)
    assert len(caplog.messages) == (0 if is_believed else 1)
    assert told_by_server(clock, claimed_us, Times.RECORDED) == claimed_us


def test_network_server_is_believed_within_reason_before_the_clock_is_known(caplog: pytest.LogCaptureFixture) -> None:
    machine, clock = lost_clock()
    assert told_by_server(clock, machine.true_us) == machine.true_us
    assert told_by_server(clock, us(10 * 365 * DAY_S)) == boot_zero(0) + machine.boot_us()
    machine = Machine()  # nothing vouches for the time that it goes on with
    clock = GatewayClock(machine)
    assert told_by_server(clock, machine.true_us + us(60 * DAY_S)) == machine.true_us + us(60 * DAY_S)
    assert told_by_server(clock, machine.true_us + us(14 * 365 * DAY_S)) == boot_zero(0) + machine.boot_us()
    assert ["which is more than a year old" in caplog.messages[0], "which is ahead" in caplog.messages[1]] == [
        True,
        True,
    ]
