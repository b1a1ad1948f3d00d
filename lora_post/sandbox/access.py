"""Users, and who may do what.

Source: Waziup/wazicloud-api: src/Waziup/Auth.hs, Types.hs.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from lora_post.sandbox.errors import forbidden

GUEST = "guest"


class User(Struct, frozen=True, omit_defaults=True):
    """Who is asking; also the answer of GET /users/me."""

    username: str
    id: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    admin: bool | None = None


GUEST_USER = User(GUEST, first_name=GUEST, last_name=GUEST, admin=False)


class Scope(StrEnum):
    """What can be allowed on a device or a gateway; create is open to everybody."""

    UPDATE = "update"
    VIEW = "view"
    DELETE = "delete"
    DATA_CREATE = "data:create"
    DATA_VIEW = "data:view"


DEVICE_SCOPES = {
    Scope.UPDATE: "devices:update",
    Scope.VIEW: "devices:view",
    Scope.DELETE: "devices:delete",
    Scope.DATA_CREATE: "devices-data:create",
    Scope.DATA_VIEW: "devices-data:view",
}
GATEWAY_SCOPES = {
    Scope.UPDATE: "gateways:update",
    Scope.VIEW: "gateways:view",
    Scope.DELETE: "gateways:delete",
}
_OPEN_TO_PUBLIC = frozenset({Scope.VIEW, Scope.DATA_CREATE, Scope.DATA_VIEW})


class Resource(Struct, frozen=True):
    """What permissions are about. noun: device or gateway; owner None: only an admin may change it."""

    noun: str
    id: str
    owner: str | None
    private: bool


def denials(user: User, resource: Resource, scope: Scope) -> list[str]:
    """Return why the user may not, one text for each rule that could have allowed it; empty: allowed."""
    if user.admin or user.username == resource.owner:
        return []
    if scope not in _OPEN_TO_PUBLIC:
        return ["You are not admin", f"not owner of the {resource.noun}"]
    if not resource.private:
        return []
    return ["You are not admin", f"not owner of the {resource.noun}", f"this {resource.noun} is private"]


def demand(user: User, resource: Resource, *scopes: Scope) -> None:
    """Raise the 403 of the first scope that the user does not have."""
    for scope in scopes:
        causes = denials(user, resource, scope)
        if causes:
            raise forbidden(resource.noun, resource.id, causes)


def permissions(user: User, resource: Resource) -> list[str]:
    """Return the scopes that the user has, in the server's words."""
    names = DEVICE_SCOPES if resource.noun == "device" else GATEWAY_SCOPES
    return [name for scope, name in names.items() if not denials(user, resource, scope)]
