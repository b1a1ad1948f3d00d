"""Write shell commands for changes on Waziup that only their owner may make.

They are made to be pasted; of the account's password they hold the word PASSWORD.

Source: Waziup/wazicloud-api: src/Waziup/{API,Devices,Gateways}.hs.
"""

from __future__ import annotations

from collections.abc import Sequence
from shlex import join

import msgspec

from lora_post.net.http_client import quote_part

_JSON = "Content-Type: application/json"


class Commands:
    """Commands to one server. username: of the account that is to act there."""

    def __init__(self, base_url: str, username: str) -> None:
        self._base = base_url.rstrip("/")
        self._username = username

    def put_device_visibility(self, device_id: str, visibility: str) -> str:
        """Return the command that makes a device private or public."""
        return self._as_user(_put(f"{self._base}/devices/{quote_part(device_id)}/visibility", visibility))

    def put_gateway_owner(self, gateway_id: str, owner: str, *, as_guest: bool) -> str:
        """Return the command that gives a gateway to an account; it is private then.

        as_guest: it is guest's, so no login is needed.
        """
        command = _put(f"{self._base}/gateways/{quote_part(gateway_id)}/owner", owner)
        return join(command) if as_guest else self._as_user(command)

    def delete_gateway(self, gateway_id: str) -> str:
        """Return the command that deletes a gateway; its devices stay."""
        return self._as_user(["curl", "-X", "DELETE", f"{self._base}/gateways/{quote_part(gateway_id)}"])

    def _as_user(self, command: Sequence[str]) -> str:
        login = _body({"username": self._username, "password": "PASSWORD"})
        token = join(["curl", "-s", f"{self._base}/auth/token", "-H", _JSON, "-d", login])
        return f'{join(command)} -H "Authorization: Bearer $({token})"'


def _put(url: str, value: str) -> list[str]:
    return ["curl", "-X", "PUT", url, "-H", _JSON, "-d", _body(value)]


def _body(value: object) -> str:
    return msgspec.json.encode(value).decode()
