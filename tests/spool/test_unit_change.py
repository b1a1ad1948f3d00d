"""A sensor whose readings come in another unit than before: no value goes out under a wrong one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.model import Reading, Value
from lora_post.spool.facts import Facts
from lora_post.spool.lanes import of_device
from lora_post.spool.model import Lane
from lora_post.spool.queue import Queue
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from lora_post.spool.unit_change import converted, subject_of
from lora_post.units import UNITS, conversion
from tests.support.build import NOON_US, report

SINK = "waziup"


@pytest.fixture
def spool_file(tmp_path: Path) -> Iterator[SpoolFile]:
    spool_file = SpoolFile(tmp_path / "spool.db")
    yield spool_file
    spool_file.close()


def put(spool_file: SpoolFile, *readings: Reading, writer: QueueWriter | None = None) -> None:
    writer = writer or QueueWriter(spool_file, [SINK], 1 << 30)
    with spool_file.transaction() as db:
        for minute, reading in enumerate(readings):
            writer.put(db, [report(reading, time_us=NOON_US + minute * 60_000_000)])


def lane(spool_file: SpoolFile) -> Lane:
    (only,) = of_device(spool_file, SINK, "pond-7")
    return only


def queued(spool_file: SpoolFile) -> list[object]:
    batch = Queue(spool_file, SINK).claim(lane(spool_file), 100)
    assert batch is not None
    return [json.loads(value) for value in batch.values]


@pytest.mark.parametrize(
    ("first", "then", "value", "expected"),
    [
        ("V", "mV", 3592, 3.592),
        ("mV", "V", 3.592, 3592),
        ("°C", "°F", 212, 100),
        ("°F", "°C", -40, -40),
        ("°C", "K", 0, -273.15),
        ("kWh", "Wh", 1234, 1.234),
        ("mm", "cm", 12.5, 125),
        ("hPa", "kPa", 101.3, 1013),
        ("mbar", "hPa", 1013, 1013),
        ("m³", "L", {"in": 250, "out": [1000, True, "?"]}, {"in": 0.25, "out": [1, True, "?"]}),
    ],
)
def test_value_in_another_unit_of_the_same_kind_is_converted(
    spool_file: SpoolFile, first: str, then: str, value: Value, expected: object
) -> None:
    put(spool_file, Reading("x", 1, first), Reading("x", value, then))
    assert queued(spool_file) == [1, expected]
    assert lane(spool_file).unit == first
    assert not Facts(spool_file, subject_of(SINK)).recall()


def test_unit_that_is_corrected_is_the_sensors_from_then_on(
    spool_file: SpoolFile, caplog: pytest.LogCaptureFixture
) -> None:
    put(spool_file, Reading("current_min", 20, "min"), Reading("current_min", 21, "A", quantity="ElectricCurrent"))
    assert queued(spool_file) == [20, 21]
    assert (lane(spool_file).unit, lane(spool_file).quantity) == ("A", "ElectricCurrent")
    assert Facts(spool_file, subject_of(SINK)).recall() == {"pond-7/current_min": "MinuteTime"}
    assert "device=pond-7 sensor=current_min: its unit is 'A' now, it was 'min'" in caplog.text


def test_unit_that_comes_late_is_taken_over_and_one_that_is_left_out_stays(spool_file: SpoolFile) -> None:
    put(spool_file, Reading("x", 1), Reading("x", 2, "°C"), Reading("x", 3), Reading("x", "fault", "V"))
    assert queued(spool_file) == [1, 2, 3, "fault"]
    assert lane(spool_file).unit == "°C"
    assert Facts(spool_file, subject_of(SINK)).recall() == {"pond-7/x": "Other"}


def test_unit_that_waziup_has_already_is_not_noted(spool_file: SpoolFile, caplog: pytest.LogCaptureFixture) -> None:
    put(spool_file, Reading("temperature", 1), Reading("temperature", 2, "°C"))
    assert lane(spool_file).unit == "°C"
    assert not Facts(spool_file, subject_of(SINK)).recall()
    assert caplog.text == ""


def test_sensor_that_goes_on_changing_has_no_unit(spool_file: SpoolFile) -> None:
    writer = QueueWriter(spool_file, [SINK], 1 << 30)
    put(spool_file, *(Reading("x", 1, unit) for unit in ("V", "%", "V", "%", "°C", "V")), writer=writer)
    assert lane(spool_file).unit == ""
    assert Facts(spool_file, subject_of(SINK)).recall() == {"pond-7/x": "Volt"}


def test_symbol_that_is_not_known_changes_nothing(spool_file: SpoolFile) -> None:
    put(spool_file, Reading("x", 1, "V"), Reading("x", 2, "furlong"))
    assert (queued(spool_file), lane(spool_file).unit) == ([1, 2], "V")


def test_symbols_of_one_waziup_unit_are_converted_alike() -> None:
    for symbol, unit in UNITS.items():
        for other, same in UNITS.items():
            if unit.id == same.id not in ("Other", "Dimensionless") and "g" not in (symbol, other) and symbol != other:
                found = conversion(symbol, other)
                assert found is not None, (symbol, other)
                assert found == pytest.approx((unit.factor / same.factor, 0)), (symbol, other)


@given(st.sampled_from(sorted(UNITS)), st.sampled_from(sorted(UNITS)), st.floats(-1e9, 1e9))
def test_conversion_there_and_back_is_the_same_number(symbol: str, to: str, value: float) -> None:
    there, back = conversion(symbol, to), conversion(to, symbol)
    assert (there is None) == (back is None)
    if there is not None and back is not None:
        again = converted(converted(value, *there), *back)
        assert again == pytest.approx(value, rel=1e-9, abs=1e-6)


def test_change_that_was_rolled_back_is_the_first_one_still(spool_file: SpoolFile) -> None:
    writer = QueueWriter(spool_file, [SINK], 1 << 30)
    put(spool_file, Reading("t", 1, "V"), writer=writer)
    corrected = report(Reading("t", 1, "°C"), time_us=NOON_US + 1)
    with pytest.raises(ZeroDivisionError), spool_file.transaction() as db:
        writer.put(db, [corrected])
        raise ZeroDivisionError
    writer.forget_lanes()
    put(spool_file, Reading("t", 1, "°C"), writer=writer)
    writer.kept()
    assert lane(spool_file).unit == "°C"
    put(spool_file, Reading("t", 1, "V"), writer=writer)
    assert lane(spool_file).unit == ""
