"""Sensors and the values they receive.

Source: Waziup/wazicloud-api: src/Waziup/Sensors.hs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import json

from lora_post.sandbox import bodies
from lora_post.sandbox.access import Scope
from lora_post.sandbox.bodies import json_reader, text_reader, text_value
from lora_post.sandbox.endpoint import NO_CONTENT, Call, Endpoint, Reply, json_reply
from lora_post.sandbox.entities import Attribute, Entity, check_new_name, sensor_attribute, with_metadata, with_value
from lora_post.sandbox.errors import ErrorAnswer, no_attribute, no_sensor
from lora_post.sandbox.instants import instant_text
from lora_post.sandbox.routes.devices import allowed_device
from lora_post.sandbox.rules import Json, as_history, check_uri_id
from lora_post.sandbox.state import Point
from lora_post.sandbox.views import sensor_json, sensors_json


def get_sensors(call: Call) -> Reply:
    """Return all sensors of a device."""
    return json_reply(sensors_json(allowed_device(call, Scope.VIEW)))


def post_sensor(call: Call) -> Reply:
    """Create a sensor; one that exists is replaced whole, its last value with it, and keeps its history."""
    sensor: bodies.Sensor = call.body
    entity = allowed_device(call, Scope.VIEW, Scope.UPDATE)
    check_new_name(sensor.id)
    call.state.set_attribute(entity, sensor.id, sensor_attribute(sensor, call.now_s), call.now_s)
    return NO_CONTENT


def get_sensor(call: Call) -> Reply:
    """Return one sensor with its last value."""
    entity = allowed_device(call, Scope.VIEW)
    return json_reply(sensor_json(call.ids["sensor"], _sensor(entity, call.ids["sensor"])))


def delete_sensor(call: Call) -> Reply:
    """Delete the sensor and its history; in truth any attribute of that name."""
    return drop_attribute(call, call.ids["sensor"])


def drop_attribute(call: Call, name: str) -> Reply:
    """Take an attribute from the device of the path."""
    entity = allowed_device(call, Scope.VIEW, Scope.UPDATE)
    check_uri_id(name)
    if name not in entity.attributes:
        raise no_attribute()
    call.state.drop_attribute(entity, name, call.now_s)
    return NO_CONTENT


def post_value(call: Call) -> Reply:
    """Store one value."""
    return _store(call, [call.body])


def post_values(call: Call) -> Reply:
    """Store many values of one sensor, in order; what stands before the first refused one is stored."""
    return _store(call, call.body)


def _store(call: Call, values: Sequence[bodies.SensorValue]) -> Reply:
    entity = allowed_device(call, Scope.VIEW, Scope.DATA_CREATE)
    sensor = call.ids["sensor"]
    attribute = _sensor(entity, sensor)
    points: list[Point] = []
    refusal: ErrorAnswer | None = None
    for value in values:
        try:
            attribute = with_value(attribute, value, call.now_s)
        except ErrorAnswer as error:
            refusal = error
            break
        points.append(_point(value))
    if points:
        call.state.add_values(entity, sensor, attribute, points, call.now_s)
    if refusal is not None:
        raise refusal
    return NO_CONTENT


def _point(value: bodies.SensorValue) -> Point:
    time = None if value.timestamp is None else instant_text(value.timestamp)
    return Point(json.encode(as_history(value.value)).decode(), time)


def _sensor(entity: Entity, name: str) -> Attribute:
    attribute = entity.attributes.get(name)
    if attribute is None or attribute.type != "Sensor":
        raise no_sensor()
    return attribute


def _put(name: str, key: str, kind: Any, *, text: bool = True) -> Endpoint:
    def put_field(call: Call) -> Reply:
        entity = allowed_device(call, Scope.VIEW, Scope.UPDATE)
        sensor = call.ids["sensor"]
        item = bodies.to_document(call.body) if isinstance(call.body, bodies.Body) else call.body
        attribute = with_metadata(_sensor(entity, sensor), key, item, call.now_s)
        call.state.set_attribute(entity, sensor, attribute, call.now_s)
        return NO_CONTENT

    path = f"devices/{{device}}/sensors/{{sensor}}/{name}"
    return Endpoint("PUT", path, put_field, json=json_reader(kind), text=text_reader(kind) if text else None)


_SENSOR = "devices/{device}/sensors/{sensor}"

ENDPOINTS = (
    Endpoint("GET", "devices/{device}/sensors", get_sensors),
    Endpoint("POST", "devices/{device}/sensors", post_sensor, json=json_reader(bodies.Sensor)),
    Endpoint("GET", _SENSOR, get_sensor),
    Endpoint("DELETE", _SENSOR, delete_sensor),
    Endpoint("POST", _SENSOR + "/value", post_value, json=json_reader(bodies.SensorValue), text=text_value),
    Endpoint("POST", _SENSOR + "/values", post_values, json=json_reader(list[bodies.SensorValue])),
    _put("name", "name", str),
    _put("sensor_kind", "sensing_device", str),
    _put("quantity_kind", "quantity_kind", str),
    _put("unit", "unit", str),
    _put("calib", "calib", bodies.Calib, text=False),
    _put("meta", "meta", Json, text=False),
)
