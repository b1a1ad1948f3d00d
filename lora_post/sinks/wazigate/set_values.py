"""Values that people set on a WaziGate for devices, found by looking; each has the time when it was set.

What is seen for the first time is no command, however old it is.

Source: Waziup/wazigate-edge: edge/actuator.go, api/actuators.go.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from lora_post.sinks.watch import Setting, Unreadable, look_at_each
from lora_post.sinks.wazigate.client import WazigateClient, trouble
from lora_post.spool.facts import Facts

MAX_VALUE: Final = 1000
"""Characters of the JSON of a value: no frame holds more."""


class _GateActuator(Struct, frozen=True):
    id: str
    time: object = None
    value: object = None


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
        key = f"{setting.device}/{setting.actuator}"
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
        try:
            actuators = msgspec.json.decode(answer.body, type=list[_GateActuator] | None) or []
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Unreadable(f"{doing}: no list of them: {error}") from error
        found = []
        for actuator in {each.id: each for each in actuators}.values():
            key, text = f"{device}/{actuator.id}", json.dumps([actuator.time, actuator.value], sort_keys=True)
            known = self._facts.recall().get(key)
            if known is None:
                self._facts.remember(key, text)
            elif known != text and actuator.value is not None and len(text) <= MAX_VALUE:
                self._found[key] = text
                found.append(Setting(device, actuator.id, actuator.value))
        return found
