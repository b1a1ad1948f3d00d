"""Create the actuators on Waziup that devices announce, each once.

Announcements are held in memory: devices repeat them. Whatever goes wrong over an actuator is logged and
tried again later, and never holds up a reading.

Source: Waziup/wazicloud-api: src/Waziup/Actuators.hs.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

import msgspec

from lora_post.errors import SinkError
from lora_post.model import Actuator
from lora_post.sinks.announced import Announced
from lora_post.sinks.waziup.client import ActuatorBody, RemoteDevice, WaziupClient
from lora_post.spool.facts import Facts
from lora_post.waziup.names import to_text

log = logging.getLogger(__name__)

AGAIN_AFTER_S = 600.0


class ActuatorEntries:
    """Creates the actuators of devices that are there and belong to this account."""

    def __init__(self, client: WaziupClient, facts: Facts, announced: Announced) -> None:
        self._client = client
        self._facts = facts
        self._announced = announced
        self._not_before: dict[str, float] = {}

    def declare(self, device_id: str) -> None:
        """Create what is missing of a device; never raises over it."""
        wanted = {
            each: actuator
            for each, actuator in self._announced.of(device_id).items()
            if _key(device_id, each) not in self._facts.recall()
        }
        if not wanted or time.monotonic() < self._not_before.get(device_id, 0.0):
            return
        self._not_before[device_id] = time.monotonic() + AGAIN_AFTER_S
        try:
            taken = self._taken(device_id)
            for actuator_id, actuator in wanted.items():
                # Creating one that exists would overwrite it with its value; a sensor of that name, too.
                if actuator_id in taken or self._create(device_id, actuator_id, actuator):
                    self._facts.remember(_key(device_id, actuator_id), "there")
        except (SinkError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            log.warning("device=%s: its actuators are not declared yet: %s", device_id, error)

    def _taken(self, device_id: str) -> Sequence[str]:
        answer = self._client.get_device(device_id)
        if answer.status != 200:
            raise SinkError(f"looking for the device: status {answer.status}: {answer.text}")
        device = msgspec.json.decode(answer.body, type=RemoteDevice)
        return [each.id for each in device.sensors] + [each.id for each in device.actuators]

    def _create(self, device_id: str, actuator_id: str, actuator: Actuator) -> bool:
        """Create an actuator; return whether it is there now."""
        body = ActuatorBody(actuator_id, to_text(actuator.name), actuator.kind or None, actuator.value_type)
        answer = self._client.post_actuator(device_id, body)
        if answer.status == 204:
            log.info("actuator created device=%s actuator=%s", device_id, actuator_id)
            return True
        log.warning(
            "actuator %s of %s is not created: status %d: %s", actuator_id, device_id, answer.status, answer.text
        )
        return False


def _key(device_id: str, actuator_id: str) -> str:
    return f"actuator {device_id} {actuator_id}"
