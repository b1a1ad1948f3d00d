from __future__ import annotations

import subprocess
import sys
from math import isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.decoding.loading import load_folder, shipped_folder
from lora_post.results import meanings
from lora_post.units import UNITS
from lora_post.waziup.kinds import OTHER, SensorKind, describe, ontology, to_waziup_value

KINDS = {kind.id: kind.links for kind in ontology().sensor_kinds}
QUANTITIES = {quantity.id: quantity.links for quantity in ontology().quantity_kinds}
UNIT_IDS = {unit.id for unit in ontology().units}

# name of a Cayenne LPP reading, its unit, what Waziup calls it
LPP: list[tuple[str, str, str, str, str | None]] = [
    ("temperature", "°C", "Thermometer", "Temperature", "DegreeCelsius"),
    ("relative_humidity", "%", "HumiditySensor", "RelativeHumidity", "Percent"),
    ("luminosity", "lx", "LightSensor", "Illuminance", "Lux"),
    ("presence", "", "HumanPresenceDetector", "Presence", "Dimensionless"),
    ("accelerometer", "g", "Accelerometer", "Acceleration", "MetrePerSecondSquare"),
    ("barometric_pressure", "hPa", "AtmosphericPressureSensor", "AtmosphericPressure", "Millibar"),
    ("voltage", "V", "VoltageSensor", "Voltage", "Volt"),
    ("current", "A", "CurrentSensor", "ElectricCurrent", "Ampere"),
    ("frequency", "Hz", "FrequencySensor", "Frequency", "Hertz"),
    ("altitude", "m", "GPSSensor", "Position", "Metre"),
    ("load", "kg", "WeightSensor", "Weight", "Kilogram"),
    ("concentration", "ppm", "GaseousPollutantSensor", "ChemicalAgentConcentration", "PartsPerMillion"),
    ("power", "W", "ElectricalSensor", "ActivePower", "Watt"),
    ("distance", "m", "DistanceSensor", "Distance", "Metre"),
    ("energy", "kWh", "EnergyMeter", "Energy", "KiloWattHour"),
    ("direction", "°", "WindDirectionSensor", "WindDirection", "DegreeAngle"),
    ("unix_time", "s", "Clock", "Timestamp", "SecondTime"),
    ("gyrometer", "°/s", "GyroscopeSensor", "RotationalSpeed", "DegreeAnglePerSecond"),
]
# other things that are measured, and what text devices call them
COMMON: list[tuple[str, str, str, str, str | None]] = [
    ("air_temperature", "°C", "AirThermometer", "AirTemperature", "DegreeCelsius"),
    ("soil_temperature", "°C", "SoilThermometer", "SoilTemperature", "DegreeCelsius"),
    ("water_temperature", "°C", "WaterThermometer", "WaterTemperature", "DegreeCelsius"),
    ("soil_moisture", "%", "SoilHumiditySensor", "SoilHumidity", "Percent"),
    ("soil_moisture_tension", "kPa", "SoilHumiditySensor", "SoilMoistureTension", "KiloPascal"),
    ("battery_voltage", "V", "ElectricalSensor", "BatteryLevel", "Volt"),
    ("battery", "mV", "ElectricalSensor", "BatteryLevel", "Millivolt"),
    ("board_voltage", "V", "BoardVoltageSensor", "Voltage", "Volt"),
    ("wind_speed", "m/s", "WindSpeedSensor", "WindSpeed", "MetrePerSecond"),
    ("rain", "mL", "RainFallSensor", "Rainfall", "Millilitre"),
    ("ph", "pH", "PHSensor", "PH", "Dimensionless"),
    ("conductivity", "µS/cm", "ConductivitySensor", "Conductivity", "SiemensPerMetre"),
    ("co2", "ppm", "CO2Sensor", "CO2", "PartsPerMillion"),
    ("pm2_5", "µg/m³", "DustSensor", "ChemicalAgentAtmosphericConcentrationDust", "MicrogramPerCubicMetre"),
    ("noise", "dB(A)", "SoundSensor", "Sound", "DecibelA"),
    ("water_level", "m", "WaterLevel", "WaterLevel", "Metre"),
    ("solar_radiation", "W/m²", "SolarRadiationSensor", "SolarRadiation", "WattPerSquareMetre"),
    ("weight", "g", "WeightSensor", "Weight", "Gram"),
    ("count", "", "Counter", "Count", "Dimensionless"),
    ("motion", "", "MotionSensor", "Motion", "Dimensionless"),
    ("activity", "", "MotionSensor", "Motion", "Dimensionless"),
    ("tvoc", "ppb", "VOCSensor", "ChemicalAgentAtmosphericConcentrationVOC", "PartsPerBillion"),
    ("over_voltage_count", "", "Counter", "Count", "Dimensionless"),
    ("soil_conductivity", "µS/cm", "ConductivitySensor", "Conductivity", "SiemensPerMetre"),
    ("door", "", "DoorStateSensor", "DoorStatus", "Dimensionless"),
    ("fill_level", "%", "FuelLevel", "FillLevel", "Percent"),
    ("dissolved_oxygen", "mg/L", "OxygenSensor", "ChemicalAgentWaterConcentrationO2", "MilligramPerLitre"),
    ("external_temperature", "°C", "Thermometer", "Temperature", "DegreeCelsius"),
    ("pond_2_water_temperature", "", "WaterThermometer", "WaterTemperature", "DegreeCelsius"),
    ("TC", "", "Thermometer", "Temperature", "DegreeCelsius"),
    ("T1", "", "Thermometer", "Temperature", "DegreeCelsius"),
    ("TC_2", "", "Thermometer", "Temperature", "DegreeCelsius"),
    ("HU", "", "HumiditySensor", "RelativeHumidity", "Percent"),
    ("LUX", "", "LightSensor", "Illuminance", "Lux"),
    ("SM", "", "SoilHumiditySensor", "SoilHumidity", "Percent"),
    ("BC", "", "Counter", "Count", "Dimensionless"),
    ("ALT", "", "GPSSensor", "Position", "Metre"),
    ("CO2", "", "CO2Sensor", "CO2", None),
]


@pytest.mark.parametrize(("name", "unit", "kind", "quantity", "unit_id"), LPP + COMMON, ids=lambda value: str(value))
def test_known_measurement_has_linked_ids(name: str, unit: str, kind: str, quantity: str, unit_id: str | None) -> None:
    found = describe(name, unit)
    assert (found.kind, found.quantity) == (kind, quantity)
    assert quantity in KINDS[kind]
    assert found.unit in QUANTITIES[quantity]
    assert unit_id in (None, found.unit)


@pytest.mark.parametrize(
    "name", ["digital_in", "digital_out", "analog_in", "analog_out", "generic", "colour", "switch", "polyline"]
)
def test_value_without_a_fixed_meaning_is_other(name: str) -> None:
    assert describe(f"{name}_3", "", channel=3) == OTHER
    assert OTHER.unit in QUANTITIES[OTHER.quantity]


@pytest.mark.parametrize("name", ["gps", "latitude", "longitude", "LAT", "LGT"])
def test_position_has_no_unit(name: str) -> None:
    assert describe(name, "") == SensorKind("GPSSensor", "Position", None)
    assert "Position" in KINDS["GPSSensor"]


@pytest.mark.parametrize(
    ("name", "unit", "expected"),
    [
        ("percentage", "%", SensorKind("OtherSensor", "Other", "Percent")),
        ("rssi", "dBm", SensorKind("OtherSensor", "Other", "DecibelMilliwatt")),
        ("snr", "dB", SensorKind("OtherSensor", "Other", "Decibel")),
        ("FXT", "", SensorKind("OtherSensor", "Other", "SecondTime")),
        ("flux_capacity", "kg", SensorKind("OtherSensor", "Other", "Kilogram")),
        ("battery_low", "", OTHER),
        ("relay", "", SensorKind("OtherSensor", "WorkingState", "Dimensionless")),
        ("dielectric_permittivity", "", SensorKind("OtherSensor", "Other", "Dimensionless")),
        ("battery", "%", SensorKind("ElectricalSensor", "BatteryLevel", "Percent")),
        ("temperature", "furlong", SensorKind("Thermometer", "Temperature", "Other")),
        ("nobody_knows", "furlong", OTHER),
        ("distance", "", SensorKind("DistanceSensor", "Distance", None)),
    ],
)
def test_unknown_name_or_unit_leaves_what_is_known(name: str, unit: str, expected: SensorKind) -> None:
    assert describe(name, unit) == expected


def test_channel_is_no_part_of_the_name() -> None:
    assert describe("temperature_3", "°C", channel=3) == describe("temperature", "°C")
    assert describe("co2", "ppm", channel=2).kind == "CO2Sensor"


def test_quantity_decides_where_it_is_given_and_exists() -> None:
    assert describe("probe", "°C", "WaterTemperature") == SensorKind(
        "WaterThermometer", "WaterTemperature", "DegreeCelsius"
    )
    assert describe("probe", "", "SoilHumidity") == SensorKind("SoilHumiditySensor", "SoilHumidity", "Percent")
    assert describe("probe", "", "CloudCover") == SensorKind("CloudCoverSensor", "CloudCover", "Okta")
    assert describe("probe", "", "WorkingState") == SensorKind("OtherSensor", "WorkingState", "Dimensionless")
    assert describe("temperature", "°C", "NoSuchQuantity") == describe("temperature", "°C")


def test_every_quantity_can_be_asked_for() -> None:
    for quantity in QUANTITIES:
        found = describe("probe", "", quantity)
        assert found.quantity == quantity
        assert found.kind == "OtherSensor" or quantity in KINDS[found.kind]


@pytest.mark.parametrize("symbol", ["\u03bcg/m³", "\u2126"])
def test_other_code_points_of_a_symbol_are_understood(symbol: str) -> None:
    assert describe("x", symbol).unit in {"MicrogramPerCubicMetre", "Ohm"}


@pytest.mark.parametrize("symbol", UNITS)
def test_every_symbol_leads_to_a_unit_that_exists(symbol: str) -> None:
    unit = UNITS[symbol]
    assert unit.id in UNIT_IDS
    assert isfinite(unit.factor) and unit.factor > 0


TEXT = st.text(st.characters(exclude_categories=()), max_size=200)
NAMES = TEXT | st.sampled_from([row[0] for row in LPP + COMMON])
SYMBOLS = TEXT | st.sampled_from([*UNITS, ""])


@given(NAMES, SYMBOLS, st.sampled_from([*QUANTITIES, ""]) | TEXT, st.none() | st.integers())
def test_any_text_is_described_with_ids_that_exist(name: str, unit: str, quantity: str, channel: int | None) -> None:
    found = describe(name, unit, quantity, channel)
    assert found.kind in KINDS
    assert found.quantity in QUANTITIES
    assert found.unit is None or found.unit in UNIT_IDS


@pytest.mark.parametrize(
    ("value", "name", "unit", "expected"),
    [
        ({"x": 1.0, "y": -1.0, "z": 0.0}, "accelerometer", "g", {"x": 9.80665, "y": -9.80665, "z": 0.0}),
        (1.234, "accelerometer", "g", 12.1014061),
        (22990, "energy", "Wh", 22.99),
        (2299, "conductivity", "µS/cm", 0.2299),
        (12.5, "conductivity", "mS/cm", 1.25),
        (868.1, "frequency", "MHz", 868_100_000.0),
        (1015.0, "barometric_pressure", "hPa", 1015.0),
        (250, "weight", "g", 250),
        ([1.5, {"deep": [2]}], "power", "kW", [1500.0, {"deep": [2000.0]}]),
        (True, "power", "kW", True),
        ("off", "power", "kW", "off"),
    ],
)
def test_value_is_converted_to_the_unit_that_waziup_has(value: object, name: str, unit: str, expected: object) -> None:
    assert to_waziup_value(value, describe(name, unit).factor) == expected  # type: ignore[arg-type]


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([unit.factor for unit in UNITS.values()]))
def test_converted_value_stays_finite_and_factor_one_is_the_identity(value: float, factor: float) -> None:
    converted = to_waziup_value(value, factor)
    assert isinstance(converted, float) and isfinite(converted)
    value_list: list[object] = [value]
    assert to_waziup_value(value_list, 1.0) is value_list  # type: ignore[arg-type]


def test_ontology_has_the_three_lists_and_no_loose_links() -> None:
    assert (len(KINDS), len(QUANTITIES), len(UNIT_IDS)) == (105, 130, 89)
    assert all(link in QUANTITIES for links in KINDS.values() for link in links)
    assert all(link in UNIT_IDS for links in QUANTITIES.values() for link in links)


def test_ontology_is_not_read_before_it_is_needed() -> None:
    script = (
        "import sys; opened = []; "
        "sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == 'open' else None); "
        "from lora_post.waziup.kinds import describe, ontology; "
        "describe('temperature_3', '°C', channel=3); "
        "before = any('ontology' in path for path in opened); ontology(); "
        "print(before, any('ontology' in path for path in opened))"
    )
    run = subprocess.run([sys.executable, "-X", "utf8", "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "True"]


def names_with_meanings() -> list[tuple[str, str, str]]:
    """Every name that a table of `meanings` knows, with its unit and quantity."""
    tables = [table for table in vars(meanings).values() if isinstance(table, dict)]
    known = [(name, found) for table in tables for name, found in table.items() if isinstance(found, meanings.Meaning)]
    return [(name, found.unit, found.quantity) for name, found in known]


def names_of_decoders() -> list[tuple[str, str, str]]:
    """Every reading that an example of a shipped decoder gives."""
    decoders = load_folder(shipped_folder()).decoders.values()
    readings = [reading for decoder in decoders for example in decoder.examples for reading in example.gives]
    return [(reading.name, reading.unit, reading.quantity) for reading in readings]


def test_all_names_that_codecs_and_decoders_have_go_out_in_words_of_the_ontology() -> None:
    names = [*names_with_meanings(), *names_of_decoders()]
    assert len(names) > 300
    for name, unit, quantity in names:
        assert unit == "" or unit in UNITS, name
        assert quantity == "" or quantity in QUANTITIES, name
        found = describe(name, unit, quantity)
        assert (found.kind in KINDS, found.quantity in QUANTITIES) == (True, True), name
        assert found.unit is None or found.unit in UNIT_IDS, name
