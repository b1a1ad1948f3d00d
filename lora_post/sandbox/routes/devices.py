"""Devices.

Source: Waziup/wazicloud-api: src/Waziup/Devices.hs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lora_post.sandbox import bodies
from lora_post.sandbox.access import Scope, User, demand, denials
from lora_post.sandbox.bodies import json_reader, text_reader
from lora_post.sandbox.endpoint import NO_CONTENT, Call, Endpoint, Reply, json_reply
from lora_post.sandbox.entities import (
    Attribute,
    Entity,
    deployed_field,
    location_field,
    meta_field,
    new_attributes,
    text_field,
)
from lora_post.sandbox.errors import device_exists, no_device
from lora_post.sandbox.queries import integer, matching, parse_filter
from lora_post.sandbox.rules import Json, check_uri_id
from lora_post.sandbox.state import State
from lora_post.sandbox.views import device_json, device_resource


def find_device(state: State, device_id: str) -> Entity:
    """Return a device without asking for permission. Raises ErrorAnswer when there is none."""
    check_uri_id(device_id)
    entity = state.device(device_id)
    if entity is None:
        raise no_device()
    return entity


def allowed_device(call: Call, *scopes: Scope) -> Entity:
    """Return the device of the path, once the caller has all these scopes. Raises ErrorAnswer."""
    entity = find_device(call.state, call.ids["device"])
    demand(call.user, device_resource(entity), *scopes)
    return entity


def visible_devices(state: State, user: User, condition: str | None) -> list[Entity]:
    """Return the devices that the user may view and that fit a `q`, in the order of their creation."""
    terms = [] if condition is None else parse_filter(condition)
    fitting = matching(state.devices(), terms)
    return [entity for entity in fitting if not denials(user, device_resource(entity), Scope.VIEW)]


def get_devices(call: Call) -> Reply:
    """Return a list of devices; limit and offset count only what the caller may see."""
    limit, offset = integer(call.query, "limit"), integer(call.query, "offset")
    entities = visible_devices(call.state, call.user, call.query.get("q"))[max(offset or 0, 0) :]
    if limit is not None:
        entities = entities[: max(limit, 0)]
    return json_reply([device_json(entity) for entity in entities])


def post_device(call: Call) -> Reply:
    """Create a device, owned by whoever asks."""
    device: bodies.Device = call.body
    attributes = new_attributes(device, call.user.username, call.now_s)
    if not call.state.add_device(device.id, attributes, call.now_s):
        raise device_exists()
    return NO_CONTENT


def get_device(call: Call) -> Reply:
    """Return one device with its sensors and actuators."""
    return json_reply(device_json(allowed_device(call, Scope.VIEW)))


def delete_device(call: Call) -> Reply:
    """Delete the device and its whole history."""
    call.state.drop_device(allowed_device(call, Scope.VIEW, Scope.DELETE).id)
    return NO_CONTENT


def _put(name: str, make: Callable[[Any, int], Attribute], kind: Any, *, text: bool = True) -> Endpoint:
    def put_field(call: Call) -> Reply:
        entity = allowed_device(call, Scope.VIEW, Scope.UPDATE)
        call.state.set_attribute(entity, name, make(call.body, call.now_s), call.now_s)
        return NO_CONTENT

    text_body = text_reader(kind) if text else None
    return Endpoint("PUT", f"devices/{{device}}/{name}", put_field, json=json_reader(kind), text=text_body)


ENDPOINTS = (
    Endpoint("GET", "devices", get_devices),
    Endpoint("POST", "devices", post_device, json=json_reader(bodies.Device)),
    Endpoint("GET", "devices/{device}", get_device),
    Endpoint("DELETE", "devices/{device}", delete_device),
    _put("name", text_field, str),
    _put("gateway_id", text_field, str),
    _put("owner", text_field, str),
    _put("visibility", text_field, bodies.Visibility),
    _put("location", location_field, bodies.Location, text=False),
    _put("meta", meta_field, Json, text=False),
    _put("deployed", deployed_field, bool, text=False),  # the real server declares text and crashes on it
)
