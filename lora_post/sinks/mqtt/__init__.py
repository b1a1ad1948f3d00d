"""Publish readings at an MQTT broker, one message each."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from lora_post.net.mqtt_url import Broker
from lora_post.sinks.destination import Destination, NeededFile, SinkContext, Site
from lora_post.sinks.finding import Finding
from lora_post.sinks.sink import Sink
from lora_post.toml_table import TableReader

WORDS = ("gateway", "device", "sensor")
MAX_TOPIC = 256
DISCOVERY_PREFIX = "homeassistant"  # Home Assistant's default

_WORD = re.compile(r"\{(\w*)\}")


class MqttTable(Struct, frozen=True, forbid_unknown_fields=True):
    """[A broker of your own](destinations.md#mqtt) that gets one message a reading.

    url: `mqtt://HOST` (port 1883), `mqtts://HOST` (TLS, port 8883), `mqtt(s)://HOST:PORT`.
    topic: With `{gateway}`, `{device}`, `{sensor}`; 1 to 256 characters.
    retain: The broker keeps the last message of each topic.
    home_assistant: Sensors appear in [Home Assistant](destinations.md#home-assistant), and `retain` is on. A text is
        another discovery prefix.
    username: If the broker wants one.
    password: Of `username`.
    ca_file: With `mqtts://`: the authority (PEM) of the broker's certificate. Default: this system's.
    """

    url: str
    topic: str = "lora/{device}/{sensor}"
    retain: bool = False
    home_assistant: bool | str = False
    username: str = ""
    password: str = ""
    password_file: str = ""
    password_env: str = ""
    ca_file: str = ""


class MqttConfig(Struct, frozen=True):
    """topic: with {gateway}, {device} and {sensor} still in it. discovery_prefix: Home Assistant's, "" for none."""

    broker: Broker
    topic: str
    retain: bool
    discovery_prefix: str = ""


def _read(reader: TableReader, table: MqttTable) -> MqttConfig:
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
    prefix = _discovery_prefix(reader, table)
    return MqttConfig(broker, table.topic, table.retain or bool(prefix), prefix)


def _discovery_prefix(reader: TableReader, table: MqttTable) -> str:
    """Return Home Assistant's discovery prefix, "" where it is to know nothing."""
    prefix = table.home_assistant
    if isinstance(prefix, bool):
        prefix = DISCOVERY_PREFIX if prefix else ""
    elif not re.fullmatch(r"[A-Za-z0-9_-]+(?:/[A-Za-z0-9_-]+)*", prefix) or len(prefix) > MAX_TOPIC:
        reader.refuse(
            f"[mqtt] home_assistant is {prefix!r}", 'it must be true, false, or a discovery prefix as "homeassistant"'
        )
    if prefix and not {"device", "sensor"} <= set(_WORD.findall(table.topic)):
        reader.refuse(
            "[mqtt] home_assistant is on, and topic is the same for several sensors",
            "put {device} and {sensor} into [mqtt] topic",
        )
    return prefix


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


def _open(config: MqttConfig, context: SinkContext) -> Sink:
    from lora_post.sinks.mqtt.sink import MqttSink

    return MqttSink(config, context.site)


def _check(config: MqttConfig, site: Site) -> Iterator[Finding]:
    from lora_post.sinks.mqtt_connection import check_broker

    yield check_broker("mqtt", "[mqtt] url", config.broker, site.gateway_id)


def _files(config: MqttConfig) -> list[NeededFile]:
    path = config.broker.ca_file
    return [NeededFile("[mqtt] ca_file", path, is_written=False)] if path else []


MQTT = Destination(MqttTable, _read, _open, _check, remote=("mqtt",), files=_files)
