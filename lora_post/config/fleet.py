"""The [fleet] table → the part that this lora-post has in a fleet."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Final

from msgspec import Struct

from lora_post.config.tables import FleetTable
from lora_post.net.hosts import is_this_machine
from lora_post.secret import Secret
from lora_post.text import did_you_mean
from lora_post.toml_table import TableReader

REPLICAS: Final = (1, 3, 5)
_SERVER: Final = re.compile(r"(nats|tls)://([^/@\s]+?)(:\d{1,5})?")


class Role(StrEnum):
    """What a lora-post does in a fleet."""

    GATEWAY = "gateway"
    WORKER = "worker"
    UPLOADER = "uploader"


class FleetConfig(Struct, frozen=True):
    """The part in a fleet. nkey: the seed by which the hub knows this one; None: the hub asks for none.

    ca_file: certificates that prove the servers; None: the system's. replicas: of everything that the hub keeps.
    """

    servers: tuple[str, ...]
    roles: frozenset[Role]
    nkey: Secret | None = None
    ca_file: Path | None = None
    replicas: int = 3


def read_fleet(reader: TableReader) -> FleetConfig | None:
    """Return what the [fleet] table says, None when there is no such table or it has a mistake."""
    table = reader.table("fleet", FleetTable)
    if table is None:
        return None
    start = len(reader.mistakes)
    if not table.servers:
        reader.refuse("[fleet] servers is empty", 'name the servers of the hub: ["tls://hub1.example.org:4222", …]')
    for server in table.servers:
        match = _SERVER.fullmatch(server)
        if match is None:
            reader.refuse(f"[fleet] servers has {server!r}", "write tls://HOST:4222")
        elif match[1] == "nats" and not is_this_machine(match[2]):
            reader.warn(f"[fleet] servers: what goes to {match[2]} can be read on its way there", "use tls://")
    names = [table.role] if isinstance(table.role, str) else table.role
    for name in names:
        if name not in list(Role):
            reader.refuse(f"[fleet] role is {name!r}", did_you_mean(name, list(Role)))
    if not names:
        reader.refuse("[fleet] role is empty", f"it is one of {', '.join(Role)}, or a list")
    if table.replicas not in REPLICAS:
        reader.refuse(f"[fleet] replicas is {table.replicas}", "it must be 1, 3 or 5")
    nkey = reader.secret("[fleet]", "nkey", table)
    if len(reader.mistakes) > start:
        return None
    ca_file = reader.folder / table.ca_file if table.ca_file else None
    return FleetConfig(tuple(table.servers), frozenset(map(Role, names)), nkey, ca_file, table.replicas)
