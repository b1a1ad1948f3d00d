"""What an `mqtt://` URL names."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from lora_post.errors import ConfigError

_URL = re.compile(r"mqtt(s?)://([^/?#\s]+)/([^?]*)(?:\?qos=([01]))?")
MAX_TOPIC = 65_535
EXAMPLE = "mqtt://me@broker.example:1883/application/+/device/+/event/up?qos=1"


class MqttAddress(Struct, frozen=True):
    """A topic filter at a broker."""

    host: str
    port: int
    topic: str
    qos: int
    tls: bool
    user: str


def read_mqtt_url(url: str) -> MqttAddress:
    """Read mqtt://USER@HOST:PORT/TOPIC?qos=1; `#` and `+` may stand as they are. Raises ConfigError."""
    found = _URL.fullmatch(url)
    if found is None:
        raise _mistake(url)
    tls, authority, topic, qos = found.groups()
    try:
        parts = urlsplit(f"mqtt://{authority}")
        host, port = parts.hostname or "", (8883 if tls else 1883) if parts.port is None else parts.port
        user, topic = unquote(parts.username or "", errors="strict"), unquote(topic, errors="strict")
    except ValueError:
        raise _mistake(url) from None
    if not host or not port or parts.password is not None or not _is_filter(topic):
        raise _mistake(url)
    return MqttAddress(host, port, topic, int(qos or 1), bool(tls), user)


def _is_filter(topic: str) -> bool:
    """Whether a broker takes this topic filter (MQTT 3.1.1, section 4.7)."""
    levels = topic.split("/")
    wild = all(level in ("+", "#") or not re.search("[+#]", level) for level in levels)
    return bool(topic) and wild and "#" not in levels[:-1] and "\0" not in topic and len(topic.encode()) <= MAX_TOPIC


def _mistake(url: str) -> ConfigError:
    return ConfigError(
        f"[[input]] url {without_password(url)!r} is not understood; write {EXAMPLE} (qos 0 or 1), the password as "
        "password, password_file or password_env"
    )


def without_password(url: str) -> str:
    """A URL that is a mistake, as it may be shown: without what stands between a colon and the last `@`."""
    return re.sub(r"(//[^/@:]*):.*@", r"\1@", url)
