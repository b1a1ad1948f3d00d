"""What the sink of [mqtt] needs: settings, the site, and batches of one sensor."""

from __future__ import annotations

import json

from msgspec.structs import replace

from lora_post.model import Device
from lora_post.net.mqtt_url import Broker
from lora_post.sinks.destination import DeviceBook, Site
from lora_post.sinks.mqtt import MqttConfig
from lora_post.spool.model import Batch, Lane
from tests.support.build import NOON_US

LANE = Lane(1, "pond-7", "temperature_3", "°C", "", 3)


def batch(*values: object, lane: Lane = LANE, start: int = 0) -> Batch:
    times = tuple(NOON_US + (start + index) * 1_000_000 for index in range(len(values)))
    return Batch(lane, times, tuple(json.dumps(value).encode() for value in values))


def settings(port: int, **changes: object) -> MqttConfig:
    own = {key: changes.pop(key) for key in ("topic", "retain", "discovery_prefix") if key in changes}
    broker = Broker("[mqtt]", "127.0.0.1", port, tls=False, username="", password=None, ca_file=None)
    config = MqttConfig(replace(broker, **changes), "lora/{device}/{sensor}", retain=False)
    return replace(config, **own)


def site(gateway_id: str, *devices: Device) -> Site:
    return Site(gateway_id, f"The {gateway_id}", "private", DeviceBook(devices))
