"""Actuators; setting a value needs no permission at all, as on the real server.

Source: Waziup/wazicloud-api: src/Waziup/Actuators.hs.
"""

from __future__ import annotations

from typing import Any

from lora_post.sandbox import bodies
from lora_post.sandbox.access import Scope
from lora_post.sandbox.bodies import json_reader, text_reader
from lora_post.sandbox.endpoint import NO_CONTENT, Call, Endpoint, Reply, json_reply
from lora_post.sandbox.entities import (
    Attribute,
    Entity,
    actuator_attribute,
    check_new_name,
    with_actuator_value,
    with_metadata,
)
from lora_post.sandbox.errors import no_actuator
from lora_post.sandbox.routes.devices import allowed_device, find_device
from lora_post.sandbox.routes.sensors import drop_attribute
from lora_post.sandbox.rules import Json
from lora_post.sandbox.views import actuator_json, actuators_json


def get_actuators(call: Call) -> Reply:
    """Return all actuators of a device."""
    return json_reply(actuators_json(allowed_device(call, Scope.VIEW)))


def post_actuator(call: Call) -> Reply:
    """Create an actuator; one that exists is replaced whole."""
    actuator: bodies.Actuator = call.body
    entity = allowed_device(call, Scope.UPDATE)
    check_new_name(actuator.id)
    call.state.set_attribute(entity, actuator.id, actuator_attribute(actuator, call.now_s), call.now_s)
    return NO_CONTENT


def get_actuator(call: Call) -> Reply:
    """Return one actuator with its value."""
    entity = allowed_device(call, Scope.VIEW)
    return json_reply(actuator_json(call.ids["actuator"], _actuator(entity, call.ids["actuator"])))


def delete_actuator(call: Call) -> Reply:
    """Delete an actuator; in truth any attribute of that name."""
    return drop_attribute(call, call.ids["actuator"])


def put_value(call: Call) -> Reply:
    """Take a command from anybody."""
    entity = find_device(call.state, call.ids["device"])
    name = call.ids["actuator"]
    attribute = with_actuator_value(_actuator(entity, name), call.body, call.now_s)
    call.state.set_attribute(entity, name, attribute, call.now_s)
    return NO_CONTENT


def _actuator(entity: Entity, name: str) -> Attribute:
    attribute = entity.attributes.get(name)
    if attribute is None or attribute.type != "Actuator":
        raise no_actuator()
    return attribute


def _put(name: str, key: str, kind: Any, *, text: bool = True) -> Endpoint:
    def put_field(call: Call) -> Reply:
        entity = allowed_device(call, Scope.UPDATE)
        actuator = call.ids["actuator"]
        attribute = with_metadata(_actuator(entity, actuator), key, call.body, call.now_s)
        call.state.set_attribute(entity, actuator, attribute, call.now_s)
        return NO_CONTENT

    path = f"{_ACTUATOR}/{name}"
    return Endpoint("PUT", path, put_field, json=json_reader(kind), text=text_reader(kind) if text else None)


_ACTUATOR = "devices/{device}/actuators/{actuator}"

ENDPOINTS = (
    Endpoint("GET", "devices/{device}/actuators", get_actuators),
    Endpoint("POST", "devices/{device}/actuators", post_actuator, json=json_reader(bodies.Actuator)),
    Endpoint("GET", _ACTUATOR, get_actuator),
    Endpoint("DELETE", _ACTUATOR, delete_actuator),
    Endpoint("PUT", _ACTUATOR + "/value", put_value, json=json_reader(Json)),
    _put("name", "name", str),
    _put("actuator_kind", "actuator_kind", str),
    _put("value_type", "actuator_value_type", bodies.ValueType),
    _put("meta", "meta", Json, text=False),
)
