"""Read LowCostLoRaGw's key_LoRaWAN.py and key_AES.py as lists of devices; nothing in them is executed."""

from __future__ import annotations

import re
from typing import Final

from lora_post.errors import ConfigError, Problem
from lora_post.migrate.lowcost_installation import DEFAULT_KEY, read_assignments
from lora_post.migrate.records import DeviceList, Record, record_of

_VARIABLE: Final = "device_key"


def is_key_file(text: str) -> bool:
    """Tell whether a text is one of these files."""
    return re.search(rf"(?m)^{_VARIABLE}\s*=", text) is not None


def read_key_file(text: str, *, is_lorawan: bool) -> DeviceList:
    """Return the devices that have keys of their own there.

    is_lorawan: it is key_LoRaWAN.py; in key_AES.py, addresses 2 to 255 are of the four-byte header.
    Raises ConfigError for a file that cannot be read.
    """
    table = read_assignments(text).get(_VARIABLE)
    if not isinstance(table, dict):
        raise ConfigError(f"{_VARIABLE} is not a table of keys")
    records: list[Record] = []
    mistakes: list[Problem] = []
    notes: list[str] = []
    for name, keys in table.items():
        if name == DEFAULT_KEY:
            notes.append("the default key is left out: it opens the frames of anybody who has not changed it")
            continue
        where = f"line {_line_of(text, str(name))}"
        if not isinstance(keys, dict) or not re.fullmatch(r"[0-9A-Fa-f]{8}", str(name)):
            fix = "want 8 hex digits with AppSKey and NwkSKey"
            mistakes.append(Problem(f"{where}: {str(name)[:40]!r} is not a device with keys", fix))
            continue
        number = int(str(name), 16)
        is_short = not is_lorawan and 1 < number < 256
        fields = {"address": str(number)} if is_short else {"dev_addr": str(name)}
        for key, ours in (("NwkSKey", "nwk_skey"), ("AppSKey", "app_skey")):
            fields[ours] = str(keys.get(key, ""))
        records.append(record_of(where, fields.items()))
    return DeviceList(tuple(records), tuple(mistakes), tuple(notes))


def _line_of(text: str, name: str) -> int:
    at = max(text.find(f'"{name}"'), text.find(f"'{name}'"))
    return text.count("\n", 0, max(at, 0)) + 1
