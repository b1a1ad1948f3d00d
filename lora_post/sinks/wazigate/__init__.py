"""A WaziGate on the local network."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from lora_post.finding import Finding
from lora_post.secret import Account
from lora_post.sinks.destination import Destination, SinkContext, Site
from lora_post.sinks.sink import Sink
from lora_post.toml_table import TableReader


class WazigateTable(Struct, frozen=True, forbid_unknown_fields=True):
    """A WaziGate on the local network. See [destinations](destinations.md#wazigate).

    url: Its address, without a path.
    username: Not needed on the WaziGate itself.
    password: Of `username`.
    """

    url: str = "http://wazigate.local"
    username: str = ""
    password: str = ""
    password_file: str = ""
    password_env: str = ""


class WazigateConfig(Struct, frozen=True):
    """The checked table. account: None for no login, as from the WaziGate itself."""

    url: str
    account: Account | None


def _read(reader: TableReader, table: WazigateTable) -> WazigateConfig:
    if not re.fullmatch(r"https?://[^/?#@]+/?", table.url):
        reader.refuse(
            f"[wazigate] url is {re.sub(r'//[^/]*@', '//…@', table.url)!r}",
            'it must be the address alone, as "http://wazigate.local" or "http://192.168.1.10"',
        )
    return WazigateConfig(table.url, reader.account("[wazigate]", table.username, table))


def _open(config: WazigateConfig, context: SinkContext) -> Sink:
    from lora_post.sinks.wazigate.sink import WazigateSink

    return WazigateSink(config, context)


def _check(config: WazigateConfig, site: Site) -> Iterator[Finding]:
    from lora_post.sinks.wazigate.check import check_wazigate

    return check_wazigate(config)


WAZIGATE = Destination(WazigateTable, _read, _open, _check, remote=("wazigate",))
