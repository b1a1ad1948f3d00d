"""The [wazigate] table → a WaziGate on the local network."""

from __future__ import annotations

import re

from msgspec import Struct

from lora_post.config.tables import WazigateTable
from lora_post.secret import Secret
from lora_post.toml_table import TableReader


class WazigateConfig(Struct, frozen=True):
    """password None: no login."""

    url: str
    username: str
    password: Secret | None


def read_wazigate(reader: TableReader) -> WazigateConfig | None:
    """The [wazigate] table, None when there is none."""
    table = reader.table("wazigate", WazigateTable)
    if table is None:
        return None
    if not re.fullmatch(r"https?://[^/?#@]+/?", table.url):
        reader.refuse(
            f"[wazigate] url is {re.sub(r'//[^/]*@', '//…@', table.url)!r}",
            'it must be the address alone, as "http://wazigate.local" or "http://192.168.1.10"',
        )
    password = reader.secret("[wazigate]", "password", table)
    if bool(table.username) != bool(password):
        given, missing = ("username", "password") if table.username else ("password", "username")
        reader.refuse(f"[wazigate] has a {given} and no {missing}", "give both, or neither")
    return WazigateConfig(table.url, table.username, password)
