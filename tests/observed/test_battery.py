"""Which readings tell of a battery, and in what unit."""

from __future__ import annotations

import pytest

from lora_post.observed.battery import Battery, battery, is_low_flag


@pytest.mark.parametrize(
    ("name", "value", "unit", "found"),
    [
        ("battery_voltage", 3.3, "V", "3.3 V unit"),
        ("BatV", 3312, "mV", "3.312 V unit"),
        ("battery_level", 80, "%", "80 % unit"),
        ("BAT", 2.1, "", "2.1 V range"),
        ("battery", 55, "", "55 % range"),
        ("battery", 100, "", "100 % range"),
        ("battery", 3, "", "3 V range"),
        ("battery", 3.61, "", "3.61 V range"),
        ("battery_1", 12.6, "", "12.6 V range"),
        ("battery", 3612, "", "3.612 V range"),
        ("BATV", 12, "", "12 V name"),
        ("vbat", 3100, "", "3.1 V name"),
        ("batteryVoltage", 3.0, "", "3 V name"),
        ("Battery Level", 4, "", "4 % name"),
        ("batt_pct", 4, "", "4 % name"),
        ("battery_level", 254, "", None),
        ("battery", 254, "", None),
        ("battery", -1, "", None),
        ("battery", float("nan"), "", None),
        ("battery", "low", "", None),
        ("battery", True, "", None),
        ("battery_temperature", 21.5, "", None),
        ("battery_current", 0.2, "A", None),
        ("battery_status", 3, "", None),
        ("bath", 21, "°C", None),
        ("batch", 3, "", None),
        ("temperature", 3, "", None),
    ],
)
def test_battery_is_known_by_name_and_its_unit_by_itself_the_name_or_the_range(
    name: str, value: object, unit: str, found: str | None
) -> None:
    told = battery(name, value, unit)
    assert (told and f"{told.value:g} {told.unit} {told.told}") == found


def test_percentage_that_falls_below_what_could_be_volts_stays_one() -> None:
    before: Battery | None = None
    units = []
    for value in (40, 12, 4):
        before = battery("battery", value, "", before)
        assert before is not None
        units.append(before.unit)
    assert units == ["%", "%", "%"]


@pytest.mark.parametrize(
    ("name", "value", "is_low"),
    [("battery_low", True, True), ("lowBattery", True, True), ("battery_low", False, False), ("flow", True, False)],
)
def test_device_may_say_itself_that_its_battery_is_low(name: str, value: bool, is_low: bool) -> None:
    assert is_low_flag(name, value) is is_low
