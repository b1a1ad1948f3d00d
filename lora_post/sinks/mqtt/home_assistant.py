"""Make the messages by which Home Assistant sets up sensors (MQTT discovery).

Sources: home-assistant.io, integrations: mqtt (discovery topic, discovery payload, origin), sensor.mqtt,
binary_sensor.mqtt, sensor and binary_sensor (device classes); home-assistant/core:
homeassistant/components/sensor/const.py (the units and state classes that each device class allows).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from lora_post import __version__
from lora_post.spool.model import Lane
from lora_post.text import escaped_json
from lora_post.waziup.kinds import describe
from lora_post.waziup.names import to_id

MAX_STATE = 255  # characters of a state; Home Assistant refuses longer ones
_ORIGIN = {"name": "lora-post", "sw_version": __version__}

_PRESSURES = frozenset({"Pa", "hPa", "kPa", "mbar", "cbar", "bar", "mmHg"})

CLASS_UNITS = {
    "temperature": frozenset({"°C", "°F", "K"}),
    "humidity": frozenset({"%"}),
    "moisture": frozenset({"%"}),
    "pressure": _PRESSURES,
    "atmospheric_pressure": _PRESSURES,
    "illuminance": frozenset({"lx"}),
    "irradiance": frozenset({"W/m²"}),
    "battery": frozenset({"%"}),
    "voltage": frozenset({"µV", "mV", "V", "kV"}),
    "current": frozenset({"mA", "A"}),
    "power": frozenset({"W", "kW"}),
    "reactive_power": frozenset({"var"}),
    "energy": frozenset({"Wh", "kWh", "MWh"}),
    "frequency": frozenset({"Hz", "kHz", "MHz"}),
    "distance": frozenset({"mm", "cm", "m", "km"}),
    "weight": frozenset({"mg", "g", "kg"}),
    "precipitation": frozenset({"mm", "cm"}),
    "precipitation_intensity": frozenset({"mm/h"}),
    "wind_speed": frozenset({"m/s", "km/h"}),
    "speed": frozenset({"m/s", "km/h"}),
    "duration": frozenset({"s", "min", "h", "d"}),
    "conductivity": frozenset({"µS/cm", "mS/cm"}),
    "sound_pressure": frozenset({"dB", "dBA"}),
    "ph": frozenset({""}),
    "carbon_dioxide": frozenset({"ppm"}),
    "carbon_monoxide": frozenset({"ppm"}),
    "nitrogen_dioxide": frozenset({"µg/m³"}),
    "ozone": frozenset({"µg/m³"}),
    "sulphur_dioxide": frozenset({"µg/m³"}),
    "volatile_organic_compounds": frozenset({"µg/m³"}),
    "volatile_organic_compounds_parts": frozenset({"ppm", "ppb"}),
    "signal_strength": frozenset({"dBm"}),
}
"""Device class → those units of readings that Home Assistant allows for it; it refuses others."""

CLASSES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        (
            *("Temperature", "AirTemperature", "SoilTemperature", "WaterTemperature", "BoardTemperature"),
            *("BodyTemperature", "BuildingTemperature", "RoomTemperature", "FoodTemperature", "DewPoint"),
        ),
        ("temperature",),
    ),
    **dict.fromkeys(("RelativeHumidity", "AirHumidity", "Humidity"), ("humidity",)),
    "SoilHumidity": ("moisture",),
    **dict.fromkeys(("Pressure", "SoilMoistureTension"), ("pressure",)),
    "AtmosphericPressure": ("atmospheric_pressure",),
    "Illuminance": ("illuminance",),
    "SolarRadiation": ("irradiance",),
    **dict.fromkeys(("Voltage", "ElectricPotential"), ("voltage",)),
    "BatteryLevel": ("battery", "voltage"),
    "ElectricCurrent": ("current",),
    **dict.fromkeys(("ActivePower", "Power"), ("power",)),
    "ReactivePower": ("reactive_power",),
    "Energy": ("energy",),
    "Frequency": ("frequency",),
    **dict.fromkeys(("Distance", "WaterLevel"), ("distance",)),
    **dict.fromkeys(("Weight", "Mass"), ("weight",)),
    **dict.fromkeys(("Rainfall", "Precipitation"), ("precipitation", "precipitation_intensity")),
    "WindSpeed": ("wind_speed",),
    "Speed": ("speed",),
    "DeviceUptime": ("duration",),
    "Conductivity": ("conductivity",),
    **dict.fromkeys(("Sound", "SoundPressureLevel"), ("sound_pressure",)),
    "PH": ("ph",),
    "CO2": ("carbon_dioxide",),
    "ChemicalAgentAtmosphericConcentrationCO": ("carbon_monoxide",),
    "ChemicalAgentAtmosphericConcentrationNO2": ("nitrogen_dioxide",),
    "ChemicalAgentAtmosphericConcentrationO3": ("ozone",),
    "ChemicalAgentAtmosphericConcentrationSO2": ("sulphur_dioxide",),
    "ChemicalAgentAtmosphericConcentrationVOC": ("volatile_organic_compounds", "volatile_organic_compounds_parts"),
    "Other": ("signal_strength",),
}
"""Waziup quantity → device classes, of which a reading gets the one that has its unit."""

BINARY_CLASSES = {"DoorStatus": "door", "Motion": "motion", "Presence": "occupancy"}
_UNITS = {"dB(A)": "dBA", "pH": ""}  # as Home Assistant spells them
_STATE_CLASSES = {"Energy": "total_increasing", "WindDirection": ""}  # there is no mean of 359° and 1°


class Discovery(Struct, frozen=True):
    """A message that is to be retained. payload b"" removes what the topic has set up."""

    topic: str
    payload: bytes


def gateway_discovery(prefix: str, gateway_id: str, gateway_name: str) -> Discovery:
    """Return the message for the gateway, which its devices name as theirs; its one sensor is lora-post's version."""
    topic = f"{prefix}/sensor/{to_topic_word(gateway_id)}/lora-post/config"
    about = {
        "name": "lora-post",
        "unique_id": f"{_gateway(gateway_id)}/version",
        # The message itself is retained, so nothing else need be published for it.
        "state_topic": topic,
        "value_template": "{{ value_json.origin.sw_version }}",
        "entity_category": "diagnostic",
        "device": {"identifiers": [_gateway(gateway_id)], "name": gateway_name},
        "origin": _ORIGIN,
    }
    return Discovery(topic, _json(about))


def sensor_discovery(
    prefix: str, lane: Lane, device_name: str, gateway_id: str, state_topic: str, value: bytes
) -> Discovery | None:
    """Return the message for a sensor. value: its latest, JSON; None is returned for an object or a list."""
    if value[:1] in b"{[":
        return None
    is_binary = value in (b"true", b"false")
    device, sensor = to_id(lane.device), to_id(lane.name)
    component = "binary_sensor" if is_binary else "sensor"
    about = {
        "name": lane.name,
        "unique_id": f"lora-post/{device}/{sensor}",
        "state_topic": state_topic,
        **(_binary(lane) if is_binary else _text() if value[:1] == b'"' else _number(lane)),
        "device": {"identifiers": [f"lora-post/{device}"], "name": device_name, "via_device": _gateway(gateway_id)},
        "origin": _ORIGIN,
    }
    return Discovery(
        f"{prefix}/{component}/{to_topic_word(lane.device)}/{to_topic_word(lane.name)}/config", _json(about)
    )


def to_topic_word(name: str) -> str:
    """Return a name as `<node_id>` and `<object_id>` may be, `[a-zA-Z0-9_-]`; different names stay different."""
    return re.sub(r"[.~]|(?<=-)-", lambda found: f"--{ord(found[0]):02x}", to_id(name))


def _binary(lane: Lane) -> dict[str, str]:
    about = {"value_template": "{{ 'ON' if value_json.value else 'OFF' }}"}
    name = BINARY_CLASSES.get(_quantity(lane))
    return about | ({"device_class": name} if name else {})


def _text() -> dict[str, str]:
    return {"value_template": f"{{{{ value_json.value[:{MAX_STATE}] }}}}"}


def _number(lane: Lane) -> dict[str, str]:
    quantity = _quantity(lane)
    unit = _UNITS.get(lane.unit, lane.unit)
    about = {
        "value_template": "{{ value_json.value }}",
        "unit_of_measurement": unit,
        "device_class": next((name for name in CLASSES.get(quantity, ()) if unit in CLASS_UNITS[name]), ""),
        "state_class": _STATE_CLASSES.get(quantity, "measurement"),
    }
    return {key: text for key, text in about.items() if text}


def _quantity(lane: Lane) -> str:
    return describe(lane.name, lane.unit, lane.quantity, lane.channel).quantity


def _gateway(gateway_id: str) -> str:
    return f"lora-post/gateway/{gateway_id}"


def _json(about: Mapping[str, object]) -> bytes:
    return escaped_json(msgspec.json.encode(about)).encode()
