"""Send readings to Waziup Cloud over HTTP and MQTT, and create what is missing there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from lora_post.net.hosts import is_this_machine
from lora_post.net.mqtt_url import Broker
from lora_post.secret import Account
from lora_post.sinks.destination import Destination, SinkContext, Site
from lora_post.sinks.finding import Finding
from lora_post.sinks.sink import Sink
from lora_post.sinks.watch import Watch, read_look_every_s, require_way_back
from lora_post.toml_table import TableReader

PUBLIC_URL = "https://api.waziup.io/api/v2"
ASK_EVERY_S = 1.0
"""So often what the broker has told is taken over; that costs nothing."""
MQTT = "mqtt"
PASSWORD_ENV = "LORA_POST_WAZIUP_PASSWORD"  # noqa: S105 - the variable's name


class WaziupTable(Struct, frozen=True, forbid_unknown_fields=True):
    """[Waziup Cloud](destinations.md#waziup-cloud), or a server like it.

    url: Its API. `http://` gives a warning.
    username: Your account.
    password: Default: the variable `LORA_POST_WAZIUP_PASSWORD`.
    provision: `"auto"`: create missing devices and sensors; needs an account.
    protocol: `"mqtt"`: a tenth of the data, [with an exception](destinations.md#values-over-mqtt).
    actuators: How often to look for [values for devices](downlinks.md#values-that-are-set-on-waziup): `"15min"`, at
        least `"10s"`; `"mqtt"`: told at once.
    mqtt_url: With `"mqtt"` in one of these: `mqtt(s)://HOST:PORT`. Default: port 1883 of the host in `url`.
    """

    url: str = PUBLIC_URL
    username: str = ""
    password: str = ""
    password_file: str = ""
    password_env: str = ""
    provision: Literal["auto", "never"] = "auto"
    protocol: Literal["http", "mqtt"] = "http"
    mqtt_url: str = ""
    actuators: str = "never"


class WaziupConfig(Struct, frozen=True):
    """The checked table.

    account: None for the simple protocol, which is for public devices that exist.
    broker: where values are published; None: they go over HTTP. provision: create what is missing.
    look_every_s: how often values that are set there are looked for, 0 for never. teller: the broker that tells them.
    """

    url: str
    account: Account | None
    provision: bool
    broker: Broker | None = None
    look_every_s: float = 0.0
    teller: Broker | None = None


def _read(reader: TableReader, table: WaziupTable) -> WaziupConfig:
    if not re.match(r"https?://[^/]", table.url):
        reader.refuse(f"[waziup] url is {table.url!r}", f'it must start with https://, as "{PUBLIC_URL}"')
    elif table.url.startswith("http:") and not is_this_machine(_host(table.url).strip("[]")):
        reader.warn("[waziup] url starts with http://, so the password travels in clear", "use https://")
    account = reader.account("[waziup]", table.username, table, PASSWORD_ENV)
    if table.provision == "auto" and not table.username:
        reader.refuse(
            '[waziup] provision = "auto" creates devices and needs username and password',
            'for public devices that exist already set provision = "never"',
        )
    broker = _broker(reader, table, account)
    return WaziupConfig(
        table.url,
        account,
        table.provision == "auto",
        broker if table.protocol == MQTT else None,
        _look_every_s(reader, table),
        broker if table.actuators == MQTT else None,
    )


def _look_every_s(reader: TableReader, table: WaziupTable) -> float:
    if table.actuators != MQTT:
        return read_look_every_s(reader, "[waziup] actuators", table.actuators)
    require_way_back(reader, "[waziup] actuators")
    return ASK_EVERY_S


def _broker(reader: TableReader, table: WaziupTable, account: Account | None) -> Broker | None:
    """Return the platform's broker: without mqtt_url, port 1883 of the host in `url`."""
    if MQTT not in (table.protocol, table.actuators):
        if table.mqtt_url:
            reader.refuse('[waziup] mqtt_url is for protocol = "mqtt" only', "set that, or take mqtt_url out")
        return None
    host = _host(table.url)
    if not table.mqtt_url and not host:
        return None  # url is a mistake already
    url = table.mqtt_url or f"mqtt://{host}"
    address = reader.broker_address("[waziup] mqtt_url", url)
    password = account.password if account else None
    broker = Broker("[waziup]", address.host, address.port, address.tls, table.username, password, None)
    if password and not broker.tls and not broker.is_local:
        reader.warn(
            f"[waziup] the password travels in clear to {url}, and Waziup Cloud has no other MQTT",
            'use an account for this gateway alone, or protocol = "http", or the mqtts:// of a server that has it',
        )
    return broker


def _host(url: str) -> str:
    """Return the host in a URL, in brackets where it is an IPv6 address."""
    found = re.match(r"https?://(?:[^/@]*@)?(\[[^]/]*\]|[^/:?#]*)", url)
    return found[1] if found else ""


def _open(config: WaziupConfig, context: SinkContext) -> Sink:
    from lora_post.sinks.waziup.client import WaziupClient
    from lora_post.sinks.waziup.sink import WaziupSink

    client = WaziupClient(config.url, config.account, context.on_date, context.traffic, context.alive)
    facts = context.facts_of(f"{config.url.rstrip('/')} {config.account.username if config.account else ''}")
    sink = WaziupSink(client, context, facts, provision=config.provision)
    if config.broker is None:
        return sink
    from lora_post.sinks.waziup.mqtt import WaziupMqttSink

    return WaziupMqttSink(sink, config.broker, f"lora-post-{context.site.gateway_id}", context.traffic)


def _watch(config: WaziupConfig, context: SinkContext) -> Watch | None:
    if not config.look_every_s:
        return None
    from lora_post.sinks.waziup.client import WaziupClient
    from lora_post.sinks.waziup.set_values import SetValues

    client = WaziupClient(config.url, config.account, None, context.traffic, context.alive)
    facts = context.facts_of(f"set {config.url.rstrip('/')} {config.account.username if config.account else ''}")
    messages = None
    if config.teller:
        from lora_post.sinks.waziup.set_messages import SetMessages

        messages = SetMessages(config.teller, f"lora-post-{context.site.gateway_id}-set", context.traffic)
    return SetValues(client, facts, context.announced, config.look_every_s, messages=messages)


def _check(config: WaziupConfig, site: Site) -> Iterator[Finding]:
    from lora_post.sinks.mqtt_connection import check_broker
    from lora_post.sinks.waziup.check import check_server

    yield from check_server(config, site)
    if config.broker is not None:
        yield check_broker("server", "[waziup] mqtt_url", config.broker, site.gateway_id)


WAZIUP = Destination(
    WaziupTable,
    _read,
    _open,
    _check,
    remote=("server", "credentials", "clock", "gateway"),
    is_metered=True,
    watch=_watch,
)
