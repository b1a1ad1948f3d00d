"""Change the units of sensors on Waziup when they have changed here.

A unit that a person has set on the dashboard in the meantime stays.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from lora_post.sinks.waziup.client import RemoteDevice, SensorBody, WaziupClient
from lora_post.spool.facts import Facts
from lora_post.spool.model import Lane
from lora_post.spool.unit_change import NO_UNIT, fact_of, subject_of
from lora_post.waziup.names import to_id

log = logging.getLogger(__name__)

_SUBJECT = subject_of("waziup")


class NewUnits:
    """What the queue has noted of new units, and the units that lanes had when they were last sent."""

    def __init__(self, client: WaziupClient, facts_of: Callable[[str], Facts]) -> None:
        self._client = client
        self._facts_of = facts_of
        self._at_start = set(facts_of(_SUBJECT).recall())
        self._sent: dict[int, int] = {}

    def is_new(self, lane: Lane) -> bool:
        """Tell whether a lane has another unit than when it was carried over, or asked for first."""
        label = hash((lane.unit, lane.quantity))
        if lane.id not in self._sent and fact_of(lane.device, to_id(lane.name)) not in self._at_start:
            self._sent[lane.id] = label
        return self._sent.get(lane.id) != label

    def carry_over(self, device: RemoteDevice, sensors: Iterable[SensorBody], lane: Lane) -> None:
        """Change on Waziup what was noted of these sensors of a device. Raises SinkError."""
        facts = self._facts_of(_SUBJECT)  # read anew: the queue writes them
        there = {sensor.id: sensor for sensor in device.sensors}
        for sensor in sensors:
            fact = fact_of(device.id, sensor.id)
            before = facts.recall().get(fact)
            if before is None:
                continue
            remote = there.get(sensor.id)
            if remote is not None and (remote.unit or NO_UNIT) == before:
                self._change(device.id, sensor)
            facts.forget(fact)
        self._sent[lane.id] = hash((lane.unit, lane.quantity))

    def _change(self, device_id: str, sensor: SensorBody) -> None:
        for field in ("sensor_kind", "quantity_kind", "unit"):
            value = getattr(sensor, field)
            if value is None:
                continue
            answer = self._client.put_sensor(device_id, sensor.id, field, value)
            if answer.status != 204:
                log.warning(
                    "sensor %s of %s: its %s is not changed on Waziup: status %d: %s",
                    *(sensor.id, device_id, field, answer.status, answer.text),
                )
                return
        log.info("sensor %s of %s: unit %s on Waziup now", sensor.id, device_id, sensor.unit)
