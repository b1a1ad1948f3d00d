"""Destinations: one file or folder each, and a line in `SINKS`.

How to add one: docs/add-a-destination.md.
"""

from __future__ import annotations

from typing import Any

from lora_post.sinks.destination import Destination
from lora_post.sinks.json_lines import JSON_LINES
from lora_post.sinks.mqtt import MQTT
from lora_post.sinks.wazigate import WAZIGATE
from lora_post.sinks.waziup import WAZIUP

SINKS: dict[str, Destination[Any, Any]] = {
    "waziup": WAZIUP,
    "wazigate": WAZIGATE,
    "mqtt": MQTT,
    "json_lines": JSON_LINES,
}
"""By the name of the table in the configuration, which is also the name of the queue in the spool."""
