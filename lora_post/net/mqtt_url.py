"""Read `mqtt://` URLs: a broker, and for inputs a topic filter there."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from lora_post.errors import ConfigError
from lora_post.net.hosts import is_this_machine
from lora_post.secret import Secret

PORT = 1883
TLS_PORT = 8883
MAX_TOPIC = 65_535
EXAMPLE = "mqtt://me@broker.example:1883/application/+/device/+/event/up?qos=1"

_URL = re.compile(r"mqtt(s?)://([^/?#\s]+)(?:/([^?]*))?(?:\?qos=([01]))?")


class MqttAddress(Struct, frozen=True):
    """A topic filter at a broker; topic and user "" where the URL names none."""

    host: str
    port: int
    topic: str
    qos: int
    tls: bool
    user: str


class Broker(Struct, frozen=True):
    """A broker that readings go to, and our account there.

    username "": none. ca_file: None for the system's authorities. table: where all this is configured.
    """

    table: str
    host: str
    port: int
    tls: bool
    username: str
    password: Secret | None
    ca_file: Path | None

    @property
    def is_local(self) -> bool:
        """Return whether what is sent there stays on this machine."""
        return is_this_machine(self.host)


def read_mqtt_url(url: str) -> MqttAddress:
    """Read mqtt://USER@HOST:PORT/TOPIC?qos=1, `#` and `+` not quoted. Raises ConfigError."""
    address = _parse(url)
    if address is None or not _is_filter(address.topic):
        raise ConfigError(
            f"[[input]] url {without_password(url)!r} is not understood",
            fix=f"write {EXAMPLE} (qos 0 or 1), the password as password, password_file or password_env",
        )
    return address


def read_broker_url(place: str, url: str) -> MqttAddress:
    """Read mqtt://HOST:PORT, where `place` is the key that holds it. Raises ConfigError."""
    if re.match(r"mqtts?://[^/]*@", url):
        raise ConfigError(f"{place} holds a user", fix="give username and password_file instead")
    address = _parse(url)
    if address is None or address.topic or "?" in url:
        raise ConfigError(
            f"{place} is {without_password(url)!r}",
            fix='it must be like "mqtt://192.168.1.10" or "mqtts://broker.example.org:8883"',
        )
    return address


def without_password(url: str) -> str:
    """Return a wrong URL as it may be shown: without what is between a colon and the last `@`."""
    return re.sub(r"(//[^/@:]*):.*@", r"\1@", url)


def _parse(url: str) -> MqttAddress | None:
    """Return what a URL names; None for another kind of URL, and for one with a password."""
    found = _URL.fullmatch(url)
    if found is None:
        return None
    tls, authority, topic, qos = found.groups()
    try:
        parts = urlsplit(f"mqtt://{authority}")
        port = (TLS_PORT if tls else PORT) if parts.port is None else parts.port
        user, topic = unquote(parts.username or "", errors="strict"), unquote(topic or "", errors="strict")
    except ValueError:
        return None
    if not parts.hostname or not port or parts.password is not None:
        return None
    return MqttAddress(parts.hostname, port, topic, int(qos or 1), bool(tls), user)


def _is_filter(topic: str) -> bool:
    """Return whether a broker takes this topic filter (MQTT 3.1.1, section 4.7)."""
    levels = topic.split("/")
    wild = all(level in ("+", "#") or not re.search("[+#]", level) for level in levels)
    return bool(topic) and wild and "#" not in levels[:-1] and "\0" not in topic and len(topic.encode()) <= MAX_TOPIC
