"""Send readings to a WaziGate on the local network."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from lora_post.secret import Account
from lora_post.sinks.destination import Destination, SinkContext, Site
from lora_post.sinks.finding import Finding
from lora_post.sinks.sink import Sink
from lora_post.sinks.watch import NEVER, Watch, read_look_every_s
from lora_post.toml_table import TableReader


class WazigateTable(Struct, frozen=True, forbid_unknown_fields=True):
    """[A WaziGate](destinations.md#wazigate) on the local network.

    url: Its address, without a path.
    username: Not needed on the WaziGate itself.
    password: Of `username`.
    actuators: How often to look for [values for devices](downlinks.md#values-that-are-set-on-waziup): `"10s"`, or
        `"never"`.
    """

    url: str = "http://wazigate.local"
    username: str = ""
    password: str = ""
    password_file: str = ""
    password_env: str = ""
    actuators: str = NEVER


class WazigateConfig(Struct, frozen=True):
    """The checked table. account: None for no login, as from the WaziGate itself. look_every_s: 0.0 for never."""

    url: str
    account: Account | None
    look_every_s: float = 0.0


def _read(reader: TableReader, table: WazigateTable) -> WazigateConfig:
    if not re.fullmatch(r"https?://[^/?#@]+/?", table.url):
        reader.refuse(
            f"[wazigate] url is {re.sub(r'//[^/]*@', '//…@', table.url)!r}",
            'it must be the address alone, as "http://wazigate.local" or "http://192.168.1.10"',
        )
    every_s = read_look_every_s(reader, "[wazigate] actuators", table.actuators)
    return WazigateConfig(table.url, reader.account("[wazigate]", table.username, table), every_s)


def _open(config: WazigateConfig, context: SinkContext) -> Sink:
    from lora_post.sinks.wazigate.sink import WazigateSink

    return WazigateSink(config, context)


def _watch(config: WazigateConfig, context: SinkContext) -> Watch | None:
    if not config.look_every_s:
        return None
    from lora_post.sinks.wazigate.client import WazigateClient
    from lora_post.sinks.wazigate.set_values import GateSetValues

    client = WazigateClient(config.url, config.account, context.alive)
    return GateSetValues(client, context.facts_of(f"set {config.url.rstrip('/')}"), config.look_every_s)


def _check(config: WazigateConfig, site: Site) -> Iterator[Finding]:
    from lora_post.sinks.wazigate.check import check_wazigate

    return check_wazigate(config)


WAZIGATE = Destination(WazigateTable, _read, _open, _check, remote=("wazigate",), watch=_watch)
