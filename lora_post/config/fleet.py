"""The [fleet] table → the part that this lora-post has in a fleet."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Final

from msgspec import Struct

from lora_post.config.tables import FleetTable
from lora_post.model import Device
from lora_post.net.hosts import is_this_machine
from lora_post.secret import Secret
from lora_post.text import did_you_mean, parse_duration
from lora_post.toml_table import TableReader

REPLICAS: Final = (1, 3, 5)
_SERVER: Final = re.compile(r"(nats|tls)://([^/@\s]+?)(:\d{1,5})?")


class Role(StrEnum):
    """What a lora-post does in a fleet."""

    GATEWAY = "gateway"
    WORKER = "worker"
    UPLOADER = "uploader"
    HOME = "home"


class FleetConfig(Struct, frozen=True):
    """The part in a fleet. nkey: the seed by which the hub knows this one; None: the hub asks for none.

    ca_file: certificates that prove the servers; None: the system's. replicas: of everything that the hub keeps.
    takeover_after_s: so long a home gateway is away before workers answer for it; 0: only a person takes over.
    """

    servers: tuple[str, ...]
    roles: frozenset[Role]
    nkey: Secret | None = None
    ca_file: Path | None = None
    replicas: int = 3
    takeover_after_s: float = 3600.0


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
    if Role.HOME in names and set(names) != {Role.GATEWAY, Role.HOME}:
        reader.refuse(
            f"[fleet] role is {table.role!r}: a home decides about its own devices alone, and hears them itself",
            'write role = ["gateway", "home"] there, and run workers and uploaders elsewhere',
        )
    if table.replicas not in REPLICAS:
        reader.refuse(f"[fleet] replicas is {table.replicas}", "it must be 1, 3 or 5")
    takeover_after_s = 0.0 if table.takeover_after == "never" else parse_duration(table.takeover_after)
    if takeover_after_s is None:
        reader.refuse(f"[fleet] takeover_after is {table.takeover_after!r}", 'write "1h", "2d" or "never"')
    nkey = reader.secret("[fleet]", "nkey", table)
    if len(reader.mistakes) > start:
        return None
    ca_file = reader.folder / table.ca_file if table.ca_file else None
    roles = frozenset(map(Role, names))
    return FleetConfig(tuple(table.servers), roles, nkey, ca_file, table.replicas, takeover_after_s or 0.0)


def check_homes(reader: TableReader, fleet: FleetConfig | None, gateway: str, devices: Iterable[Device]) -> None:
    """Note a mistake for each device whose home does not fit the part in the fleet. gateway: the id of this one."""
    for device in devices:
        if fleet is None and device.home and "fleet" not in reader.document:
            reader.refuse(f"device {device.id}: home is for gateways of a fleet", "remove it, or add a [fleet]")
        elif fleet is not None and Role.HOME in fleet.roles and device.home != gateway:
            reader.refuse(
                f"device {device.id}: home is {device.home!r}, and this is the home gateway {gateway!r}",
                f'write home = "{gateway}", or remove the device: its keys are not needed here',
            )


def check_destinations(reader: TableReader, fleet: FleetConfig | None, names: Iterable[str]) -> None:
    """Note each destination of a part of a fleet that sends nothing. names: of their tables.

    For a home gateway it is a mistake: who wrote it there counts on readings that go on without the hub.
    """
    if fleet is None or Role.UPLOADER in fleet.roles:
        return
    for name in names:
        if Role.HOME in fleet.roles:
            reader.refuse(
                f"[{name}]: a home gateway sends no readings, its uploader gets them with the next link",
                f"remove it, and have [{name}] on the uploader",
            )
        else:
            reader.warn(
                f"[{name}]: only an uploader of a fleet sends readings", 'remove it, or add the role "uploader"'
            )
