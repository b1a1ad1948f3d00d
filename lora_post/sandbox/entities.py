"""A device as Orion keeps it: one map of attributes, shared by fields, sensors and actuators.

That map is why a sensor called `owner` takes the owner's place. Everything here is a pure function
from the API's devices, sensors and actuators to the map; `views.py` is the way back.

Source: Waziup/wazicloud-api: src/Waziup/Devices.hs.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec
from msgspec import Struct

from lora_post.sandbox import bodies
from lora_post.sandbox.errors import orion_refuses
from lora_post.sandbox.instants import second_text
from lora_post.sandbox.rules import (
    CalibLinear,
    Json,
    as_orion,
    calibrate,
    check_attribute_id,
    check_device_id,
    check_instant,
    check_text,
)

_METADATA = "metadata value"


class Attribute(Struct, frozen=True):
    """One attribute. type: Sensor, Actuator or one of the field types.

    metadata: name, kinds, unit, time of the value, calibration, meta. modified_s: since 1970 UTC.
    """

    type: str
    value: Json
    metadata: dict[str, Json]
    modified_s: int


Attributes: TypeAlias = dict[str, Attribute]


class Entity(Struct, frozen=True):
    """A stored device; times in seconds since 1970 UTC."""

    id: str
    created_s: int
    modified_s: int
    attributes: Attributes


def new_attributes(device: bodies.Device, owner: str, now_s: int) -> Attributes:
    """Return the attributes of a new device; of equal names the last one stays.

    Raises ErrorAnswer for whatever Orion refuses in it.
    """
    check_device_id(device.id)
    fields = {
        "name": device.name,
        "gateway_id": device.gateway_id,
        "owner": owner,
        "domain": device.domain,
        "visibility": device.visibility,
    }
    attributes = {name: text_field(text, now_s) for name, text in fields.items() if text is not None}
    if device.meta is not None:
        attributes["meta"] = meta_field(device.meta, now_s)
    attributes["deployed"] = deployed_field(device.deployed, now_s)
    if device.location is not None:
        attributes["location"] = location_field(device.location, now_s)
    attributes |= {sensor.id: sensor_attribute(sensor, now_s) for sensor in device.sensors or ()}
    attributes |= {actuator.id: actuator_attribute(actuator, now_s) for actuator in device.actuators or ()}
    # The entity's own id and type share the JSON object with the attributes, and win.
    attributes.pop("id", None)
    attributes.pop("type", None)
    for name in attributes:
        check_new_name(name)
    return attributes


def check_new_name(name: str) -> None:
    """Raise ErrorAnswer when Orion takes no sensor or actuator of this name."""
    if name in ("id", "type"):
        raise orion_refuses(f"entity {name} specified in payload")
    if name == "dateExpires":
        raise orion_refuses("error processing date expiration attribute, see log traces")
    check_attribute_id(name)


def text_field(text: str, now_s: int) -> Attribute:
    """Return a device field that is a text."""
    return Attribute("String", check_text(text), {}, now_s)


def meta_field(meta: Json, now_s: int) -> Attribute:
    """Return a device's meta: any JSON."""
    return Attribute("Value", as_orion(meta), {}, now_s)


def deployed_field(deployed: bool | None, now_s: int) -> Attribute:
    """Tell whether a device is deployed."""
    return Attribute("Bool", deployed, {}, now_s)


def location_field(location: bodies.Location, now_s: int) -> Attribute:
    """Return a device's place, as GeoJSON: longitude first."""
    point = {"type": "Point", "coordinates": [location.longitude, location.latitude]}
    return Attribute("geo:json", point, {}, now_s)


def sensor_attribute(sensor: bodies.Sensor, now_s: int) -> Attribute:
    """Return a sensor with its first value, if it has one."""
    metadata = {
        "name": sensor.name,
        "quantity_kind": sensor.quantity_kind,
        "sensing_device": sensor.sensor_kind,
        "unit": sensor.unit,
        "calib": None if sensor.calib is None else msgspec.to_builtins(sensor.calib),
        "meta": sensor.meta,
    }
    bare = Attribute("Sensor", None, _metadata(metadata), now_s)
    return bare if sensor.value is None else with_value(bare, sensor.value, now_s)


def actuator_attribute(actuator: bodies.Actuator, now_s: int) -> Attribute:
    """Return an actuator."""
    metadata = {
        "name": actuator.name,
        "actuator_kind": actuator.actuator_kind,
        "actuator_value_type": actuator.actuator_value_type,
        "meta": actuator.meta,
    }
    return Attribute("Actuator", as_orion(actuator.value), _metadata(metadata), now_s)


def with_value(attribute: Attribute, new: bodies.SensorValue, now_s: int) -> Attribute:
    """Return the sensor after one value; its time is cut to the second, or gone when none was sent."""
    check_instant(new.timestamp)
    metadata = {key: item for key, item in attribute.metadata.items() if key != "timestamp"}
    if new.timestamp is not None:
        metadata["timestamp"] = second_text(new.timestamp.second)
    return _touched(attribute, Attribute("Sensor", as_orion(new.value), metadata, now_s))


def with_metadata(attribute: Attribute, key: str, item: Json, now_s: int) -> Attribute:
    """Return a sensor or actuator after one of its fields was put.

    The server writes back what it read, so a sensor's last value becomes the calibrated one.
    """
    metadata = attribute.metadata | _metadata({key: item})
    if item is None:
        metadata.pop(key, None)
    value = calibrate(attribute.value, calibration(attribute))
    return _touched(attribute, Attribute(attribute.type, value, metadata, now_s))


def calibration(attribute: Attribute) -> CalibLinear | None:
    """Return the line that a sensor's values are read through."""
    calib = attribute.metadata.get("calib")
    return None if calib is None else msgspec.convert(calib, bodies.Calib).linear


def with_actuator_value(attribute: Attribute, value: Json, now_s: int) -> Attribute:
    """Return an actuator after its value was put."""
    return _touched(attribute, Attribute("Actuator", as_orion(value), attribute.metadata, now_s))


def _touched(old: Attribute, new: Attribute) -> Attribute:
    """Return the old attribute when nothing changes, so that its date stays, unless the value is compound."""
    same = (old.type, old.value, old.metadata) == (new.type, new.value, new.metadata)
    same_kind = isinstance(old.value, bool) == isinstance(new.value, bool)  # 1 is True in Python, not in JSON
    return old if same and same_kind and not isinstance(new.value, dict | list) else new


def _metadata(items: dict[str, Json]) -> dict[str, Json]:
    return {key: as_orion(item, _METADATA) for key, item in items.items() if item is not None}
