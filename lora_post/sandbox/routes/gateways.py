"""Gateways; they live in MongoDB, where no character rule applies.

Source: Waziup/wazicloud-api: src/Waziup/Gateways.hs.
"""

from __future__ import annotations

from lora_post.sandbox import bodies
from lora_post.sandbox.access import Resource, Scope, User, demand, denials
from lora_post.sandbox.bodies import json_reader, text_reader, to_document
from lora_post.sandbox.endpoint import NO_CONTENT, Call, Endpoint, Reply, json_reply
from lora_post.sandbox.errors import gateway_exists, no_gateway
from lora_post.sandbox.instants import clock_text
from lora_post.sandbox.media import JSON, TEXT
from lora_post.sandbox.queries import boolean
from lora_post.sandbox.routes.devices import visible_devices
from lora_post.sandbox.rules import Json, as_history
from lora_post.sandbox.state import State
from lora_post.sandbox.views import device_json


def gateway_resource(gateway: dict[str, Json]) -> Resource:
    """Return what permissions need to know of a gateway."""
    return Resource("gateway", gateway["id"], gateway.get("owner"), gateway.get("visibility") == "private")


def get_gateways(call: Call) -> Reply:
    """Return every gateway that the caller may view."""
    full = boolean(call.query, "full") is True
    visible = [gateway for gateway in call.state.gateways() if _visible(call.user, gateway)]
    return json_reply([_full(call, gateway) if full else gateway for gateway in visible])


def post_gateway(call: Call) -> Reply:
    """Create a gateway, owned by whoever asks; the answer is 200 with nothing in it."""
    now = clock_text(call.now_us)
    stored = as_history(to_document(call.body))
    if not call.state.add_gateway(
        stored | {"owner": call.user.username, "date_created": now, "date_modified": now},
    ):
        raise gateway_exists()
    return Reply(200, media=call.media)


def get_gateway(call: Call) -> Reply:
    """Return one gateway."""
    full = boolean(call.query, "full") is True
    gateway = _allowed(call, Scope.VIEW)
    return json_reply(_full(call, gateway) if full else gateway)


def delete_gateway(call: Call) -> Reply:
    """Delete the gateway; its devices keep naming it."""
    call.state.drop_gateway(_allowed(call, Scope.VIEW, Scope.DELETE)["id"])
    return NO_CONTENT


def put_heartbeat(call: Call) -> Reply:
    """Note that the gateway is alive."""
    return _update(call, {"date_modified": clock_text(call.now_us)})


def put_name(call: Call) -> Reply:
    """Give the gateway another name."""
    return _update(call, {"name": call.body})


def put_owner(call: Call) -> Reply:
    """Give the gateway another owner; it becomes private, and nobody checks that the owner exists."""
    return _update(call, {"owner": call.body, "visibility": "private"})


def put_location(call: Call) -> Reply:
    """Give the gateway another place."""
    return _update(call, {"location": to_document(call.body)})


def _update(call: Call, changes: dict[str, Json]) -> Reply:
    call.state.set_gateway(_allowed(call, Scope.VIEW, Scope.UPDATE) | changes)
    return NO_CONTENT


def _allowed(call: Call, *scopes: Scope) -> dict[str, Json]:
    gateway = _find(call.state, call.ids["gateway"])
    demand(call.user, gateway_resource(gateway), *scopes)
    return gateway


def _find(state: State, gateway_id: str) -> dict[str, Json]:
    gateway = state.gateway(gateway_id)
    if gateway is None:
        raise no_gateway()
    return gateway


def _visible(user: User, gateway: dict[str, Json]) -> bool:
    return not denials(user, gateway_resource(gateway), Scope.VIEW)


def _full(call: Call, gateway: dict[str, Json]) -> dict[str, Json]:
    """Return it with the devices whose gateway_id equals the id, as Orion's query language compares them."""
    devices = visible_devices(call.state, call.user, f"gateway_id=={gateway['id']}")
    return gateway | {"devices": [device_json(entity) for entity in devices]}


_GATEWAY = "gateways/{gateway}"

ENDPOINTS = (
    Endpoint("GET", "gateways", get_gateways),
    Endpoint("POST", "gateways", post_gateway, json=json_reader(bodies.Gateway), offers=(TEXT, JSON)),
    Endpoint("GET", _GATEWAY, get_gateway),
    Endpoint("DELETE", _GATEWAY, delete_gateway),
    Endpoint("PUT", _GATEWAY + "/name", put_name, json=json_reader(str), text=text_reader(str)),
    Endpoint("PUT", _GATEWAY + "/owner", put_owner, json=json_reader(str), text=text_reader(str)),
    Endpoint("PUT", _GATEWAY + "/location", put_location, json=json_reader(bodies.Location)),
)
HEARTBEAT = Endpoint("PUT", _GATEWAY + "/heartbeat", put_heartbeat)
LEGACY_HEALTH = Endpoint("PUT", _GATEWAY + "/health", put_heartbeat)
