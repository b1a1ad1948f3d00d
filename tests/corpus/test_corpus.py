"""The figures are right: each fault that is made on purpose is counted once, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from lora_post.decoding.decode import run
from lora_post.model import Decoder, Reading
from lora_post.uplink.model import Report, Uplink
from tests.corpus.__main__ import main
from tests.corpus.doubts import is_number_text, moment_s, noise_kind, unit_doubt
from tests.corpus.figures import Figures, figures_of
from tests.corpus.published import find_published
from tests.support.paths import FIXTURES

PUBLISHED = FIXTURES / "published"
UNITS = {"temperature": "°C", "co2": "ppm", "supply_min": "mV", "tilt": "°"}


def good(uplink: Uplink, decoder: Decoder) -> Report:
    """What the fixture's codecs should become: names as they are, units that are known, records in their time."""
    report = run(uplink, decoder)
    data = report.data if isinstance(report.data, dict) else {}
    readings = []
    for name, value in data.items():
        if name == "history":
            for record in value:
                age_s = uplink.frame.time_us / 1e6 - record["timestamp"]
                readings.append(Reading("temperature", record["temperature"], "°C", age_s=age_s))
        elif name == "distance":
            readings.append(Reading(name, int(value.removesuffix(" mm")), "mm"))
        elif name == "weight":
            readings.append(Reading(name, value["value"], "kg"))
        elif name != "serial":
            readings.append(Reading(name, value, UNITS.get(name, "")))
    return replace(report, readings=tuple(readings))


def counted(collection: str, change: Callable[[Uplink, Report], Report] | None = None) -> Figures:
    def decode(uplink: Uplink, decoder: Decoder) -> Report:
        report = good(uplink, decoder)
        return change(uplink, report) if change else report

    return figures_of(find_published(PUBLISHED / collection), decode)


def faults_in(figures: Figures) -> dict[str, int]:
    names = ("lost", "unstable", "number_texts", "doubtful", "noise", "untimed")
    return {name: count for name in names if (count := getattr(figures, name))}


@pytest.mark.parametrize(
    ("collection", "codecs", "unloaded", "vectors", "known", "equal", "readings"),
    [
        ("stack", 2, 1, 3, 3, 2, 4),
        ("tables", 1, 0, 3, 2, 2, 8),
        ("profiles", 1, 0, 1, 1, 1, 2),
        ("calls", 1, 0, 2, 0, 0, 2),
    ],
)
def test_codecs_and_vectors_are_found_in_every_form(
    collection: str, codecs: int, unloaded: int, vectors: int, known: int, equal: int, readings: int
) -> None:
    found = counted(collection)
    assert (found.codecs, found.unloaded, found.vectors) == (codecs, unloaded, vectors)
    assert (found.known, found.equal, found.readings) == (known, equal, readings)
    assert faults_in(found) == {}
    assert found.histories == (collection == "tables")


def changed(name: str, /, **changes: object) -> Callable[[Uplink, Report], Report]:
    def change(uplink: Uplink, report: Report) -> Report:
        return replace(report, readings=tuple(replace(r, **changes) if r.name == name else r for r in report.readings))

    return change


def without(name: str) -> Callable[[Uplink, Report], Report]:
    return lambda uplink, report: replace(report, readings=tuple(r for r in report.readings if r.name != name))


def renamed_in_the_second(uplink: Uplink, report: Report) -> Report:
    return changed("temperature", name="air.temperature")(uplink, report) if uplink.payload[0] == 46 else report


def with_serial(uplink: Uplink, report: Report) -> Report:
    return replace(report, readings=(*report.readings, Reading("serial", "A7"))) if report.data else report


@pytest.mark.parametrize(
    ("collection", "change", "faults"),
    [
        ("stack", without("co2"), {"lost": 2}),
        ("stack", renamed_in_the_second, {"unstable": 1}),
        ("stack", with_serial, {"noise": 2}),
        ("stack", changed("temperature", unit="ppm"), {"doubtful": 2}),
        ("profiles", changed("distance", value="200 mm", unit=""), {"number_texts": 1}),
        ("tables", changed("temperature", age_s=0.0), {"untimed": 1}),
        ("tables", changed("supply_min", unit="min"), {"doubtful": 3}),
        ("tables", changed("supply_min", unit="V"), {"doubtful": 3}),
        ("calls", changed("weight", unit="mm"), {"doubtful": 2}),
    ],
)
def test_each_fault_is_counted_and_nothing_else(
    collection: str, change: Callable[[Uplink, Report], Report], faults: dict[str, int]
) -> None:
    found = counted(collection, change)
    # A time that no reading tells is a value lost, too.
    assert {
        name: count for name, count in faults_in(found).items() if (name, "untimed" in faults) != ("lost", True)
    } == faults


def test_the_command_prints_a_line_for_each_collection(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(PUBLISHED)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["calls", "profiles", "stack", "tables"]
    assert lines[2].startswith("stack: codecs 2 (not loaded 1), vectors 3, equal 2 of 3, ")
    assert main([str(PUBLISHED / "stack"), "--verbose"]) == 0
    told = capsys.readouterr().out
    assert "  not loaded: " in told
    assert "  vector: vendor/acme/air.js: 2e030907 on 2: {'temperature': 24, " in told


@pytest.mark.parametrize(
    ("name", "value", "unit", "quantity"),
    [
        ("current_min", 20, "min", "ElectricCurrent"),
        ("battery_voltage", 3592, "V", "BatteryLevel"),
        ("level", 1700, "%", "FillLevel"),
        ("light_level", 2, "lx", "Illuminance"),
        ("total_Ah", 12.5, "A", "ElectricCurrent"),
        ("temp_mode", 1, "°C", "Temperature"),
        ("temperature_alarm", "high", "", "Temperature"),
        ("reactive_power", 12, "W", "ActivePower"),
        ("Supply_mV", 3300, "V", "Voltage"),
        ("acceleration_x", -12, "mg", "Acceleration"),
    ],
)
def test_units_that_cannot_be(name: str, value: object, unit: str, quantity: str) -> None:
    assert unit_doubt(name, value, unit, quantity, "")


@pytest.mark.parametrize(
    ("name", "value", "unit", "quantity", "maker"),
    [
        ("temperature_min", -20, "°C", "Temperature", ""),
        ("uptime_min", 20, "min", "DeviceUptime", ""),
        ("battery_level", 98, "%", "BatteryLevel", ""),
        ("battery_voltage", 3.6, "V", "BatteryLevel", ""),
        ("TempC_DS", 327.67, "°C", "Temperature", ""),
        ("soil_temperature_at_depth_3", -327.68, "°C", "SoilTemperature", "°C"),
        ("level", 40, "%", "FillLevel", "%"),
        ("supply", 3300, "mV", "Voltage", "mV"),
        ("total", 3300, "", "", "mV"),
    ],
)
def test_units_that_can_be(name: str, value: object, unit: str, quantity: str, maker: str) -> None:
    assert unit_doubt(name, value, unit, quantity, maker) == ""


def test_what_is_noise_and_what_is_not() -> None:
    payload = bytes.fromhex("0100e2")
    found = {
        name: noise_kind(name, value, payload, 85)
        for name, value in {
            "serial_number": "6410",
            "device.hw_version": 2,
            "protocolVersion": 2,
            "raw": [1, 0, 226],
            "data": "01 00 E2",
            "port": 85,
            "msg_type": "status",
            "timestamp": 1684418816,
            "hw_error": False,
            "port_1": 3,
            "flow_raw": 317,
            "temperature": 21.5,
            "uptime": 1684,
        }.items()
    }
    assert [kind for kind in found.values() if kind] == [
        *("identity", "version", "version", "echo", "echo", "echo", "echo", "clock")
    ]


def test_texts_that_are_numbers() -> None:
    assert all(map(is_number_text, ("22.50", "1700 mm", "18℃", "2.3(low battery)", "76%", "-4")))
    assert not any(map(is_number_text, ("ok", "1.2.3", "0102", "2024-01-01", "", "3 of 4", 22.5)))


def test_times() -> None:
    assert moment_s("2023-05-18T14:06:56Z") == moment_s(1684418816) == moment_s(1684418816000) == 1684418816
    assert moment_s("2023-05-18") is not None
    assert [moment_s(value) for value in (12, True, "noon", None, 22.5)] == [None] * 5
