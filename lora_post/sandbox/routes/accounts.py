"""Tokens, the caller, and what the caller may do.

Source: Waziup/wazicloud-api: src/Waziup/{Auth,Users,Devices,Gateways}.hs.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable

from lora_post.sandbox.access import Resource, User, permissions
from lora_post.sandbox.bodies import Credentials, json_reader
from lora_post.sandbox.endpoint import Call, Endpoint, Reply, json_reply
from lora_post.sandbox.errors import bad_credentials
from lora_post.sandbox.media import JSON, TEXT
from lora_post.sandbox.routes.gateways import gateway_resource
from lora_post.sandbox.tokens import user_id
from lora_post.sandbox.views import device_resource

ADMIN = "admin"


def post_token(call: Call) -> Reply:
    """Return the token itself as text, or as a JSON string for those who take only JSON."""
    credentials: Credentials = call.body
    password = call.service.settings.users.get(credentials.username)
    if password is None or not hmac.compare_digest(password.encode(), credentials.password.encode()):
        raise bad_credentials()
    name = credentials.username
    user = User(name, id=user_id(name), admin=True if name == ADMIN else None)
    token = call.service.tokens.issue(user, call.now_us)
    return json_reply(token) if call.media == JSON else Reply(200, token.encode(), TEXT)


def get_me(call: Call) -> Reply:
    """Return who the token makes the caller; the only way to learn that it was not accepted."""
    return json_reply(call.user)


def get_device_permissions(call: Call) -> Reply:
    """Return the caller's scopes on every device that allows any."""
    return _permissions(call.user, map(device_resource, call.state.devices()))


def get_gateway_permissions(call: Call) -> Reply:
    """Return the caller's scopes on every gateway that allows any."""
    return _permissions(call.user, map(gateway_resource, call.state.gateways()))


def _permissions(user: User, resources: Iterable[Resource]) -> Reply:
    listed = ((resource.id, permissions(user, resource)) for resource in resources)
    return json_reply([{"resource": name, "scopes": scopes} for name, scopes in listed if scopes])


ENDPOINTS = (
    Endpoint("POST", "auth/token", post_token, json=json_reader(Credentials), offers=(TEXT, JSON)),
    Endpoint("GET", "users/me", get_me),
    Endpoint("GET", "auth/permissions/devices", get_device_permissions),
    Endpoint("GET", "auth/permissions/gateways", get_gateway_permissions),
)
