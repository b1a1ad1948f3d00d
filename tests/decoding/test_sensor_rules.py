from __future__ import annotations

import json
from math import isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from lora_post.config import parse_config
from lora_post.config.device_tables import SensorTable
from lora_post.decoding.sensor_rules import on_curve, shape
from lora_post.errors import ConfigError
from lora_post.model import Actuator, Device, LeftOut, Reading, SensorRule, Value
from tests.support.build import device, report
from tests.support.config_text import GATEWAY, LORAWAN, PATH


def shaped(rule: SensorRule, value: Value, name: str = "x") -> Reading:
    (reading,) = shape(report(Reading(name, value)), ruled(rule)).readings
    return reading


def ruled(*rules: SensorRule, only: tuple[str, ...] = (), drop: tuple[str, ...] = ()) -> Device:
    return device(sensors=rules, only=only, drop=drop)


def device_with(*sensors: str) -> Device:
    tables = "".join(f"[[device.sensor]]\n{sensor}\n" for sensor in sensors)
    (found,) = parse_config(GATEWAY + LORAWAN + tables, PATH, {}).devices
    return found


# shape


def test_readings_without_a_rule_pass_unchanged() -> None:
    before = report(Reading("x", 1), Reading("y", "text", "V", 3, "Voltage", 60.0))
    assert shape(before, ruled(SensorRule("z", drop=True))) == before


def test_announced_actuators_and_decoded_data_stay_in_the_report() -> None:
    announced = replace(report(Reading("x", 1)), actuators=(Actuator("valve"),), data={"x": 1})
    after = shape(announced, ruled(SensorRule("x", scale=2)))
    assert (after.actuators, after.data) == (announced.actuators, announced.data)


def test_name_unit_and_quantity_are_replaced_and_the_rest_kept() -> None:
    before = report(Reading("temperature_3", 21.5, "", 3, "", 60.0))
    rule = SensorRule("temperature_3", rename="pond", unit="°C", quantity="WaterTemperature")
    after = shape(before, ruled(rule))
    assert after.readings == (Reading("pond", 21.5, "°C", 3, "WaterTemperature", 60.0),)
    assert after.uplink is before.uplink


def test_unit_can_be_taken_away() -> None:
    after = shape(report(Reading("x", 1, "V")), ruled(SensorRule("x", unit="")))
    assert after.readings == (Reading("x", 1),)


def test_dropped_sensor_leaves_its_neighbours_and_is_no_problem() -> None:
    after = shape(report(Reading("x", 1), Reading("y", 2), Reading("x", 3)), ruled(SensorRule("x", drop=True)))
    assert (after.readings, after.warnings, after.problem) == ((Reading("y", 2),), (), None)


def test_what_is_dropped_is_said() -> None:
    before = report(Reading("a", 1), Reading("b_raw", 2), Reading("c", 3), Reading("d", 4))
    rules = ruled(SensorRule("a", drop=True), only=("a", "b_*", "c"), drop=("*_raw",))
    after = shape(before, rules)
    assert after.readings == (Reading("c", 3),)
    assert after.left_out == (
        LeftOut("a", "drop = true for 'a'"),
        LeftOut("b_raw", "drop has '*_raw'"),
        LeftOut("d", "it is not in only"),
    )


def test_pattern_changes_all_that_fit_and_the_whole_name_goes_before_it() -> None:
    rules = ruled(SensorRule("t_*", scale=10), SensorRule("t_?", scale=100), SensorRule("t_2", scale=1000))
    after = shape(report(Reading("t_1", 1), Reading("t_2", 1), Reading("t", 1), Reading("T_1", 1)), rules)
    assert [reading.value for reading in after.readings] == [10, 1000, 1, 1]


def test_metadata_that_is_named_is_a_reading() -> None:
    before = replace(report(Reading("x", 1)), metadata=(Reading("firmware", "1.2"), Reading("serial", "7")))
    for rules in (ruled(SensorRule("firmware", rename="fw")), ruled(only=("x", "firmware"))):
        after = shape(before, rules)
        assert [reading.value for reading in after.readings] == [1, "1.2"]
        assert after.metadata == (Reading("serial", "7"),)


def test_sensors_can_swap_their_names() -> None:
    rules = ruled(SensorRule("x", rename="y"), SensorRule("y", rename="x"))
    after = shape(report(Reading("x", 1), Reading("y", 2)), rules)
    assert after.readings == (Reading("y", 1), Reading("x", 2))


@pytest.mark.parametrize(
    ("value", "scale", "offset", "result"),
    [
        (2299, 0.01, 0, 22.99),
        (21.5, 1, -0.5, 21.0),
        (100, 2, -50, 150),
        (-40, 1.8, 32, -40.0),
        (True, 10, 5, True),
        ("wet", 10, 5, "wet"),
        ({"x": 0.1, "y": [1, "a", {"z": False}]}, 10, 0, {"x": 1.0, "y": [10, "a", {"z": False}]}),
        (2**62, 4, 0, 1.84467440737e19),
    ],
)
def test_number_is_scaled_then_offset_also_inside_objects(
    value: Value, scale: float, offset: float, result: Value
) -> None:
    reading = shaped(SensorRule("x", scale=scale, offset=offset), value)
    assert reading.value == result
    assert repr(reading.value) == repr(result)


@pytest.mark.parametrize(
    ("raw", "real"), [(0, 10.0), (5, 15.0), (10, 20.0), (15, 40.0), (20, 60.0), (-10, 0.0), (25, 80.0)]
)
def test_calibration_follows_the_lines_through_its_points_and_beyond_them(raw: int, real: float) -> None:
    rule = SensorRule("x", curve=((0.0, 10.0), (10.0, 20.0), (20.0, 60.0)))
    assert shaped(rule, raw).value == real
    assert shaped(rule, {"in": [raw]}).value == {"in": [real]}


def test_value_that_no_number_can_hold_costs_its_reading_with_a_warning() -> None:
    rule = SensorRule("x", scale=10.0)
    after = shape(report(Reading("x", 1e308), Reading("y", 1), Reading("x", {"deep": [1e308]})), ruled(rule))
    assert after.readings == (Reading("y", 1),)
    assert len(after.warnings) == 2
    assert "'x' dropped" in after.warnings[0]


NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**63 - 1)
VALUES = st.recursive(
    NUMBERS | st.booleans() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
CURVES = st.dictionaries(NUMBERS.map(float), NUMBERS.map(float), min_size=2, max_size=5)


@given(VALUES, NUMBERS, NUMBERS, CURVES)
def test_whatever_the_numbers_the_readings_can_be_written_as_json(
    value: Value, scale: float, offset: float, curve: dict[float, float]
) -> None:
    for rule in (SensorRule("x", scale=scale, offset=offset), SensorRule("x", curve=tuple(sorted(curve.items())))):
        after = shape(report(Reading("x", value)), ruled(rule))
        assert len(after.readings) + len(after.warnings) == 1
        for reading in after.readings:
            json.dumps(reading.value, allow_nan=False)


@given(st.dictionaries(st.integers(-1000, 1000), st.integers(-1000, 1000), min_size=2, max_size=8))
def test_calibration_meets_every_point(points: dict[int, int]) -> None:
    curve = tuple((float(raw), float(real)) for raw, real in sorted(points.items()))
    for raw, real in curve:
        assert on_curve(curve, raw) == pytest.approx(real, abs=1e-9)
        assert isfinite(on_curve(curve, raw + 0.5))


# [[device.sensor]]


def test_sensor_table_becomes_a_rule() -> None:
    device = device_with(
        'name = "a"\nrename = "b"\nscale = 0.5\noffset = -2\nunit = "V"\nquantity = "Voltage"',
        'name = "c"\ndrop = true',
        'name = "d"\ncalibrate = [[10, 1.5], [0, 0]]',
        'name = "e"\ndeadband = 0.2\nmin_interval = "5min"\nmax_interval = "1h"',
    )
    assert device.sensors == (
        SensorRule("a", "b", scale=0.5, offset=-2, unit="V", quantity="Voltage"),
        SensorRule("c", drop=True),
        SensorRule("d", curve=((0.0, 0.0), (10.0, 1.5))),
        SensorRule("e", deadband=0.2, min_interval_s=300.0, max_interval_s=3600.0),
    )


def test_every_key_of_the_table_reaches_the_rule() -> None:
    called_otherwise = {"calibrate": "curve", "min_interval": "min_interval_s", "max_interval": "max_interval_s"}
    keys = {called_otherwise.get(key, key) for key in SensorTable.__struct_fields__}
    assert keys == set(SensorRule.__struct_fields__)


MISTAKES = [
    ("drop = true", "[[device.sensor]] number 1 name is missing"),
    ('name = ""\ndrop = true', "[[device.sensor]] number 1 name is empty"),
    ('name = "a"', "it changes nothing; add rename, scale"),
    ('name = "a"\nrenam = "b"\nscale = 2', "unknown key 'renam'; did you mean 'rename'?"),
    ('name = "a"\nscale = "b"', "[[device.sensor]] number 1 scale is a text in quotes; it must be a number"),
    ('name = "a"\nrename = ""', "rename is ''; Waziup takes 1 to 128 letters"),
    ('name = "a"\nrename = "b c"', "rename is 'b c'; Waziup takes 1 to 128 letters"),
    ('name = "a"\nrename = "owner"', "rename is 'owner'; Waziup takes"),
    ('name = "a"\ndrop = true\nscale = 2\nunit = "V"', "drop = true leaves nothing for scale, unit; remove one"),
    ('name = "a"\nscale = 0', "scale is 0"),
    ('name = "a"\nscale = inf', "scale is inf; it must be a finite number"),
    (f'name = "a"\noffset = 1{"0" * 400}', "it must be a finite number"),
    (f'name = "a"\ncalibrate = [[1, 2], [3, 1{"0" * 400}]]', "calibrate has a number that is not finite"),
    ('name = "a"\noffset = nan', "offset is nan; it must be a finite number"),
    ('name = "a"\ncalibrate = [[1, 2]]', "calibrate has 1 point; give at least two"),
    ('name = "a"\ncalibrate = [[1, 2], [3]]', "calibrate[1]: Expected `array` of length 2, got 1"),
    ('name = "a"\ncalibrate = [[1, 2], [1, 3]]', "the same raw value twice"),
    ('name = "a"\ncalibrate = [[1, 2], [3, inf]]', "calibrate has a number that is not finite"),
    ('name = "a"\ncalibrate = [[1, 2], [3, 4]]\nscale = 2', "calibrate and scale or offset are both given"),
    ('name = "a"\ndeadband = -1', "deadband is -1; it must be 0 or more"),
    ('name = "a"\ndeadband = nan', "deadband is nan; it must be 0 or more"),
    ('name = "a"\nmin_interval = "5 minutes"', "min_interval is '5 minutes'; write it as \"90s\""),
    ('name = "a"\ndeadband = 1\nmax_interval = "0s"', "max_interval is '0s'; write it as"),
    ('name = "a"\nmin_interval = 5', "min_interval is a whole number; it must be a text in quotes"),
    ('name = "a"\nmax_interval = "1h"', "add deadband, or remove it"),
    ('name = "a"\ndeadband = 1\nmin_interval = "2h"\nmax_interval = "1h"', "2h is longer than max_interval 1h"),
    ('name = "a"\ndrop = true\ndeadband = 1', "drop = true leaves nothing for deadband"),
    ('name = "a"\nunit = "kPA"', "unit is 'kPA'; did you mean 'kPa'?"),
    ('name = "a"\nquantity = "Temperatur"', "quantity is 'Temperatur', which Waziup does not have; did you mean"),
]


@pytest.mark.parametrize(("sensor", "complaint"), MISTAKES, ids=[complaint for _, complaint in MISTAKES])
def test_mistake_in_a_sensor_is_named_with_its_place_and_the_fix(sensor: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        device_with(sensor)
    (line,) = str(caught.value).splitlines()
    assert line.startswith("site.toml: [[device]] number 1 (26011bda, line 3), [[device.sensor]] number 1")
    assert complaint in line


@pytest.mark.parametrize(
    ("sensors", "complaint"),
    [
        (['name = "a"\ndrop = true', 'name = "a"\nunit = "V"'], "number 2: name 'a' is also the name of"),
        (['name = "a"\nrename = "x"', 'name = "b"\nrename = "x"'], "number 2 rename: 'x' is also the name of"),
        (['name = "a"\nrename = "b"', 'name = "b"\nunit = "V"'], "number 1 rename: 'b' is also the name of"),
    ],
)
def test_two_sensors_of_a_device_cannot_have_one_name(sensors: list[str], complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        device_with(*sensors)
    assert complaint in str(caught.value)


def test_name_of_a_dropped_or_renamed_sensor_is_free() -> None:
    assert len(device_with('name = "a"\nrename = "b"', 'name = "b"\ndrop = true').sensors) == 2
    assert len(device_with('name = "a"\nrename = "b"', 'name = "b"\nrename = "a"').sensors) == 2


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('name = "t_*"\nrename = "t"', "rename would give one name"),
        ('name = "t_[12"\nscale = 2', "a bracket is open"),
    ],
)
def test_patterns_that_cannot_work_are_refused(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        device_with(text)


@pytest.mark.parametrize(("key", "complaint"), [("only", "an empty name"), ("drop", "an empty name")])
def test_empty_pattern_of_a_device_is_refused(key: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        parse_config(GATEWAY + LORAWAN + f'{key} = [""]\n', PATH, {})


def test_patterns_of_a_device_are_read() -> None:
    (found,) = parse_config(GATEWAY + LORAWAN + 'only = ["air.*"]\ndrop = ["*_raw"]\n', PATH, {}).devices
    assert (found.only, found.drop) == (("air.*",), ("*_raw",))
