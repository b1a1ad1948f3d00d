"""Look for values that people set on a WaziGate for devices.

What is seen for the first time is no command, however old it is.

Source: Waziup/wazigate-edge: edge/actuator.go, api/actuators.go.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import msgspec
from msgspec import Struct

from lora_post.sinks.watch import Setting, changed, look_at_each, read_actuators, seen_key
from lora_post.sinks.wazigate.client import WazigateClient, trouble
from lora_post.spool.facts import Facts


class _GateActuator(Struct, frozen=True):
    id: str
    time: object = None
    value: object = None


_decoder = msgspec.json.Decoder(list[_GateActuator] | None)


class GateSetValues:
    """The values of a WaziGate's actuators."""

    def __init__(self, client: WazigateClient, facts: Facts, every_s: float) -> None:
        """facts: the last values that were seen, with their times, by `device/actuator`."""
        self.every_s = every_s
        self._client = client
        self._facts = facts
        self._found: dict[str, str] = {}

    def look(self, devices: Sequence[str]) -> Iterator[Setting]:
        """Yield what was set since the last look. Raises SinkError, SpoolError."""
        return look_at_each(devices, self._look_at)

    def taken(self, setting: Setting) -> None:
        """Note that a value is on its way."""
        key = seen_key(setting.device, setting.actuator)
        self._facts.remember(key, self._found.pop(key))

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    def _look_at(self, device: str) -> list[Setting]:
        doing = f"looking at the actuators of {device}"
        answer = self._client.get_actuators(device)
        if answer.status == 404 and answer.body.startswith(b"device"):
            return []
        if answer.status != 200:
            raise trouble(doing, answer)
        listed = read_actuators(answer.body, _decoder, doing) or []
        actuators = {each.id: each for each in listed}
        seen = {each.id: json.dumps([each.time, each.value], sort_keys=True) for each in actuators.values()}
        found = []
        for actuator in changed(self._facts, device, seen):
            if actuators[actuator].value is not None:
                self._found[seen_key(device, actuator)] = seen[actuator]
                found.append(Setting(device, actuator, actuators[actuator].value))
        return found
