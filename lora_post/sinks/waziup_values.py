"""A lane's readings in Waziup's words: sensor id, kinds and unit, JSON values."""

from __future__ import annotations

import msgspec

from lora_post.clocks.scale import short_utc_text
from lora_post.spool.model import Batch, Lane
from lora_post.waziup.kinds import SensorKind, describe, to_waziup_value
from lora_post.waziup.names import to_value


def kind_of(lane: Lane) -> SensorKind:
    """Return what Waziup calls such a sensor."""
    return describe(lane.name, lane.unit, lane.quantity, lane.channel)


def wire_value(value: bytes, factor: float) -> bytes:
    """Return a queued JSON value as the server gets it; plain numbers are not even parsed."""
    if factor == 1 and value[0] in b"-0123456789tf":
        return value
    return msgspec.json.encode(to_waziup_value(to_value(msgspec.json.decode(value)), factor))


def value_objects(batch: Batch) -> list[bytes]:
    """Return a batch as the `{"value","timestamp"}` objects of Waziup, over HTTP and MQTT alike."""
    factor = kind_of(batch.lane).factor
    return [
        b'{"value":%b,"timestamp":"%b"}' % (wire_value(value, factor), short_utc_text(time).encode())
        for time, value in zip(batch.times_us, batch.values, strict=True)
    ]
