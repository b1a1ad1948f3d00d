"""Devices, sensors and actuators as the API shows them, from Orion's map of attributes.

Absent fields are left out. A field reads as absent when a sensor of its name holds no fitting value.

Source: Waziup/wazicloud-api: src/Waziup/Devices.hs.
"""

from __future__ import annotations

from lora_post.sandbox.access import Resource
from lora_post.sandbox.entities import Attribute, Attributes, Entity, calibration
from lora_post.sandbox.instants import fits_orion, parse_instant, second_text
from lora_post.sandbox.rules import Json, calibrate


def device_resource(entity: Entity) -> Resource:
    """Return what permissions need to know of a device."""
    private = _text(entity.attributes, "visibility") == "private"
    return Resource("device", entity.id, _text(entity.attributes, "owner"), private)


def device_json(entity: Entity) -> dict[str, Json]:
    """Return the body of GET /devices/{d}; absent fields are left out, sensors and actuators sorted by id."""
    attributes = entity.attributes
    visibility = _text(attributes, "visibility")
    fields = {
        "id": entity.id,
        "gateway_id": _text(attributes, "gateway_id"),
        "name": _text(attributes, "name"),
        "location": _location(attributes),
        "domain": _text(attributes, "domain"),
        "visibility": visibility if visibility in ("public", "private") else None,
        "sensors": sensors_json(entity),
        "actuators": actuators_json(entity),
        "owner": _text(attributes, "owner"),
        "meta": _value(attributes, "meta"),
        "deployed": _bool(attributes, "deployed"),
        "date_created": _date(attributes, "dateCreated", entity.created_s),
        "date_modified": _date(attributes, "dateModified", entity.modified_s),
    }
    return _without_null(fields)


def sensors_json(entity: Entity) -> list[dict[str, Json]]:
    """Return all sensors of a device, sorted by id."""
    return [sensor_json(name, entity.attributes[name]) for name in _names(entity, "Sensor")]


def actuators_json(entity: Entity) -> list[dict[str, Json]]:
    """Return all actuators of a device, sorted by id."""
    return [actuator_json(name, entity.attributes[name]) for name in _names(entity, "Actuator")]


def sensor_json(name: str, attribute: Attribute) -> dict[str, Json]:
    """Return one sensor with its last value, calibrated."""
    metadata = attribute.metadata
    fields = {
        "id": name,
        "name": metadata.get("name"),
        "sensor_kind": metadata.get("sensing_device"),
        "quantity_kind": metadata.get("quantity_kind"),
        "unit": metadata.get("unit"),
        "value": _last_value(attribute),
        "calib": metadata.get("calib"),
        "meta": metadata.get("meta"),
    }
    return _without_null(fields)


def actuator_json(name: str, attribute: Attribute) -> dict[str, Json]:
    """Return one actuator with its value."""
    metadata = attribute.metadata
    fields = {
        "id": name,
        "name": metadata.get("name"),
        "actuator_kind": metadata.get("actuator_kind"),
        "actuator_value_type": metadata.get("actuator_value_type"),
        "value": attribute.value,
        "meta": metadata.get("meta"),
    }
    return _without_null(fields)


def _last_value(attribute: Attribute) -> dict[str, Json] | None:
    if attribute.value is None:
        return None
    fields = {
        "value": calibrate(attribute.value, calibration(attribute)),
        "timestamp": attribute.metadata.get("timestamp"),
        "date_received": second_text(attribute.modified_s),
    }
    return _without_null(fields)


def _names(entity: Entity, kind: str) -> list[str]:
    return sorted(name for name, attribute in entity.attributes.items() if attribute.type == kind)


def _without_null(fields: dict[str, Json]) -> dict[str, Json]:
    return {key: item for key, item in fields.items() if item is not None}


def _value(attributes: Attributes, name: str) -> Json:
    attribute = attributes.get(name)
    return None if attribute is None else attribute.value


def _text(attributes: Attributes, name: str) -> str | None:
    value = _value(attributes, name)
    return value if isinstance(value, str) else None


def _bool(attributes: Attributes, name: str) -> bool | None:
    value = _value(attributes, name)
    return value if isinstance(value, bool) else None


def _location(attributes: Attributes) -> dict[str, Json] | None:
    match _value(attributes, "location"):
        case {"coordinates": [int() | float() as longitude, int() | float() as latitude]}:
            return {"latitude": latitude, "longitude": longitude}
    return None


def _date(attributes: Attributes, name: str, built_in_s: int) -> str | None:
    """Return a date of the entity, unless a sensor of that name covers it."""
    if name not in attributes:
        return second_text(built_in_s)
    try:
        instant = parse_instant(_text(attributes, name) or "")
    except ValueError:
        return None
    return second_text(instant.second) if fits_orion(instant) else None
