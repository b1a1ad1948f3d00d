"""The [waziup] table → where readings go."""

from __future__ import annotations

import re

from msgspec import Struct

from lora_post.config_reader import TableReader
from lora_post.config_tables import PUBLIC_URL, WaziupTable
from lora_post.secret import Secret

PASSWORD_ENV = "LORA_POST_WAZIUP_PASSWORD"  # noqa: S105 - the variable's name


class WaziupConfig(Struct, frozen=True):
    """Where readings go. password None: no account, the simple protocol."""

    url: str
    username: str
    password: Secret | None
    provision: bool


def read_waziup(reader: TableReader) -> WaziupConfig | None:
    """The [waziup] table, None when there is none."""
    table = reader.table("waziup", WaziupTable)
    if table is None:
        return None
    if not re.match(r"https?://[^/]", table.url):
        reader.mistakes.append(f'[waziup] url is {table.url!r}; it must start with https://, as "{PUBLIC_URL}"')
    elif table.url.startswith("http:") and not _is_local(table.url):
        reader.warnings.append("[waziup] url starts with http://, so the password travels in clear; use https://")
    password = reader.secret("[waziup]", "password", table, PASSWORD_ENV)
    if bool(table.username) != bool(password):
        given, missing = ("username", "password") if table.username else ("password", "username")
        reader.mistakes.append(f"[waziup] has a {given} and no {missing}; give both, or neither (simple protocol)")
    if table.provision == "auto" and not table.username:
        reader.mistakes.append(
            '[waziup] provision = "auto" creates devices and needs username and password; '
            'for public devices that exist already set provision = "never"'
        )
    return WaziupConfig(table.url, table.username, password, table.provision == "auto")


def _is_local(url: str) -> bool:
    return bool(re.match(r"http://(127\.|localhost[:/]|\[::1\])", url))
