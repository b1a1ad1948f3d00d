"""Look for values that people set on Waziup for devices.

The server keeps the last value of an actuator, without a time. One that differs from what was seen last is a command;
what is seen for the first time is not, however old it is.

Source: Waziup/wazicloud-api: src/Waziup/Actuators.hs, Types.hs.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec

from lora_post.sinks.announced import Announced
from lora_post.sinks.watch import Setting, Unreadable, changed, look_at_each, read_actuators, seen_key
from lora_post.sinks.waziup.client import RemoteActuator, WaziupClient, trouble
from lora_post.sinks.waziup.set_messages import SetMessages
from lora_post.spool.facts import Facts

ALL_EVERY_S: Final = 24 * 3600.0
"""Devices without an actuator are looked at so seldom: somebody may have added one."""
LOOK_EVERY_S: Final = 6 * 3600.0
"""Between looks while the broker tells of values."""
UNTOLD_EVERY_S: Final = 900.0
"""Between looks while it does not."""
_decoder: Final = msgspec.json.Decoder(list[RemoteActuator])


class SetValues:
    """The values of one account's devices."""

    def __init__(
        self,
        client: WaziupClient,
        facts: Facts,
        announced: Announced,
        every_s: float,
        monotonic: Callable[[], float] = time.monotonic,
        messages: SetMessages | None = None,
    ) -> None:
        """facts: the last values that were seen, by `device/actuator`. messages: tell of new ones; None: one looks."""
        self._messages = messages
        self._looked_at = 0.0
        self.every_s = every_s
        self._client = client
        self._facts = facts
        self._announced = announced
        self._monotonic = monotonic
        self._having: set[str] = set()
        self._all_at = 0.0

    def look(self, devices: Sequence[str]) -> Iterator[Setting]:
        """Yield what was set since the last look. Raises SinkError, SpoolError."""
        if self._messages is None:
            yield from self._look(devices)
            return
        is_new = self._messages.follow(devices)
        # The same value set once more is a command, too; by looking that cannot be seen.
        told = self._messages.taken()
        for setting in told:
            self._having.add(setting.device)
        yield from told
        every_s = LOOK_EVERY_S if self._messages.is_subscribed else UNTOLD_EVERY_S
        if not is_new and self._looked_at and self._monotonic() - self._looked_at < every_s:
            return
        self._looked_at = self._monotonic()
        known = {(each.device, each.actuator) for each in told}
        for setting in self._look(devices):
            if (setting.device, setting.actuator) not in known:
                yield setting

    def _look(self, devices: Sequence[str]) -> Iterator[Setting]:
        now = self._monotonic()
        is_all = not self._all_at or now - self._all_at >= ALL_EVERY_S
        looked_at = [each for each in devices if is_all or each in self._having or self._announced.of(each)]
        all_at = now if is_all else self._all_at
        try:
            yield from look_at_each(looked_at, self._look_at)
        except Unreadable:
            self._all_at = all_at
            raise
        self._all_at = all_at

    def taken(self, setting: Setting) -> None:
        """Note that a value is on its way."""
        self._facts.remember(seen_key(setting.device, setting.actuator), _text(setting.value))

    def close(self) -> None:
        """End the connection."""
        self._client.close()
        if self._messages:
            self._messages.close()

    def _look_at(self, device: str) -> list[Setting]:
        doing = f"looking at the actuators of {device}"
        answer = self._client.get_actuators(device)
        if answer.status in (403, 404):
            return []
        if answer.status != 200:
            raise trouble(doing, answer)
        listed = read_actuators(answer.body, _decoder, doing)
        values = {each.id: each.value for each in listed}
        if values:
            self._having.add(device)
        seen = {actuator: _text(value) for actuator, value in values.items()}
        found = changed(self._facts, device, seen)
        return [Setting(device, each, values[each]) for each in found if values[each] is not None]


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True)
