"""What is written to ChirpStack 4 and The Things Stack 3 over MQTT to send to a device, and what they say of it.

Sources: chirpstack/chirpstack: chirpstack/src/{config,downlink/data}.rs, api/proto/integration/integration.proto,
api/rust/build.rs (since when what is not known is ignored);
TheThingsNetwork/lorawan-stack: pkg/applicationserver/io/mqtt/topics/v3.go, api/ttn/lorawan/v3/messages.proto.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final

import msgspec
from msgspec import Struct

from lora_post.clocks.scale import utc_text
from lora_post.text import printable
from lora_post.times import WallUs

SERVERS: Final = ("chirpstack", "ttn")
"""The formats of network servers."""
_UUID: Final = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}").findall
_EUI: Final = re.compile(r"[0-9A-Fa-f]{16}", re.ASCII).fullmatch
_MAX_TOKENS: Final = 64
_MAX_WHY: Final = 200
_MARK: Final = "lora-post:"


class Item(Struct, frozen=True):
    """What a network server is given for a device. token: a UUID that it is known by there.

    over_at: when it is not to be sent any more; None where the server is not told.
    """

    dev_eui: int
    token: str
    fport: int
    payload: bytes
    is_confirmed: bool
    over_at: WallUs | None = None


class Said(Enum):
    """What a network server says of an item."""

    QUEUED = "queued there"
    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    TRIED_AGAIN = "not acknowledged, the network server sends it again"
    NOT_ACKNOWLEDGED = "not acknowledged"
    EXPIRED = "expired"
    FAILED = "refused"


class ServerEvent(Struct, frozen=True):
    """What a network server says. tokens: UUIDs that it names. why: in its words, for Said.FAILED."""

    dev_eui: int
    tokens: frozenset[str]
    said: Said
    why: str = ""


_TTN_SAID: Final = {
    "queued": Said.QUEUED,
    "sent": Said.SENT,
    "ack": Said.ACKNOWLEDGED,
    "nack": Said.TRIED_AGAIN,
    "failed": Said.FAILED,
}


def topics_beside(topic: str, server: str) -> Sequence[str]:
    """Return the topics on which a server tells of downlinks; none where the one of its uplinks has all."""
    if server == "chirpstack" and topic.endswith("/event/up"):
        base = topic.removesuffix("up")
        return [f"{base}txack", f"{base}ack", f"{base}log"]
    if server == "ttn" and topic.endswith("/up"):
        return [topic.removesuffix("up") + "down/+"]
    return ()


def topic_of_queue(topic: str, server: str) -> str:
    """Return the topic to publish at for the device of an uplink's topic, "" where that tells none."""
    if set(topic) & set("+#"):
        return ""
    if server == "chirpstack":
        return f"{topic.removesuffix('/event/up')}/command/down" if topic.endswith("/event/up") else ""
    return f"{topic.removesuffix('/up')}/down/push" if topic.endswith("/up") else ""


def queue_item(item: Item, server: str) -> bytes:
    """Return the message that puts an item into its device's queue.

    ChirpStack takes the end of its life from 4.13 on. Before 4.6 it refused what it does not know, so it is told only
    where somebody has set one. The Things Stack has none for class A.
    """
    data = binascii.b2a_base64(item.payload, newline=False).decode()
    if server == "chirpstack":
        queued = {
            "id": item.token,
            "devEui": f"{item.dev_eui:016x}",
            "confirmed": item.is_confirmed,
            "fPort": item.fport,
            "data": data,
        }
        return msgspec.json.encode(queued | ({"expiresAt": utc_text(item.over_at)} if item.over_at else {}))
    one = {
        "f_port": item.fport,
        "frm_payload": data,
        "confirmed": item.is_confirmed,
        "priority": "NORMAL",
        "correlation_ids": [_MARK + item.token],
    }
    return msgspec.json.encode({"downlinks": [one]})


def read_server_event(topic: str, body: bytes, server: str) -> ServerEvent | None:
    """Return what a message says of items; None when it says nothing, or is not JSON of this server."""
    kind = topic.rpartition("/")[2]
    try:
        event = msgspec.json.decode(body, type=dict[str, object])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    read: Callable[[str, dict[str, object]], tuple[object, Said, object] | None]
    read = _read_chirpstack if server == "chirpstack" else _read_ttn
    found = read(kind, event)
    if found is None:
        return None
    dev_eui, said, why = found
    tokens = frozenset(each.decode() for each in _UUID(body)[:_MAX_TOKENS])
    if not isinstance(dev_eui, str) or not _EUI(dev_eui) or not tokens:
        return None
    return ServerEvent(int(dev_eui, 16), tokens, said, printable(why)[:_MAX_WHY] if isinstance(why, str) else "")


def _read_chirpstack(kind: str, event: dict[str, object]) -> tuple[object, Said, object] | None:
    dev_eui = _dig(event, "deviceInfo", "devEui")
    if kind == "txack":
        return dev_eui, Said.SENT, ""
    if kind == "ack":  # what is false is left out
        return dev_eui, Said.ACKNOWLEDGED if event.get("acknowledged") is True else Said.NOT_ACKNOWLEDGED, ""
    if kind == "log" and event.get("level") == "ERROR" and event.get("code") == "EXPIRED":
        return dev_eui, Said.EXPIRED, ""
    if kind == "log" and event.get("level") == "ERROR":
        return dev_eui, Said.FAILED, f"{event.get('code', '')}: {event.get('description', '')}"
    return None


def _read_ttn(kind: str, event: dict[str, object]) -> tuple[object, Said, object] | None:
    said = _TTN_SAID.get(kind)
    if said is None:
        return None
    why = _dig(event, "downlink_failed", "error", "message_format")
    return _dig(event, "end_device_ids", "dev_eui"), said, why


def _dig(value: object, *keys: str) -> object:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
