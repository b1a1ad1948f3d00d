"""The [mqtt] table → a broker of one's own, and what messages are called there."""

from __future__ import annotations

import re

from msgspec import Struct

from lora_post.config.tables import MqttTable
from lora_post.net.mqtt_url import Broker
from lora_post.toml_table import TableReader

WORDS = ("gateway", "device", "sensor")
MAX_TOPIC = 256

_WORD = re.compile(r"\{(\w*)\}")


class MqttConfig(Struct, frozen=True):
    """topic: with {gateway}, {device} and {sensor} still in it."""

    url: str
    broker: Broker
    topic: str
    retain: bool


def read_mqtt(reader: TableReader) -> MqttConfig | None:
    """The [mqtt] table, None when there is none."""
    table = reader.table("mqtt", MqttTable)
    if table is None:
        return None
    address = reader.broker_address("[mqtt] url", table.url)
    _check_topic(reader, table.topic)
    password = reader.secret("[mqtt]", "password", table)
    if password and not table.username:
        reader.refuse("[mqtt] has a password and no username", "give both, or neither")
    if table.ca_file and not table.url.startswith("mqtts:"):
        reader.refuse("[mqtt] ca_file is for mqtts:// only", "correct [mqtt] url, or take ca_file out")
    ca_file = reader.folder / table.ca_file if table.ca_file else None
    if ca_file and not ca_file.is_file():
        reader.refuse(f"[mqtt] ca_file: there is no file {ca_file}", "name the authority's certificate (PEM)")
    broker = Broker("[mqtt]", address.host, address.port, address.tls, table.username, password, ca_file)
    if password and not broker.tls and not broker.is_local:
        reader.warn("[mqtt] url starts with mqtt://, so the password travels in clear", "use mqtts://")
    return MqttConfig(table.url, broker, table.topic, table.retain)


def _check_topic(reader: TableReader, topic: str) -> None:
    for word in _WORD.findall(topic):
        if word not in WORDS:
            known = ", ".join(f"{{{each}}}" for each in WORDS)
            reader.refuse(f"[mqtt] topic has {{{word}}}", f"known are {known}")
    rest = _WORD.sub("x", topic)
    if not rest or len(rest) > MAX_TOPIC or re.search(r"[+#{}\x00-\x1f\x7f]", rest) or rest[0] in "$/":
        reader.refuse(
            f"[mqtt] topic is {topic!r}",
            f"it must be 1 to {MAX_TOPIC} characters without '+' and '#', and not begin with '$' or '/'",
        )
