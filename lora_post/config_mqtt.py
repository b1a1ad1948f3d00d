"""The [mqtt] table → a broker of one's own, and what messages are called there."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct

from lora_post.config_reader import TableReader
from lora_post.config_tables import MqttTable
from lora_post.secret import Secret

PORTS = {"mqtt": 1883, "mqtts": 8883}
WORDS = ("gateway", "device", "sensor")
MAX_TOPIC = 256

_WORD = re.compile(r"\{(\w*)\}")


class MqttConfig(Struct, frozen=True):
    """topic: with {gateway}, {device} and {sensor} still in it. ca_file: None for the system's authorities."""

    url: str
    host: str
    port: int
    tls: bool
    topic: str
    retain: bool
    username: str
    password: Secret | None
    ca_file: Path | None


def read_mqtt(reader: TableReader) -> MqttConfig | None:
    """The [mqtt] table, None when there is none."""
    table = reader.table("mqtt", MqttTable)
    if table is None:
        return None
    scheme, host, port = _address(reader, table.url)
    _check_topic(reader, table.topic)
    password = reader.secret("[mqtt]", "password", table)
    if password and not table.username:
        reader.mistakes.append("[mqtt] has a password and no username; give both, or neither")
    if password and scheme == "mqtt" and not re.fullmatch(r"127\..*|localhost|::1", host):
        reader.warnings.append("[mqtt] url starts with mqtt://, so the password travels in clear; use mqtts://")
    if table.ca_file and scheme != "mqtts":
        reader.mistakes.append("[mqtt] ca_file is for mqtts:// only; correct [mqtt] url, or take ca_file out")
    ca_file = reader.folder / table.ca_file if table.ca_file else None
    if ca_file and not ca_file.is_file():
        reader.mistakes.append(f"[mqtt] ca_file: there is no file {ca_file}; name the authority's certificate (PEM)")
    return MqttConfig(
        table.url, host, port, scheme == "mqtts", table.topic, table.retain, table.username, password, ca_file
    )


def _address(reader: TableReader, url: str) -> tuple[str, str, int]:
    """Scheme, host and port."""
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS.get(parts.scheme, 0)
    except ValueError:
        parts, port = urlsplit(""), 0
    if not parts.hostname or not port or parts.path.strip("/") or parts.query:
        reader.mistakes.append(
            f'[mqtt] url is {_shown(url)!r}; it must be like "mqtt://192.168.1.10" or "mqtts://broker.example.org:8883"'
        )
    elif parts.username or parts.password:
        reader.mistakes.append("[mqtt] url holds a user; give username and password_file instead")
    return parts.scheme, parts.hostname or "", port


def _shown(url: str) -> str:
    """Without what may be a password."""
    return re.sub(r"//[^/]*@", "//…@", url)


def _check_topic(reader: TableReader, topic: str) -> None:
    for word in _WORD.findall(topic):
        if word not in WORDS:
            known = ", ".join(f"{{{each}}}" for each in WORDS)
            reader.mistakes.append(f"[mqtt] topic has {{{word}}}; known are {known}")
    rest = _WORD.sub("x", topic)
    if not rest or len(rest) > MAX_TOPIC or re.search(r"[+#{}\x00-\x1f\x7f]", rest) or rest[0] in "$/":
        reader.mistakes.append(
            f"[mqtt] topic is {topic!r}; it must be 1 to {MAX_TOPIC} characters without '+' and '#', "
            "and not begin with '$' or '/'"
        )
