"""Commands for a shell that change what only its owner may change on Waziup, and lora-post leaves to a person.

Source: Waziup/wazicloud-api: src/Waziup/{Devices,Gateways}.hs.
"""

from __future__ import annotations

import shlex

import msgspec

from lora_post.net.http_client import quote_part


def put_gateway_owner(base_url: str, gateway_id: str, owner: str) -> str:
    """Return the command that gives a gateway of `guest` to an account; it is private then."""
    url = f"{base_url}/gateways/{quote_part(gateway_id)}/owner"
    body = msgspec.json.encode(owner).decode()
    return shlex.join(["curl", "-X", "PUT", url, "-H", "Content-Type: application/json", "-d", body])
