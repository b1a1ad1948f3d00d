"""Write a reading as one JSON object on one line.

    {"device":"pond-7","sensor":"temperature_3","value":27.2,"unit":"°C","quantity":"Temperature","time":"2026-03-01T12:00:00Z"}

sensor: the id that it has on Waziup. unit: of the value, null for none. quantity: of Waziup's list.
time: of the measurement, UTC; device, sensor and time together occur once. Keys may be added, these stay.
"""

from __future__ import annotations

import msgspec

from lora_post.clocks.scale import utc_text
from lora_post.spool.model import Batch
from lora_post.text import escaped_json
from lora_post.waziup.kinds import describe
from lora_post.waziup.names import to_id

FIRST_KEY = b'{"device":'


def reading_objects(batch: Batch) -> list[bytes]:
    """Return the objects of a batch, without line ends and control characters."""
    lane = batch.lane
    kind = describe(lane.name, lane.unit, lane.quantity, lane.channel)
    return [
        escaped_json(
            msgspec.json.encode(
                {
                    "device": lane.device,
                    "sensor": to_id(lane.name),
                    "value": msgspec.Raw(value),
                    "unit": lane.unit or None,
                    "quantity": kind.quantity,
                    "time": utc_text(time),
                }
            )
        ).encode()
        for time, value in zip(batch.times_us, batch.values, strict=True)
    ]
