"""The [waziup] table → where readings go."""

from __future__ import annotations

import re

from msgspec import Struct

from lora_post.config.tables import PUBLIC_URL, WaziupTable
from lora_post.net.mqtt_url import Broker, is_local
from lora_post.secret import Secret
from lora_post.toml_table import TableReader

PASSWORD_ENV = "LORA_POST_WAZIUP_PASSWORD"  # noqa: S105 - the variable's name


class WaziupConfig(Struct, frozen=True):
    """Where readings go.

    password None: no account, the simple protocol. broker: where values are published; None: they go over HTTP.
    """

    url: str
    username: str
    password: Secret | None
    provision: bool
    broker: Broker | None = None


def read_waziup(reader: TableReader) -> WaziupConfig | None:
    """The [waziup] table, None when there is none."""
    table = reader.table("waziup", WaziupTable)
    if table is None:
        return None
    if not re.match(r"https?://[^/]", table.url):
        reader.refuse(f"[waziup] url is {table.url!r}", f'it must start with https://, as "{PUBLIC_URL}"')
    elif table.url.startswith("http:") and not is_local(_host(table.url).strip("[]")):
        reader.warn("[waziup] url starts with http://, so the password travels in clear", "use https://")
    password = reader.secret("[waziup]", "password", table, PASSWORD_ENV)
    if bool(table.username) != bool(password):
        given, missing = ("username", "password") if table.username else ("password", "username")
        reader.refuse(f"[waziup] has a {given} and no {missing}", "give both, or neither (simple protocol)")
    if table.provision == "auto" and not table.username:
        reader.refuse(
            '[waziup] provision = "auto" creates devices and needs username and password',
            'for public devices that exist already set provision = "never"',
        )
    broker = _broker(reader, table, password)
    return WaziupConfig(table.url, table.username, password, table.provision == "auto", broker)


def _broker(reader: TableReader, table: WaziupTable, password: Secret | None) -> Broker | None:
    """The platform's broker: by default on the host of `url`, at MQTT's own port, which has no TLS there."""
    if table.protocol == "http":
        if table.mqtt_url:
            reader.refuse('[waziup] mqtt_url is for protocol = "mqtt" only', "set that, or take mqtt_url out")
        return None
    host = _host(table.url)
    if not table.mqtt_url and not host:
        return None  # url is a mistake already
    url = table.mqtt_url or f"mqtt://{host}"
    address = reader.broker_address("[waziup] mqtt_url", url)
    broker = Broker("[waziup]", address.host, address.port, address.tls, table.username, password, None)
    if password and not broker.tls and not broker.is_local:
        reader.warn(
            f"[waziup] the password travels in clear to {url}, and Waziup Cloud has no other MQTT",
            'use an account for this gateway alone, or protocol = "http", or the mqtts:// of a server that has it',
        )
    return broker


def _host(url: str) -> str:
    """The host in a URL, in brackets where it is an IPv6 address."""
    found = re.match(r"https?://(?:[^/@]*@)?(\[[^]/]*\]|[^/:?#]*)", url)
    return found[1] if found else ""
