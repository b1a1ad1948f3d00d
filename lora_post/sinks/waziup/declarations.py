"""Remember what of the declarations of devices was carried over."""

from __future__ import annotations

import logging
from functools import partial

from lora_post.sinks.destination import DeviceBook
from lora_post.sinks.waziup.client import RemoteDevice, WaziupClient
from lora_post.sinks.waziup.commands import Commands
from lora_post.sinks.waziup.declaration import Declaration, carry_over, declaration
from lora_post.sinks.waziup.visibility import wrong_device
from lora_post.spool.facts import Facts

log = logging.getLogger(__name__)


class Declarations:
    """What the configuration says of its devices. Of others there is nothing to carry over."""

    def __init__(self, client: WaziupClient, facts: Facts, devices: DeviceBook) -> None:
        self._client = client
        self._facts = facts
        self._commands = Commands(client.base_url, client.account.username if client.account else "")
        self._devices = devices
        self._told: set[str] = set()

    def is_changed(self, device_id: str) -> bool:
        """Return whether the configuration says something else of a device than was last carried over."""
        wanted = self._wanted(device_id)
        return wanted is not None and self._facts.recall().get(_carried(device_id)) != wanted.text

    def carry_over(self, device: RemoteDevice) -> bool:
        """Carry over what has changed, and tell once of another visibility; return False when it is to be tried again.

        Raises SpoolError, and nothing over what a server does.
        """
        wanted = self._wanted(device.id)
        if wanted is None:
            return True
        problem = wrong_device(device, wanted.visibility, self._commands)
        if problem and device.id not in self._told:
            self._told.add(device.id)
            log.warning("%s", problem)
        noted = self._facts.recall().get(_carried(device.id), "")
        if not carry_over(wanted, noted, device, partial(self._client.put_device, device.id)):
            return False
        if noted != wanted.text:
            self._facts.remember(_carried(device.id), wanted.text)
        return True

    def _wanted(self, device_id: str) -> Declaration | None:
        device = self._devices.get(device_id)
        return declaration(device.id, device.name, device.visibility, device.location) if device else None


def _carried(device_id: str) -> str:
    return f"carried over {device_id}"
