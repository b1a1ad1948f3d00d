"""Find gateways and devices that Waziup shows to others than configured.

lora-post sets the visibility of what it creates, and changes no other: a person may have changed it on the dashboard.

Source: Waziup/wazicloud-api: src/Waziup/{Auth,Gateways}.hs.
"""

from __future__ import annotations

from typing import Final

from lora_post.errors import Problem
from lora_post.sinks.waziup.client import RemoteDevice, RemoteGateway
from lora_post.sinks.waziup.commands import Commands

PRIVATE: Final = "private"
PUBLIC: Final = "public"
_MEANS: Final = {PUBLIC: "anybody may read it", PRIVATE: "only its owner sees it"}


def shown(visibility: str | None) -> str:
    """Return the visibility that counts: only "private" is private."""
    return PRIVATE if visibility == PRIVATE else PUBLIC


def wrong_device(device: RemoteDevice, wanted: str, commands: Commands) -> Problem | None:
    """Return what is wrong about the visibility of a device, None when it is as wanted."""
    if shown(device.visibility) == wanted:
        return None
    text = _text("device", device.id, device.visibility, wanted)
    return Problem(text, f"run: {commands.put_device_visibility(device.id, wanted)}")


def wrong_gateway(gateway: RemoteGateway, wanted: str, us: str, commands: Commands) -> Problem | None:
    """Return what is wrong about the visibility of a gateway, None when it is as wanted. us: the account's name there.

    Waziup has no way to set it. A gateway that gets an owner becomes private; one that is declared anew, as wanted.
    """
    if shown(gateway.visibility) == wanted:
        return None
    text = _text("gateway", gateway.id, gateway.visibility, wanted)
    if wanted == PRIVATE:
        return Problem(text, f"run: {commands.put_gateway_owner(gateway.id, us, as_guest=False)}")
    return Problem(text, f"lora-post declares it anew after: {commands.delete_gateway(gateway.id)}")


def _text(noun: str, name: str, visibility: str | None, wanted: str) -> str:
    is_ = shown(visibility)
    return f"{noun} {name} is {is_} on Waziup ({_MEANS[is_]}), and {wanted} in the configuration"
