"""What Waziup calls a reading: sensor kind, quantity kind, unit.

The tables here are looked up by hand; `ontology.json` holds the three lists of the cloud that they
refer to and is read only when it is asked for.

Sources: Waziup/wazicloud-api: data/ontologies/{sensing_devices,quantity_kinds,units}.json;
Waziup/xlpp: README.md for the LPP types; CongducPham/LowCostLoRaGw for the names of text devices.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from sys import float_info

import msgspec
from msgspec import Struct

from lora_post.model import Value
from lora_post.units import UNITS, WaziupUnit, tidy


class SensorKind(Struct, frozen=True):
    """Ids of Waziup's ontology for one reading; all exist there.

    unit: None where the cloud should get none. factor: the value times this is in `unit`.
    """

    kind: str
    quantity: str
    unit: str | None
    factor: float = 1.0


class Term(Struct, frozen=True, array_like=True):
    """One entry of the ontology; links: a kind's quantities, a quantity's units."""

    id: str
    label: str
    links: tuple[str, ...] = ()


class Ontology(Struct, frozen=True):
    """Waziup's three lists, in their order: 105 sensor kinds, 130 quantity kinds, 89 units."""

    sensor_kinds: tuple[Term, ...]
    quantity_kinds: tuple[Term, ...]
    units: tuple[Term, ...]


OTHER = SensorKind("OtherSensor", "Other", "Other")

# By base name; the unit is for readings that come without one, None where it could be any.
_KINDS: dict[str, SensorKind] = {
    "temperature": SensorKind("Thermometer", "Temperature", "DegreeCelsius"),
    "air_temperature": SensorKind("AirThermometer", "AirTemperature", "DegreeCelsius"),
    "soil_temperature": SensorKind("SoilThermometer", "SoilTemperature", "DegreeCelsius"),
    "water_temperature": SensorKind("WaterThermometer", "WaterTemperature", "DegreeCelsius"),
    "board_temperature": SensorKind("BoardThermometer", "BoardTemperature", "DegreeCelsius"),
    "body_temperature": SensorKind("BodyThermometer", "BodyTemperature", "DegreeCelsius"),
    "dew_point": SensorKind("DewPointSensor", "DewPoint", "DegreeCelsius"),
    "humidity": SensorKind("HumiditySensor", "RelativeHumidity", "Percent"),
    "relative_humidity": SensorKind("HumiditySensor", "RelativeHumidity", "Percent"),
    "air_humidity": SensorKind("AirHumiditySensor", "AirHumidity", "Percent"),
    "soil_moisture": SensorKind("SoilHumiditySensor", "SoilHumidity", "Percent"),
    "soil_moisture_raw": SensorKind("SoilHumiditySensor", "SoilHumidity", None),
    "soil_moisture_tension": SensorKind("SoilHumiditySensor", "SoilMoistureTension", "KiloPascal"),
    "leaf_wetness": SensorKind("LeafWetnessSensor", "LeafWetness", None),
    "pressure": SensorKind("PressureSensor", "Pressure", None),
    "barometric_pressure": SensorKind("AtmosphericPressureSensor", "AtmosphericPressure", None),
    "luminosity": SensorKind("LightSensor", "Illuminance", "Lux"),
    "illuminance": SensorKind("LightSensor", "Illuminance", "Lux"),
    "solar_radiation": SensorKind("SolarRadiationSensor", "SolarRadiation", "WattPerSquareMetre"),
    "presence": SensorKind("HumanPresenceDetector", "Presence", "Dimensionless"),
    "motion": SensorKind("MotionSensor", "Motion", "Dimensionless"),
    "activity": SensorKind("MotionSensor", "Motion", "Dimensionless"),
    "door": SensorKind("DoorStateSensor", "DoorStatus", "Dimensionless"),
    "count": SensorKind("Counter", "Count", "Dimensionless"),
    "people_count": SensorKind("PeopleCountSensor", "CountPeople", "Dimensionless"),
    "accelerometer": SensorKind("Accelerometer", "Acceleration", "MetrePerSecondSquare"),
    "gyrometer": SensorKind("GyroscopeSensor", "RotationalSpeed", "DegreeAnglePerSecond"),
    "orientation": SensorKind("GyroscopeSensor", "Orientation", "DegreeAngle"),
    "direction": SensorKind("WindDirectionSensor", "WindDirection", "DegreeAngle"),
    "wind_direction": SensorKind("WindDirectionSensor", "WindDirection", "DegreeAngle"),
    "wind_speed": SensorKind("WindSpeedSensor", "WindSpeed", None),
    "speed": SensorKind("SpeedSensor", "Speed", None),
    "rain": SensorKind("RainFallSensor", "Rainfall", None),
    "rainfall": SensorKind("RainFallSensor", "Rainfall", None),
    "voltage": SensorKind("VoltageSensor", "Voltage", "Volt"),
    "board_voltage": SensorKind("BoardVoltageSensor", "Voltage", "Volt"),
    "battery": SensorKind("ElectricalSensor", "BatteryLevel", None),
    "battery_level": SensorKind("ElectricalSensor", "BatteryLevel", None),
    "battery_voltage": SensorKind("ElectricalSensor", "BatteryLevel", "Volt"),
    "current": SensorKind("CurrentSensor", "ElectricCurrent", None),
    "frequency": SensorKind("FrequencySensor", "Frequency", "Hertz"),
    "power": SensorKind("ElectricalSensor", "ActivePower", None),
    "energy": SensorKind("EnergyMeter", "Energy", None),
    "resistance": SensorKind("ElectricalSensor", "ElectricalResistance", "Ohm"),
    "relay": SensorKind("OtherSensor", "WorkingState", "Dimensionless"),
    "percentage": SensorKind("OtherSensor", "Other", "Percent"),
    "fill_level": SensorKind("FuelLevel", "FillLevel", None),
    "water_level": SensorKind("WaterLevel", "WaterLevel", None),
    "distance": SensorKind("DistanceSensor", "Distance", None),
    "altitude": SensorKind("GPSSensor", "Position", "Metre"),
    "gps": SensorKind("GPSSensor", "Position", None),
    "latitude": SensorKind("GPSSensor", "Position", None),
    "longitude": SensorKind("GPSSensor", "Position", None),
    "load": SensorKind("WeightSensor", "Weight", None),
    "weight": SensorKind("WeightSensor", "Weight", None),
    "concentration": SensorKind("GaseousPollutantSensor", "ChemicalAgentConcentration", None),
    "co2": SensorKind("CO2Sensor", "CO2", "PartsPerMillion"),
    "co": SensorKind("COSensor", "ChemicalAgentAtmosphericConcentrationCO", None),
    "nh3": SensorKind("NH3Sensor", "ChemicalAgentAtmosphericConcentrationNH3", None),
    "no2": SensorKind("NO2Sensor", "ChemicalAgentAtmosphericConcentrationNO2", None),
    "o3": SensorKind("O3Sensor", "ChemicalAgentAtmosphericConcentrationO3", None),
    "so2": SensorKind("SO2Sensor", "ChemicalAgentAtmosphericConcentrationSO2", None),
    "voc": SensorKind("VOCSensor", "ChemicalAgentAtmosphericConcentrationVOC", None),
    "tvoc": SensorKind("VOCSensor", "ChemicalAgentAtmosphericConcentrationVOC", None),
    "dust": SensorKind("DustSensor", "ChemicalAgentAtmosphericConcentrationDust", "MicrogramPerCubicMetre"),
    "pm1": SensorKind("DustSensor", "ChemicalAgentAtmosphericConcentrationDust", "MicrogramPerCubicMetre"),
    "pm2_5": SensorKind("DustSensor", "ChemicalAgentAtmosphericConcentrationDust", "MicrogramPerCubicMetre"),
    "pm10": SensorKind("DustSensor", "ChemicalAgentAtmosphericConcentrationDust", "MicrogramPerCubicMetre"),
    "noise": SensorKind("SoundSensor", "Sound", None),
    "ph": SensorKind("PHSensor", "PH", "Dimensionless"),
    "conductivity": SensorKind("ConductivitySensor", "Conductivity", None),
    "dielectric_permittivity": SensorKind("OtherSensor", "Other", "Dimensionless"),
    "dissolved_oxygen": SensorKind("OxygenSensor", "ChemicalAgentWaterConcentrationO2", "MilligramPerLitre"),
    "salinity": SensorKind("SaltMeter", "Salinity", None),
    "unix_time": SensorKind("Clock", "Timestamp", "SecondTime"),
    "uptime": SensorKind("DeviceUptimeClock", "DeviceUptime", None),
    "rssi": SensorKind("OtherSensor", "Other", "DecibelMilliwatt"),
    "snr": SensorKind("OtherSensor", "Other", "Decibel"),
    "fxt": SensorKind("OtherSensor", "Other", "SecondTime"),
}

# What devices that send text call their sensors, in lower case. The sketches of LowCostLoRaGw use TC, HU,
# LUX, LAT, LGT, BC (beacon counter) and FXT (seconds to fix); the others are common elsewhere.
_SHORT_NAMES: dict[str, str] = {
    **dict.fromkeys(("t", "tc", "ta", "tmp", "temp"), "temperature"),
    "ts": "soil_temperature",
    "tw": "water_temperature",
    **dict.fromkeys(("h", "hu", "hum", "rh"), "humidity"),
    **dict.fromkeys(("sm", "sh"), "soil_moisture"),
    **dict.fromkeys(("pre", "pres", "pa", "bp"), "barometric_pressure"),
    **dict.fromkeys(("bat", "batt", "vbat"), "battery"),
    **dict.fromkeys(("lux", "lum"), "luminosity"),
    "lat": "latitude",
    **dict.fromkeys(("lgt", "lng", "lon"), "longitude"),
    "alt": "altitude",
    **dict.fromkeys(("dis", "dist"), "distance"),
    "wl": "water_level",
    "ws": "wind_speed",
    "wd": "wind_direction",
    "pm25": "pm2_5",
    "ec": "conductivity",
    "do": "dissolved_oxygen",
    "bc": "count",
}

# A longer name that ends in one of these is one of these: external_temperature, tank_2_distance.
_ENDINGS = (
    *("soil_temperature", "water_temperature", "air_temperature", "temperature", "soil_moisture", "humidity"),
    *("pressure", "battery_voltage", "battery_level", "voltage", "distance", "illuminance", "conductivity"),
    *("water_level", "count"),
)

_GRAM = WaziupUnit("Gram")
_WEIGHTS = ("Weight", "Mass")
_MAX_NAME = 128  # as long as a sensor id may be; longer names are not known
_SPELLINGS = str.maketrans({"\u03bc": "\u00b5", "\u2126": "\u03a9"})  # Greek mu → micro sign, ohm sign → Greek omega


def describe(name: str, unit: str, quantity: str = "", channel: int | None = None) -> SensorKind:
    """Return what Waziup calls a reading of this name and unit; never raises.

    name: as in `Reading`, with or without `_<channel>`. unit: a symbol of `UNITS`, "" for none.
    quantity: a Waziup quantity kind, which then decides; one that does not exist is ignored.
    Nothing known: `OtherSensor`, `Other` and the unit, if that is known.
    """
    known = (_by_quantity().get(quantity) if quantity else None) or _by_name(_base_name(name, channel))
    if unit == "":
        return known
    symbol = unit.translate(_SPELLINGS)
    found = UNITS.get(symbol)
    if symbol == "g" and known.quantity in _WEIGHTS:
        found = _GRAM
    if found is None:
        return SensorKind(known.kind, known.quantity, "Other")
    return SensorKind(known.kind, known.quantity, found.id, found.factor)


def to_waziup_value(value: Value, factor: float) -> Value:
    """Return the value in the unit that `describe` named, also inside objects and lists.

    Texts and booleans stay as they are; 12 digits of a product are kept, more than any sensor has.
    """
    return value if factor == 1 else _scaled(value, factor)


@cache
def ontology() -> Ontology:
    """Return the cloud's lists; the first call reads them from the package."""
    return msgspec.json.decode(
        resources.files("lora_post.waziup").joinpath("ontology.json").read_bytes(), type=Ontology
    )


def _scaled(value: Value, factor: float) -> Value:
    if isinstance(value, dict):
        return {key: _scaled(item, factor) for key, item in value.items()}
    if isinstance(value, list):
        return [_scaled(item, factor) for item in value]
    if isinstance(value, bool | str):
        return value
    if factor < 1:  # 2299 / 1000 is 2.299, 2299 * 0.001 is not
        return value / (1 / factor)
    return max(-float_info.max, min(tidy(value * factor), float_info.max))  # infinity is not JSON


def _base_name(name: str, channel: int | None) -> str:
    if len(name) > _MAX_NAME:
        return ""
    if channel is not None:
        name = name.removesuffix(f"_{channel}")
    return name.lower()


def _by_name(base: str) -> SensorKind:
    for candidate in (base, re.sub(r"_?[0-9]+\Z", "", base)):  # co2 before co, then T1 and TC_2
        found = _KINDS.get(_SHORT_NAMES.get(candidate, candidate))
        if found is not None:
            return found
        for ending in _ENDINGS:
            if candidate.endswith("_" + ending):
                return _KINDS[ending]
    return OTHER


@cache
def _by_quantity() -> dict[str, SensorKind]:
    """Return a kind for every quantity: the one that `_KINDS` has, else the first that lists it."""
    preferred = {kind.quantity: kind.kind for kind in reversed(_KINDS.values())}
    lists = ontology()
    first = {quantity: kind.id for kind in reversed(lists.sensor_kinds) for quantity in kind.links}
    return {
        quantity.id: SensorKind(
            preferred.get(quantity.id) or first.get(quantity.id) or OTHER.kind,
            quantity.id,
            quantity.links[0] if len(quantity.links) == 1 else None,
        )
        for quantity in lists.quantity_kinds
    }
