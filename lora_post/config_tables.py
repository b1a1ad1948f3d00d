"""The tables of the configuration file, key by key, with their defaults."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

PUBLIC_URL = "https://api.waziup.io/api/v2"

Visibility = Literal["private", "public"]


class GatewayTable(Struct, frozen=True, forbid_unknown_fields=True):
    """[gateway]"""

    id: str
    name: str = ""
    visibility: Visibility = "private"


class WaziupTable(Struct, frozen=True, forbid_unknown_fields=True):
    """[waziup]"""

    url: str = PUBLIC_URL
    username: str = ""
    password: str = ""
    password_file: str = ""
    password_env: str = ""
    provision: Literal["auto", "never"] = "auto"


class SpoolTable(Struct, frozen=True, forbid_unknown_fields=True):
    """[spool]"""

    path: str = "/var/lib/lora-post/spool.db"
    max_mb: int = 256


class DecodersTable(Struct, frozen=True, forbid_unknown_fields=True):
    """[decoders]"""

    folder: str = ""


class InputTable(Struct, frozen=True, forbid_unknown_fields=True):
    """[[input]]"""

    url: str = "stdin:"
    format: str = "lowcost"


class DeviceTable(Struct, frozen=True, forbid_unknown_fields=True):
    """[[device]]"""

    decoder: str
    dev_addr: str = ""
    address: int | None = None
    nwk_skey: str = ""
    nwk_skey_file: str = ""
    nwk_skey_env: str = ""
    app_skey: str = ""
    app_skey_file: str = ""
    app_skey_env: str = ""
    app_keys: list[str] = []
    id: str = ""
    name: str = ""
    visibility: Visibility | None = None


TABLES: dict[str, type[Struct]] = {
    "gateway": GatewayTable,
    "waziup": WaziupTable,
    "spool": SpoolTable,
    "decoders": DecodersTable,
}
LISTS: dict[str, type[Struct]] = {"input": InputTable, "device": DeviceTable}
