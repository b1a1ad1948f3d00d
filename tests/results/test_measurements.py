"""Names, units and times that stand beside values, in the shapes that published codecs have."""

from __future__ import annotations

from math import isfinite
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.model import MAX_READINGS, Reading
from lora_post.payloads.flatten import flatten
from lora_post.results.measurements import MAX_LIST, MAX_STEPS, measure

T1, T2 = 1_715_762_334, 1_715_762_590


def found(data: object) -> list[tuple[str, object, str, float | None]]:
    return [(reading.name, reading.value, reading.unit, reading.at_s) for reading in flatten(data).readings]


def names(data: object) -> list[str]:
    return [reading.name for reading in flatten(data).readings]


@pytest.mark.parametrize(
    "data",
    [
        {
            "messages": [
                {"measurementId": 4097, "measurementValue": 21.5},
                {"measurementId": 4098, "measurementValue": 50},
            ]
        },
        {
            "messages": [
                [{"measurementId": "4097", "measurementValue": 21.5, "type": "Air Temperature"}],
                [{"measurementId": "4098", "measurementValue": 50, "type": "Air Humidity"}],
            ]
        },
        {"samples": [{"variable": "air_temperature", "value": 21.5}, {"variable": "air_humidity", "value": 50}]},
        {"data": [{"name": "air_temperature", "value": 21.5}, {"name": "air_humidity", "value": 50}]},
        [{"variable": "air_temperature", "value": 21.5, "unit": "°C"}, {"variable": "air_humidity", "value": 50}],
    ],
)
def test_name_beside_a_value_is_its_name(data: Any) -> None:
    readings = {reading.name: reading for reading in flatten(data).readings}
    assert {name: reading.value for name, reading in readings.items()} == {"air_temperature": 21.5, "air_humidity": 50}


def test_order_and_number_of_named_values_change_nothing() -> None:
    one, two = {"variable": "temperature", "value": 21.5}, {"variable": "humidity", "value": 50}
    assert set(names([one, two])) == set(names([two, one])) == {*names([one]), *names([two])}


def test_channels_of_named_values_are_part_of_the_name() -> None:
    data = [{"name": "temperature", "channel": channel, "value": 20 + channel} for channel in (1, 2, 3)]
    assert found(data) == [
        ("temperature", 21, "°C", None),
        ("temperature_2", 22, "°C", None),
        ("temperature_3", 23, "°C", None),
    ]


def test_unknown_measurement_ids_keep_type_or_number() -> None:
    data = [
        {"measurementId": 4150, "type": "Bark Temperature", "measurementValue": 9},
        {"measurementId": 4151, "measurementValue": 8},
    ]
    assert names(data) == ["bark_temperature", "measurement_4151"]


@pytest.mark.parametrize(
    "holder", ["history", "datalog", "data_log", "samples", "records", "readings", "listOfRecords"]
)
@pytest.mark.parametrize(
    "written",
    [
        lambda time: time,
        lambda time: time * 1000,
        lambda time: str(time),
        lambda time: {T1: "2024-05-15T08:38:54Z", T2: "2024-05-15T08:43:10Z"}[time],
        lambda time: {T1: "2024-05-15 08:38:54", T2: "2024-05-15 08:43:10"}[time],
        lambda time: {T1: "Wed, 15 May 2024 08:38:54 GMT", T2: "Wed, 15 May 2024 08:43:10 GMT"}[time],
        lambda time: {"unix": time, "string": "then"},
        lambda time: {
            "year": 2024,
            "month": "May",
            "day": 15,
            "hours": 8,
            **({"minutes": 38, "seconds": 54} if time == T1 else {"minutes": 43, "seconds": 10}),
        },
    ],
)
def test_records_with_a_time_are_the_past_of_the_same_sensors(holder: str, written: Any) -> None:
    data = {
        "temperature": 27.4,
        holder: [
            {"timestamp": written(T1), "temperature": 27.2, "humidity": 46.5},
            {"timestamp": written(T2), "temperature": 27.3, "humidity": 46.5},
        ],
    }
    assert found(data) == [
        ("temperature", 27.4, "°C", None),
        ("temperature", 27.2, "°C", T1),
        ("humidity", 46.5, "%", T1),
        ("temperature", 27.3, "°C", T2),
        ("humidity", 46.5, "%", T2),
    ]


def test_one_record_has_the_names_of_many_and_so_has_an_object_of_records() -> None:
    record = {"time": T1, "temperature": 27.2}
    for data in ({"history": [record]}, {"history": {"17": record}}, {"history": [record, {**record, "time": T2}]}):
        assert set(names(data)) == {"temperature"}


def test_list_that_says_what_it_holds_keeps_its_name() -> None:
    data = {"digitalInputs": [{"timestamp": {"unix": T1}, "info": {"type": "point"}, "status": {"state": 1}}]}
    assert found(data) == [("digitalInputs.status.state", 1, "", T1)]


def test_small_numbers_and_words_are_not_taken_for_times() -> None:
    data = {"history": [{"time": 12, "level": 3}, {"time": 15, "level": 4}]}
    assert names(data) == ["history_0.time", "history_0.level", "history_1.time", "history_1.level"]
    assert names({"history": [{"date": "today", "level": 3}]}) == ["history_0.level"]


def test_numbers_beside_values_tell_records_apart() -> None:
    assert found({"channels": [{"index": 3, "reading": 4}, {"index": 7, "reading": 5}]}) == [
        ("channels_3", 4, "", None),
        ("channels_7", 5, "", None),
    ]
    assert names({"regions": [{"index": 2, "count": 0, "size": 4}]}) == ["regions_2.count", "regions_2.size"]


def test_types_tell_records_apart() -> None:
    battery, climate = {"type": "battery", "level": 90}, {"type": "climate", "temperature": 21}
    for data in ({"messages": [battery, climate]}, {"messages": [climate, battery]}):
        assert set(names(data)) == {"level", "temperature"}


def test_texts_alone_are_one_and_radios_are_one_list() -> None:
    assert found({"options": ["a", "b"]}) == [("options", "a, b", "", None)]
    radios = [{"mac": "a0b3ccd358e6", "rssi": -92}, {"mac": "a0b3ccd358e7", "rssi": -90}]
    assert found({"wifi": radios}) == [("wifi", radios, "", None)]


def test_units_beside_values_are_theirs() -> None:
    data = {
        "tank": {"value": 17, "unit": "mm", "quality": 2},
        "energy": 3,
        "energy_unit": "kWh",
        "power": 4,
        "powerUnit": "kW",
        "channels": [{"name": "channel A", "unit": "mA", "value": 10.5}],
        "temperature": {"unit": "°C", "values": [43.5, 43.6]},
    }
    assert found(data) == [
        ("tank", 17, "mm", None),
        ("tank.quality", 2, "", None),
        ("energy", 3, "kWh", None),
        ("power", 4, "kW", None),
        ("channels.channel_a", 10.5, "mA", None),
        ("temperature_0", 43.5, "°C", None),
        ("temperature_1", 43.6, "°C", None),
    ]


def test_position_in_degrees_is_one_beside_anything() -> None:
    data = {"type": "position", "latitudeDeg": -31.9, "longitudeDeg": 115.8, "inTrip": True}
    assert flatten(data).readings == [
        Reading("position", {"latitude": -31.9, "longitude": 115.8}, quantity="Position"),
        Reading("inTrip", True),
    ]
    assert names({"latitudeDeg": 131.9, "longitudeDeg": 115.8}) == ["latitudeDeg", "longitudeDeg"]


@pytest.mark.parametrize(
    ("name", "value", "unit"),
    [
        ("current_min", 20, ""),
        ("temperature_min", 20, "°C"),
        ("temp_max", 20.5, "°C"),
        ("duration_min", 20, "min"),
        ("battery_voltage", 3592, "mV"),
        ("BatV", 3.592, "V"),
        ("Supply_Voltage", 3018, "mV"),
        ("APhaseVoltage", 2313, ""),
        ("voltage", 230.5, "V"),
        ("level", 70, ""),
        ("light_level", 2, ""),
        ("capacity_ah", 5, "Ah"),
        ("temp_mode", 3, ""),
        ("temperature_alarm", 9, ""),
        ("totalReactivePower", 6, ""),
        ("wind_speed_ms", 3, "m/s"),
        ("soil_moisture", -88.7, ""),
        ("fahrenheit_ambient_temperature", 78.4, "°F"),
        ("soil_moisture_at_depth_3", 20, "%"),
        ("Humi", 40, "%"),
    ],
)
def test_unit_is_without_doubt_or_none(name: str, value: float, unit: str) -> None:
    assert [(reading.value, reading.unit) for reading in flatten({name: value}).readings] == [(value, unit)]


@pytest.mark.parametrize(
    ("written", "unit"),
    [("m³⋅m⁻³", "m³/m³"), ("mg⋅L⁻¹", "mg/L"), ("FNU", "FNU"), ("varh", "varh"), ("seconds", "s"), ("Bar", "bar")],
)
def test_units_that_makers_write_are_known(written: str, unit: str) -> None:
    assert found({"x": {"value": 1, "unit": written}}) == [("x", 1, unit, None)]


def test_milligrams_of_an_acceleration_are_thousandths_of_g() -> None:
    data = {"acceleration_x": {"value": 1000, "unit": "mg"}, "dose": {"value": 1, "unit": "mg"}}
    assert [reading.unit for reading in flatten(data).readings] == ["milli-g", "mg"]


LEAF = st.booleans() | st.integers(-1000, 1000) | st.floats(-1e6, 1e6) | st.sampled_from(["open", "22.5", "1700 mm"])
NAMES = st.sampled_from(["temperature", "door", "level", "raw", "firmware", "time", "co2", "serial", "Bat_mV", "x"])
OBJECTS = st.recursive(
    st.dictionaries(NAMES, LEAF, max_size=5),
    lambda inner: st.dictionaries(NAMES, inner | LEAF, max_size=4),
    max_leaves=20,
)


@given(data=OBJECTS)
def test_every_leaf_is_a_reading_metadata_or_named(data: dict[str, Any]) -> None:
    made = flatten(data)
    there = {reading.name for reading in (*made.readings, *made.metadata)}
    assert [
        name for name in _leaves(data) if name not in there and not any(name in text for text in made.warnings)
    ] == []


@given(data=OBJECTS, keep=st.sets(st.integers(0, 30)))
def test_ids_are_the_same_whatever_else_is_there(data: dict[str, Any], keep: set[int]) -> None:
    whole = {reading.name for reading in flatten(data).readings}
    part = _subset(data, keep, iter(range(100)))
    assert {reading.name for reading in flatten(part).readings} <= whole


@given(
    data=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
        lambda inner: (
            st.lists(inner, max_size=80)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "name",
                        "value",
                        "unit",
                        "time",
                        "timestamp",
                        "type",
                        "channel",
                        "id",
                        "mac",
                        "history",
                        "values",
                        "x",
                    ]
                ),
                inner,
                max_size=8,
            )
        ),
        max_leaves=60,
    )
)
def test_any_shape_gives_bounded_readings(data: object) -> None:
    made = flatten(data)
    assert len(made.readings) <= MAX_READINGS
    assert all(isfinite(reading.value) for reading in made.readings if isinstance(reading.value, float))
    assert len(measure([data] * (MAX_LIST + 1)).measurements) <= 1


def _leaves(data: dict[str, Any], before: str = "") -> list[str]:
    found: list[str] = []
    for key, item in data.items():
        name = f"{before}.{key}" if before else key
        found += _leaves(item, name) if isinstance(item, dict) else [name]
    return found


def _subset(data: dict[str, Any], keep: set[int], numbers: Any) -> dict[str, Any]:
    return {
        key: _subset(item, keep, numbers) if isinstance(item, dict) else item
        for key, item in data.items()
        if isinstance(item, dict) or next(numbers) in keep
    }


@pytest.mark.parametrize(
    "data",
    [
        [[[[[None] * 60] * 60] * 60]],
        [[[[[[[[1] * 60] * 9] * 9] * 9] * 9] * 9]],
        {f"history_{number}": [{"time": "Wed, 15 May 2024", "t": 1}] * 60 for number in range(60)},
        {f"name_{number}": {"value": number, "unit": "V"} for number in range(5000)},
    ],
)
def test_work_for_a_result_is_bounded_and_what_is_not_looked_at_is_said(data: object) -> None:
    made = measure(data)
    assert len(made.measurements) <= MAX_STEPS
    assert made.left_out[-1].why == f"only its first {MAX_STEPS} parts are looked at"


ROWS = "[3.012,OPEN,2024-05-15 08:38:54],[2.9,CLOSE,2024-05-15 08:43:10],"


@pytest.mark.parametrize(
    "rows",
    [
        ROWS,
        ROWS.rstrip(","),
        ROWS.replace("3.012,OPEN", "(3.012),(OPEN)"),
        [["3.012", "OPEN", "2024-05-15 08:38:54"], [2.9, "CLOSE", "2024-05-15T08:43:10Z"]],
    ],
)
def test_rows_with_times_are_earlier_values_by_their_place(rows: object) -> None:
    first, second = [("DATALOG_0", 3.012, "", T1), ("DATALOG_1", "OPEN", "", T1)], [("DATALOG_0", 2.9, "", T2)]
    assert found({"DATALOG": rows}) == [*first, *second, ("DATALOG_1", "CLOSE", "", T2)]


def test_cells_of_rows_go_by_the_names_that_stand_before_them() -> None:
    rows = "[PH:7.1,Temperature:23,time :2024-05-15 08:38:54],[PH:7,Temperature:22,time :2024-05-15 08:43:10]"
    assert found({"DATALOG": rows}) == [
        ("PH", 7.1, "pH", T1),
        ("Temperature", 23, "°C", T1),
        ("PH", 7, "pH", T2),
        ("Temperature", 22, "°C", T2),
    ]


@pytest.mark.parametrize("rows", ["[1.000],[1.001],", "[1,2024-05-15 08:38:54],[2,never]", "[(0.1),(0.2)]", "[]"])
def test_rows_without_times_are_metadata(rows: str) -> None:
    decoded = flatten({"BatV": 3.1, "DATALOG": rows})
    assert [reading.name for reading in decoded.readings] == ["BatV"]
    assert decoded.metadata == (Reading("DATALOG", rows),)


@pytest.mark.parametrize("text", ["[open", "open]", "on [1]", "[1] [2", "a [2024-05-15 08:38:54]", "[[1]]"])
def test_other_texts_with_brackets_are_texts(text: str) -> None:
    assert found({"state": text}) == [("state", text, "", None)]


def test_rows_are_bounded() -> None:
    rows = "[1,2024-05-15 08:38:54]," * (MAX_LIST + 1)
    assert flatten({"DATALOG": rows}).warnings == (f"DATALOG: {MAX_LIST + 1} rows, want at most {MAX_LIST}",)
    wide = [[*range(40), "2024-05-15 08:38:54"]] * MAX_LIST
    assert len(flatten({"DATALOG": wide}).readings) == MAX_READINGS
