"""What the status page remembers, and what it is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import json
from msgspec.structs import replace

from lora_post.clocks.steady import SteadyClock
from lora_post.model import Device, Frame, Reading, RxInfo
from lora_post.observed.day import POINTS, STEP_US, Day
from lora_post.observed.page_model import PageNews
from lora_post.observed.run_state import Disk, RunState
from lora_post.observed.site_state import MAX_GAP, MAX_RECENT, MAX_REFUSALS, MAX_SENSORS, SiteState
from lora_post.status.overview import MAX_PLOTS, news, whole
from lora_post.uplink.counters import stale
from lora_post.uplink.join_state import Join
from lora_post.uplink.model import Copy, Refusal, Report, Uplink
from tests.support.build import NOON_US, device, frame, report

RUNTIME = RunState("Farm", NOON_US, NOON_US, (), (), Disk(1, 2, 3), (), {})


def numbered(fcnt: int, of: Device | None = None) -> Report:
    made = report(Reading("t", fcnt), of=of)
    return replace(made, uplink=replace(made.uplink, fcnt=fcnt))


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


@pytest.mark.parametrize(
    ("fcnts", "missed"),
    [([1, 2, 3], 0), ([1, 5], 3), ([5, 1, 2], 0), ([1, MAX_GAP + 2], 0), ([7], 0), ([1, 4, 4, 6], 3)],
)
def test_gaps_of_the_counter_are_missed_frames(fcnts: list[int], missed: int) -> None:
    site = SiteState([device()])
    for fcnt in fcnts:
        site.hear(numbered(fcnt))
    [view] = site.devices()
    assert (view.heard, view.missed) == (len(fcnts), missed)


def test_device_shows_which_other_gateways_heard_its_last_frame_and_that_it_joined() -> None:
    site = SiteState([device()])
    first, second = numbered(1), numbered(2)
    site.hear(first)
    site.hear(Copy(Frame("gw2", NOON_US, b"", RxInfo(rssi_dbm=-70)), first.uplink))
    [view] = site.devices()
    assert [(gateway, rx.rssi_dbm) for gateway, rx in view.copies] == [("gw2", -70)]
    assert view.heard == 1
    site.hear(second)
    site.hear(Join(frame(b""), device(), "join-request", "DevNonce 0001"))
    assert site.devices()[0].copies == ()
    assert site.recent()[-1].text == "join-request: DevNonce 0001"


@pytest.mark.parametrize("step_us", [56 * 365 * 86_400_000_000, -86_400_000_000])
def test_step_of_the_wall_clock_makes_no_device_silent(step_us: int) -> None:
    wall, monotonic = [NOON_US], [100.0]
    clock = SteadyClock(lambda: wall[0], lambda: monotonic[0])
    site = SiteState([device()], clock)
    for _ in range(5):
        site.hear(report(Reading("t", 1), time_us=wall[0]))
        wall[0] += 600_000_000
        monotonic[0] += 600
    wall[0] += step_us
    site.hear(report(Reading("t", 1), time_us=wall[0]))
    [view] = site.devices()
    assert (view.usual_us, clock.now_us() - view.last_us) == (600_000_000, 0)
    shown = whole(site, replace(RUNTIME, now_us=clock.now_us(), ahead_us=clock.ahead_us()))
    assert shown.devices[0].last == shown.now == wall[0] // 1000


def test_device_shows_its_latest_values_battery_and_problem() -> None:
    site = SiteState([device(), device("silent")])
    site.hear(report(Reading("battery_voltage", 3.3, "V"), Reading("t", 20.5, "°C")))
    site.hear(report(Reading("t", 19.0, "°C", age_s=3600.0), problem="decoder broke"))
    heard, silent = site.devices()
    assert [(shown.name, shown.value) for shown in heard.sensors] == [("battery_voltage", 3.3), ("t", 20.5)]
    assert heard.battery is not None
    assert (heard.battery.value, heard.problem, heard.rssi_dbm) == (3.3, "decoder broke", -50)
    assert (silent.last_us, silent.heard) == (0, 0)


def test_refusals_are_counted_by_check_and_address_with_their_fix() -> None:
    site = SiteState([])
    stranger = frame(bytes.fromhex("40da1b012680070002533cc170dfd80198bc5e"))
    for _ in range(3):
        site.hear(Refusal(stranger, "unknown-device", "no device has DevAddr 26011bda", fix="add a [[device]]"))
    [refused] = site.refused()
    assert (refused.address, refused.count, refused.fix) == ("26011bda", 3, "add a [[device]]")
    assert refused.detail == "no device has DevAddr 26011bda"


def test_fix_reaches_the_page_whole_however_long_the_device_id_is() -> None:
    pond = device("pond-" + "7" * 250)
    site = SiteState([pond])
    error = stale(pond, 0, 5000)
    site.hear(Refusal.of(frame(b"\x40" + bytes(12)), error, pond.id))
    [refused] = json.decode(json.encode(whole(site, RUNTIME)))["refused"]
    assert refused["fix"] == error.fix
    assert f"`lora-post spool reset-counter {pond.id}`" in refused["fix"]


def test_memory_is_bounded_whatever_is_heard() -> None:
    site = SiteState([device()])
    for number in range(max(MAX_SENSORS, MAX_RECENT, MAX_REFUSALS) + 50):
        site.hear(report(Reading(f"s{number}", "x" * 5000)))
        site.hear(Refusal(frame(bytes([0x40]) + number.to_bytes(4) + bytes(8)), "mic", "y" * 5000))
    [view] = site.devices()
    assert (len(view.sensors), len(site.recent()), len(site.refused())) == (MAX_SENSORS, MAX_RECENT, MAX_REFUSALS)
    assert len(json.encode(whole(site, RUNTIME))) < 100_000


def test_reports_of_devices_that_are_not_configured_are_left_alone() -> None:
    site = SiteState([])
    site.hear(report(Reading("t", 1)))
    assert site.devices() == []


def test_news_are_what_changed_and_nothing_else() -> None:
    site = SiteState([device(), device("other", address=0x26011BDB)])
    site.hear(numbered(1))
    seen = news(site, 0, 0)
    assert [item.id for item in seen.devices] == ["pond-7"]
    assert seen.refused is None
    assert news(site, seen.v, 0) == PageNews(seen.v)
    site.hear(Refusal(frame(b"\x40"), "frame", "too short"))
    assert [item.check for item in news(site, seen.v, 0).refused or ()] == ["frame"]


def test_farm_of_fifty_devices_with_days_fits_into_one_load() -> None:
    devices = [device(f"device-{number}", address=number) for number in range(50)]
    site = SiteState(devices)
    for step in range(POINTS):
        for number, of in enumerate(devices):
            readings = [Reading(f"sensor_{sensor}", 20 + (step * number) % 17 / 10, "°C") for sensor in range(5)]
            uplink = Uplink(frame(time_us=NOON_US + step * STEP_US), of, step, 1, b"\x01", True)
            site.hear(Report(uplink, tuple(readings)))
    runtime = replace(RUNTIME, now_us=NOON_US + POINTS * STEP_US)
    days = [sensor.day or [] for item in whole(site, runtime).devices for sensor in item.sensors]
    assert sum(map(len, days)) == 250 * POINTS


def test_many_sensors_come_without_their_days() -> None:
    site = SiteState([device("a"), device("b", address=1)])
    for of in ("a", "b"):
        site.hear(report(*(Reading(f"s{number}", 1.5) for number in range(200)), of=device(of)))
    assert MAX_PLOTS < 2 * 200
    assert {sensor.day for item in whole(site, RUNTIME).devices for sensor in item.sensors} == {None}
    assert site.day("a", "s3", NOON_US) is not None
    assert site.day("a", "unknown", NOON_US) is None
    assert site.day("unknown", "s3", NOON_US) is None
