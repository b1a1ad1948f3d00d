"""The [status] table → where the status page listens, and who may see it."""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from lora_post.config.tables import StatusTable
from lora_post.errors import ConfigError
from lora_post.net.hosts import is_this_machine
from lora_post.secret import Secret
from lora_post.text import plural
from lora_post.toml_table import TableReader

MIN_TOKEN: Final = 16


class StatusConfig(Struct, frozen=True):
    """Where the status page listens. token None: this machine only. sensor_values: on /metrics, too.

    edit: devices can be added there, with the token.
    """

    host: str
    port: int
    token: Secret | None
    sensor_values: bool = False
    edit: bool = True


def read_status(reader: TableReader) -> StatusConfig | None:
    """Return what the [status] table says, None when there is no such table."""
    table = reader.table("status", StatusTable)
    if table is None:
        return None
    token = reader.secret("[status]", "token", table)
    if token is not None and len(token.reveal()) < MIN_TOKEN:
        reader.refuse(
            f"[status] token has {plural(len(token.reveal()), 'character')}",
            f"it must have {MIN_TOKEN} or more (openssl rand -hex 16)",
        )
    try:
        found = status_at(table.listen, token)
    except ConfigError as error:
        reader.refuse(f"[status] listen {error.what}", error.fix)
        return None
    return replace(found, sensor_values=table.sensor_values, edit=table.edit)


def status_at(listen: str, token: Secret | None) -> StatusConfig:
    """Return the page at HOST:PORT.

    Raises ConfigError when that is not an address, or other machines could see the page without a token.
    """
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s:\[\]]+)):([0-9]{1,5})", listen)
    if found is None or int(found[3]) > 65535:
        raise ConfigError(f"is {listen!r}", fix='it must be an address and a port, as "127.0.0.1:8080"')
    host = found[1] or found[2]
    if token is None and not is_this_machine(host):
        raise ConfigError(
            f"is {listen!r}, which other machines reach",
            fix='give [status] a token (openssl rand -hex 16), or listen at "127.0.0.1:8080"',
        )
    return StatusConfig(host, int(found[3]), token)
