"""What is wrong at one moment."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from lora_post.alerts.rules import conditions
from lora_post.command import Command, Fate, Moment
from lora_post.config.alerts import AlertLimits
from lora_post.downlink.duty_cycle import AirTime
from lora_post.errors import Problem
from lora_post.lorawan.region import SubBand
from lora_post.model import Reading
from lora_post.observed.run_state import DestinationState, Disk, InputState, RunState
from lora_post.observed.site_state import SiteState
from tests.support.alerts import HOUR_US, LATER, WELL
from tests.support.build import NOON_US, device, report

BAND = SubBand(1, 2, 0.01, 14)
FAILED = Command("pond-7", 1, b"", Moment(0, "", 0), 1).ended(Moment(NOON_US, "", 0), Fate.NOT_ACKNOWLEDGED)
ENDED = Command("valve", 1, b"", Moment(0, "", 0), 1).ended(Moment(NOON_US, "", 0), Fate.CANCELLED)


def as_raised(runtime: RunState, *keys: str) -> RunState:
    return replace(runtime, alerts=dict.fromkeys(keys, Problem("raised")))


def keys(runtime: RunState, site: SiteState | None = None, raised: tuple[str, ...] = ()) -> list[str]:
    devices = (site or SiteState([])).devices()
    return [condition.key for condition in conditions(as_raised(runtime, *raised), devices)]


@pytest.mark.parametrize(
    ("runtime", "expected"),
    [
        (WELL, []),
        (replace(WELL, inputs=(InputState("ttyUSB0", NOON_US, Problem("unplugged")),)), ["input:ttyUSB0"]),
        (LATER, ["no-frame"]),
        (replace(LATER, inputs=()), []),
        (replace(LATER, inputs=(InputState("stdin", LATER.now_us - 1),)), []),
        (
            replace(LATER, inputs=(), destinations=(DestinationState("waziup", 5, 0, 0, 1, 0),)),
            ["no-upload:waziup"],
        ),
        (replace(WELL, destinations=(DestinationState("waziup", 5, 0, 0, 1, 0, Problem("no route")),)), []),
        (replace(WELL, destinations=(DestinationState("waziup", 0, 2, 0, 0, 0),)), ["parked:waziup"]),
        (
            replace(WELL, stalled=("serial",), troubles={"spool": Problem("disk full")}),
            ["stalled:serial", "trouble:spool"],
        ),
        (replace(WELL, disk=Disk(1 << 20, 1 << 31, 0)), ["disk"]),
        (
            replace(WELL, air_time=(AirTime("gw1", BAND, 0.5, 60.0), AirTime("gw2", BAND, 0.97, 60.0))),
            ["air-time:gw2 1"],
        ),
        (replace(WELL, commands=(FAILED, ENDED)), ["downlink:pond-7"]),
        (replace(WELL, commands=(FAILED, replace(FAILED, fate=Fate.SENT, id=2))), []),
        (replace(WELL, commands=(replace(FAILED, steps=()),)), []),
        (replace(LATER, inputs=(), commands=(FAILED,)), []),
    ],
)
def test_rules_name_what_is_wrong(runtime: RunState, expected: list[str]) -> None:
    assert keys(runtime) == expected


def test_device_is_silent_after_four_times_its_usual_distance_or_a_day() -> None:
    site = SiteState([device(), device("never", address=1)])
    for step in range(4):
        site.hear(report(Reading("t", 1), time_us=NOON_US + step * HOUR_US))
    last_us = NOON_US + 3 * HOUR_US
    inputs = (InputState("stdin", NOON_US + 100 * HOUR_US),)
    at = replace(WELL, inputs=inputs, now_us=last_us + 4 * HOUR_US)
    assert keys(at, site) == []
    assert keys(replace(at, now_us=at.now_us + 1), site) == ["silent:pond-7"]
    assert keys(replace(at, now_us=NOON_US + 25 * HOUR_US), site) == ["silent:pond-7", "silent:never"]


def test_what_the_schedule_keeps_back_is_no_outage_but_ends_none_either() -> None:
    inputs = (InputState("stdin", LATER.now_us),)
    held = replace(
        LATER, inputs=inputs, destinations=(DestinationState("waziup", 5, 0, 0, 1, 0, None, "[upload] schedule"),)
    )
    assert keys(held) == []
    assert keys(held, raised=("no-upload:waziup",)) == ["no-upload:waziup"]


def test_while_no_input_works_nobody_is_silent() -> None:
    site = SiteState([device()])
    site.hear(report(Reading("t", 1)))
    broken = replace(LATER, inputs=(InputState("ttyUSB0", NOON_US, Problem("unplugged")),), deaf_us=LATER.now_us)
    assert keys(broken, site) == ["input:ttyUSB0"]
    assert keys(broken, site, raised=("silent:pond-7", "no-frame")) == ["input:ttyUSB0", "no-frame", "silent:pond-7"]


def test_low_battery_of_a_device_that_was_not_heard_since_the_restart_is_still_low() -> None:
    assert keys(WELL, SiteState([device()]), raised=("battery:pond-7",)) == ["battery:pond-7"]


@pytest.mark.parametrize(
    ("value", "unit", "raised", "is_low"),
    [
        (14, "%", (), True),
        (15, "%", (), False),
        (16, "%", ("battery:pond-7",), True),
        (17, "%", ("battery:pond-7",), False),
        (2.4, "V", (), True),
        (3.3, "V", (), False),
        (1, "", (), True),
        (3, "", (), False),
        (2.1, "", (), True),
        (14, "", (), True),
    ],
)
def test_battery_is_low_below_the_limit_and_well_a_tenth_above(
    value: float, unit: str, raised: tuple[str, ...], is_low: bool
) -> None:
    site = SiteState([device()])
    site.hear(report(Reading("battery", value, unit)))
    assert keys(WELL, site, raised) == (["battery:pond-7"] if is_low else [])


def test_limits_of_zero_switch_rules_off() -> None:
    site = SiteState([device()])
    site.hear(report(Reading("battery", 1, "%")))
    site.hear(report(Reading("battery_low", True)))
    queued = (DestinationState("waziup", 5, 0, 0, 1, 0),)
    runtime = replace(LATER, destinations=queued, limits=AlertLimits(0, 0, 0, 0, 0))
    assert list(conditions(runtime, site.devices())) == []
