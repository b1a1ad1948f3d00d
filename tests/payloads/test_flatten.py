"""Readings from what codecs return: names, units, quantities, bounds."""

from __future__ import annotations

from math import inf, isfinite, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.decoding.decode import fault_of
from lora_post.model import MAX_READINGS, Reading
from lora_post.payloads.flatten import flatten, flatten_normalized
from lora_post.results.meanings import known_unit, meaning_of
from lora_post.results.measurements import MAX_LIST
from lora_post.units import UNITS
from lora_post.waziup.kinds import describe, ontology


def named(data: object) -> dict[str, object]:
    return {reading.name: reading.value for reading in flatten(data).readings}


def test_objects_and_lists_become_stable_names() -> None:
    data = {"door": {"open": True, "count": 3}, "rssi": [-80, -81], "deep": [{"a": [1, {"b": 2}]}]}
    assert named(data) == {
        "door.open": True,
        "door.count": 3,
        "rssi_0": -80,
        "rssi_1": -81,
        "deep_0.a_0": 1,
        "deep_0.a_1.b": 2,
    }


def test_scalars_keep_their_type_and_null_is_left_out() -> None:
    found = named({"flag": False, "int": 1, "float": 1.0, "text": "on", "nothing": None})
    assert found == {"flag": False, "int": 1, "float": 1.0, "text": "on"}
    assert [type(value) for value in found.values()] == [bool, int, float, str]
    assert flatten({"nothing": None}).warnings == ()


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("temperature", "168.44", 168.44),
        ("temperature", "-0.50", -0.5),
        ("level", "85", 85),
        ("battery", "3.91V", "3.91V"),
        ("battery_voltage", "3.91V", 3.91),
        ("level", "1700 mm", 1700),
        ("anything", "22.50", 22.5),
        ("water", "18℃", 18),
        ("bat", "2.3(low battery)", 2.3),
        ("depth", "-1.5 cm", -1.5),
        ("temperature", "1.5e-3", 0.0015),
        ("code", "3C", "3C"),
        ("state", "5 furlongs", "5 furlongs"),
        ("at", "12:30", "12:30"),
        ("temperature", "", ""),
        ("temperature", "-", "-"),
        ("temperature", "0x1F", "0x1F"),
        ("temperature", "1e3", "1e3"),
        ("temperature", "nan", "nan"),
        ("temperature", "٣", "٣"),
        ("temperature", "007", "007"),
        ("temperature", "9" * 400, "9" * 400),
        ("code", "1.2.3", "1.2.3"),
        ("phone", "490154203237518", 490154203237518),
        ("phone", "4901542032375180", "4901542032375180"),
    ],
)
def test_text_that_is_a_number_is_one(name: str, text: str, value: object) -> None:
    found = named({name: text})[name]
    assert (found, type(found)) == (value, type(value))


def test_numbers_in_texts_bring_their_unit_and_what_stands_behind_them() -> None:
    found = flatten({"level": "1700 mm", "water": "18℃", "bat": "2.3(low battery)", "tank": "85 %"})
    assert [(reading.value, reading.unit) for reading in found.readings] == [
        (1700, "mm"),
        (18, "°C"),
        (2.3, ""),
        (85, "%"),
    ]
    assert found.metadata == (Reading("bat.note", "low battery"),)


def test_what_a_payload_says_of_device_and_message_is_kept_apart() -> None:
    said = {
        "firmware": "1.10",
        "serial": "4711",
        "hardwareVersion": 2,
        "device_id": 571,
        "devEUI": "a84041",
        "msgType": "status",
        "frameCounter": 7,
        "timestamp": 1778746530,
        "time": "2026-05-14 08:15:30",
        "payload": "0b45",
        "fPort": 2,
        "bytes": [11, 69],
    }
    found = flatten({**said, "temperature": 22.5})
    assert [reading.name for reading in found.readings] == ["temperature"]
    assert {reading.name: reading.value for reading in found.metadata} == {**said, "bytes": "0b45"}


def test_metadata_of_several_records_is_kept_once_for_each_value() -> None:
    data = {"history": [{"time": 1_715_762_334, "filterId": filter_id, "level": 3} for filter_id in (1, 2, 1)]}
    assert flatten(data).metadata == (Reading("filterId", 1), Reading("filterId_2", 2))


def test_names_of_measurements_are_not_taken_for_noise() -> None:
    measured = {"time": 12, "pulse_count": 3, "uptime": 5, "work_mode": "normal", "raw": 812, "level": {"raw": [5, 6]}}
    found = flatten(measured)
    assert [reading.name for reading in found.readings] == [
        *("time", "pulse_count", "uptime", "work_mode", "raw", "level.raw_0", "level.raw_1"),
    ]


@pytest.mark.parametrize(
    ("data", "expected"), [(21.5, {"value": 21.5}), ([1, 2], {"value_0": 1, "value_1": 2}), (None, {}), ({}, {})]
)
def test_result_without_names_still_has_readings(data: object, expected: dict[str, object]) -> None:
    assert named(data) == expected


@pytest.mark.parametrize(
    ("name", "unit", "quantity"),
    [
        ("temperature", "°C", "Temperature"),
        ("Temperature", "°C", "Temperature"),
        ("temperature_2", "°C", "Temperature"),
        ("TempC_SHT", "°C", "Temperature"),
        ("TempC1", "°C", "Temperature"),
        ("tempF", "°F", "Temperature"),
        ("external_temperature", "°C", "Temperature"),
        ("soil_temperature", "°C", "SoilTemperature"),
        ("air.temperature", "°C", "AirTemperature"),
        ("humidity", "%", "RelativeHumidity"),
        ("Hum_SHT", "%", "RelativeHumidity"),
        ("relativeHumidity", "%", "RelativeHumidity"),
        ("soil_moisture", "%", "SoilHumidity"),
        ("soil.moisture", "%", "SoilHumidity"),
        ("battery", "", "BatteryLevel"),
        ("bat", "", "BatteryLevel"),
        ("batV", "V", "BatteryLevel"),
        ("BatV", "V", "BatteryLevel"),
        ("Bat_mV", "mV", "BatteryLevel"),
        ("battery_voltage", "V", "BatteryLevel"),
        ("battery_percent", "%", "BatteryLevel"),
        ("co2", "ppm", "CO2"),
        ("CO2", "ppm", "CO2"),
        ("pm2_5", "µg/m³", "ChemicalAgentAtmosphericConcentrationDust"),
        ("pm10", "µg/m³", "ChemicalAgentAtmosphericConcentrationDust"),
        ("barometric_pressure", "hPa", "AtmosphericPressure"),
        ("pressure", "", "Pressure"),
        ("illuminance", "lx", "Illuminance"),
        ("light", "", "Illuminance"),
        ("distance", "", "Distance"),
        ("distance_mm", "mm", "Distance"),
        ("ADC_CH0V", "V", "Other"),
        ("Bat_V", "V", "BatteryLevel"),
        ("mode_v", "", "Other"),
        ("water_level", "", "WaterLevel"),
        ("voltage", "V", "Voltage"),
        ("current", "", "ElectricCurrent"),
        ("rain", "mm", "Rainfall"),
        ("wind_speed", "m/s", "WindSpeed"),
        ("wind.direction", "°", "WindDirection"),
        ("speedKmph", "km/h", "Speed"),
        ("rssi", "dBm", "Other"),
        ("door", "", "DoorStatus"),
        ("vitamin_c", "", "Other"),
        ("mode_s", "", "Other"),
    ],
)
def test_common_names_tell_unit_and_quantity(name: str, unit: str, quantity: str) -> None:
    (reading,) = flatten({name: 1.5}).readings
    assert reading.unit == unit
    assert describe(reading.name, reading.unit, reading.quantity).quantity == quantity


def test_same_name_in_an_object_means_the_same() -> None:
    nested = flatten({"air": {"temperature": 1}, "sensors": [{"humidity": 2}]}).readings
    assert [(reading.name, reading.unit) for reading in nested] == [
        ("air.temperature", "°C"),
        ("sensors_0.humidity", "%"),
    ]


def test_texts_and_booleans_have_no_unit() -> None:
    assert [reading.unit for reading in flatten({"temperature": "high", "humidity": True}).readings] == ["", ""]


def test_every_unit_and_quantity_exists() -> None:
    from lora_post.results import meanings

    quantities = {term.id for term in ontology().quantity_kinds} | {""}
    for meaning in [*meanings._MEANINGS.values(), *meanings._NORMALIZED.values()]:
        assert meaning.unit in UNITS or meaning.unit == ""
        assert meaning.quantity in quantities
    for unit in [*meanings._SUFFIXES.values(), *meanings._WRITTEN_UNITS.values()]:
        assert unit in UNITS


@pytest.mark.parametrize(
    ("written", "symbol"),
    [
        ("°C", "°C"),
        ("C", "°C"),
        ("m⋅s⁻¹", "m/s"),
        ("μg/m³", "µg/m³"),
        ("lux", "lx"),
        (" % ", "%"),
        ("furlong", ""),
        ("", ""),
    ],
)
def test_units_are_known_as_codecs_write_them(written: str, symbol: str) -> None:
    assert known_unit(written) == symbol


def test_value_with_its_unit_is_one_reading() -> None:
    data = {
        "soil_temperature": {"displayName": "Soil temperature", "value": 22.5, "unit": "°C"},
        "permittivity": {"displayName": "Dielectric permittivity", "value": 1.1},
        "odd": {"value": 1, "unit": "furlong"},
    }
    assert [(r.name, r.value, r.unit) for r in flatten(data).readings] == [
        ("soil_temperature", 22.5, "°C"),
        ("permittivity", 1.1, ""),
        ("odd", 1, ""),
    ]


def test_positions_stay_one_reading_with_waziups_names() -> None:
    assert flatten({"location": {"lat": -1.5, "lng": 36.8}}).readings == [
        Reading("location", {"latitude": -1.5, "longitude": 36.8}, quantity="Position")
    ]
    assert named({"latitude": 1, "longitude": 2, "altitude": 3}) == {
        "position": {"latitude": 1, "longitude": 2, "altitude": 3}
    }
    assert list(named({"latitude": 1, "longitude": 2, "battery": 3})) == ["latitude", "longitude", "battery"]
    assert list(named({"gps": {"latitude": 91, "longitude": 2}})) == ["gps.latitude", "gps.longitude"]
    assert list(named({"gps": {"latitude": None, "longitude": 2}})) == ["gps.longitude"]


def test_normalized_names_have_the_units_that_were_agreed() -> None:
    payload = {
        "air": {"temperature": 22, "relativeHumidity": 50, "pressure": 1013, "co2": 400, "lightIntensity": 10},
        "soil": {"moisture": 20, "ec": 1, "pH": 7, "depth": 10},
        "wind": {"speed": 3, "direction": 180},
        "battery": 3.6,
    }
    found = {reading.name: reading.unit for reading in flatten_normalized({}, payload).readings}
    assert found == {
        "air.temperature": "°C",
        "air.relativeHumidity": "%",
        "air.pressure": "hPa",
        "air.co2": "ppm",
        "air.lightIntensity": "lx",
        "soil.moisture": "%",
        "soil.ec": "dS/m",
        "soil.pH": "pH",
        "soil.depth": "cm",
        "wind.speed": "m/s",
        "wind.direction": "°",
        "battery": "V",
    }


def test_normalized_measurements_with_times_are_one_sensors_history() -> None:
    measurements = [
        {"time": "2026-01-01T00:10:00Z", "air": {"temperature": 21}},
        {"time": "2026-01-01T00:20:00Z", "air": {"temperature": 22}},
    ]
    found = flatten_normalized({}, measurements).readings
    assert [(reading.name, reading.value, reading.at_s) for reading in found] == [
        ("air.temperature", 21, 1767226200.0),
        ("air.temperature", 22, 1767226800.0),
    ]


def test_normalized_measurements_without_times_go_by_the_same_names() -> None:
    one, two = {"air": {"temperature": 21}}, {"air": {"temperature": 22}}
    assert [reading.name for reading in flatten_normalized({}, [one]).readings] == ["air.temperature"]
    assert [reading.name for reading in flatten_normalized({}, [one, two]).readings] == [
        "air.temperature",
        "air.temperature_2",
    ]


def test_two_spellings_of_one_name_are_told_apart() -> None:
    assert named({"a.b": 1, "a": {"b": 2}, "a.b_2": 3}) == {"a.b": 1, "a.b_2": 2, "a.b_2_2": 3}


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ({"a": nan}, "a: nan is not a finite number"),
        ({"a": [1] * (MAX_LIST + 1)}, "a: 65 elements, want at most 64"),
        ({"a": "x" * 1001}, "a: a text of 1001 characters"),
        ({"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": {"i": 1}}}}}}}}}, "nested deeper than 8 levels"),
        ({"a": b"bytes"}, "a: bytes is not a value"),
        ({f"v{n}": n for n in range(300)}, "only the first 256 values are used"),
    ],
)
def test_what_cannot_be_a_reading_is_left_out_with_a_warning(data: object, complaint: str) -> None:
    found = flatten(data)
    assert len(found.warnings) == 1
    assert complaint in found.warnings[0]


def test_integers_beyond_64_bits_become_floats() -> None:
    assert named({"big": 2**70, "low": -(2**63), "huge": 10**400}) == {"big": float(2**70), "low": -(2**63)}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(
            st.text(max_size=8) | st.sampled_from(["value", "unit", "lat", "lon", "time"]), inner, max_size=5
        )
    ),
    max_leaves=30,
)


@given(data=JSON)
def test_any_json_gives_readings_that_may_be_stored_and_no_name_twice(data: object) -> None:
    found = flatten(data)
    names = [reading.name for reading in found.readings]
    assert len(names) <= MAX_READINGS
    assert len(set(names)) == len(names) or "time" in str(data)
    assert all(fault_of(reading) == "" for reading in found.readings)
    assert all(reading.unit in UNITS or reading.unit == "" for reading in found.readings)
    assert flatten(data) == found or any(isinstance(reading.value, float) for reading in found.readings)
    again = flatten_normalized(data, data)
    assert all(fault_of(reading) == "" for reading in again.readings)


@given(name=st.text(max_size=40))
def test_any_name_has_a_meaning(name: str) -> None:
    for normalized in (False, True):
        assert meaning_of(name, normalized).unit in {*UNITS, ""}


@given(value=st.floats())
def test_only_finite_numbers_pass(value: float) -> None:
    assert [reading.value for reading in flatten({"x": value}).readings] == ([value] if isfinite(value) else [])
    assert inf not in named({"x": value}).values()
