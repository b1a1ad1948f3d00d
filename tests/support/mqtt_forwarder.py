"""A gateway with ChirpStack's MQTT forwarder: it publishes what it hears, and obeys commands, in JSON or protobuf."""

from __future__ import annotations

from base64 import b64decode, b64encode
from queue import Queue
from typing import Any

import msgspec
import paho.mqtt.client as mqtt
from google.protobuf import json_format
from paho.mqtt.enums import CallbackAPIVersion

from lora_post.formats.gateway_events import _POOL, new_message
from tests.support.command import PATIENCE_S

EUI = "0016c001f1500812"


class MqttForwarder:
    def __init__(self, port: int, *, json: bool, prefix: str = "eu868") -> None:
        self.json, self.base = json, f"{prefix}/gateway/{EUI}"
        self._commands: Queue[bytes] = Queue()
        ready: Queue[None] = Queue()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, reconnect_on_failure=False)
        self._client.on_message = lambda _, __, message: self._commands.put(message.payload)
        self._client.on_subscribe = lambda *_: ready.put(None)
        self._client.connect("127.0.0.1", port)
        self._client.subscribe(f"{self.base}/command/+", 1)
        self._client.loop_start()
        ready.get(timeout=PATIENCE_S)

    def __enter__(self) -> MqttForwarder:
        return self

    def __exit__(self, *exc: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def event(self, kind: str, name: str, fields: dict[str, Any]) -> None:
        """Publish an event. fields: as JSON has them."""
        body = msgspec.json.encode(fields)
        if not self.json:
            body = json_format.Parse(body, new_message(name), descriptor_pool=_POOL).SerializeToString()
        self._client.publish(f"{self.base}/event/{kind}", body, 1).wait_for_publish(PATIENCE_S)

    def push(self, phy: bytes, tmst: int, **rx: Any) -> None:
        lora = {"bandwidth": 125_000, "spreadingFactor": 7, "codeRate": "CR_4_5"}
        context = b64encode((tmst % 2**32).to_bytes(4)).decode()
        heard = {"gatewayId": EUI, "rssi": -60, "snr": 8.5, "context": context, "crcStatus": "CRC_OK", **rx}
        tx = {"frequency": 868_100_000, "modulation": {"lora": lora}}
        self.event("up", "UplinkFrame", {"phyPayload": b64encode(phy).decode(), "txInfo": tx, "rxInfo": heard})

    def command(self, *statuses: str) -> dict[str, Any]:
        """Wait for a command; return it as JSON has it, and tell what became of each of its windows."""
        body = self._commands.get(timeout=PATIENCE_S)
        assert body.startswith(b"{") == self.json
        message = new_message("DownlinkFrame")
        if self.json:
            json_format.Parse(body, message, descriptor_pool=_POOL)
        else:
            message.ParseFromString(body)
        found: dict[str, Any] = msgspec.json.decode(json_format.MessageToJson(message))
        if statuses:
            items = [{"status": status} for status in statuses]
            acked = {"gatewayId": EUI, "downlinkId": found["downlinkId"], "items": items}
            self.event("ack", "DownlinkTxAck", acked)
        return found


def pdu(command: dict[str, Any]) -> bytes:
    return b64decode(command["items"][0]["phyPayload"])
