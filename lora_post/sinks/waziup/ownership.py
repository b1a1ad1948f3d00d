"""Say what to do about a gateway or device that is not this account's.

Ids are shared by all users of the platform. What was created without a token, or with one that was not believed,
belongs to `guest`: then everybody may change it, and take it over.

Source: Waziup/wazicloud-api: src/Waziup/{Auth,Devices,Gateways}.hs.
"""

from __future__ import annotations

from shlex import quote
from typing import Final

from lora_post.errors import Problem
from lora_post.sinks.waziup.client import RemoteGateway
from lora_post.sinks.waziup.commands import Commands
from lora_post.waziup.names import to_text

GUEST: Final = "guest"


def other_gateway(gateway: RemoteGateway, us: str, commands: Commands) -> Problem | None:
    """Return what is wrong about a gateway, None when it is this account's. us: its name on the server."""
    if gateway.owner == us:
        return None
    if gateway.owner == GUEST:
        command = commands.put_gateway_owner(gateway.id, us, as_guest=True)
        what = f"gateway {gateway.id} was created without a login and belongs to {GUEST}, not to {us}"
        return Problem(what, f"if it is yours, take it over: {command}")
    what = f"gateway {gateway.id} belongs to {to_text(gateway.owner or 'nobody')}, not to {us}"
    return Problem(what, "choose another [gateway] id")


def other_private_gateway(gateway_id: str) -> Problem:
    """Return what is wrong about a gateway that the server does not show us."""
    return Problem(f"gateway {gateway_id} is a private gateway of another account", "choose another [gateway] id")


def other_device(device_id: str, owner: str | None, us: str) -> Problem | None:
    """Return what is wrong about a device, None when it is this account's. us: its name on the server."""
    if owner == us:
        return None
    if owner == GUEST:
        what = f"device {device_id} was created without a login and belongs to {GUEST}, not to {us}"
        return Problem(what, f"if it is yours, take it over: lora-post spool take-over {quote(device_id)}")
    what = f"device {device_id} exists already and belongs to {to_text(owner or 'nobody')}, not to {us}"
    return Problem(what, _other_id(device_id))


def other_private_device(device_id: str) -> Problem:
    """Return what is wrong about a device that the server does not show us."""
    return Problem(f"device {device_id} is a private device of another account", _other_id(device_id))


def _other_id(device_id: str) -> str:
    return f"give it another id in the configuration, then: lora-post spool move {quote(device_id)} NEW-ID"
