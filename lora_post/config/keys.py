"""Read the keys of a [[device]]: of LoRaWAN sessions, of joins, of LowCostLoRaGw."""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from itertools import compress
from operator import attrgetter
from typing import Final

from msgspec import Struct

from lora_post.config.device_tables import DeviceTable
from lora_post.lorawan.root_keys import RootKeys
from lora_post.lorawan.session_keys import KEY_SIZE, AnySessionKeys, SessionKeys, SessionKeys11
from lora_post.lowcost.lsc import LscKey
from lora_post.text import bare_hex
from lora_post.toml_table import TableReader

SESSION_10: Final = ("nwk_skey", "app_skey")
SESSION_11: Final = ("f_nwk_s_int_key", "s_nwk_s_int_key", "nwk_s_enc_key", "app_skey")
ROOT: Final = ("app_key", "nwk_key")
LSC: Final = "lsc_key"
SESSION: Final = tuple(dict.fromkeys((*SESSION_10, *SESSION_11)))
KEY_NAMES: Final = (*SESSION, *ROOT, LSC)
_SUFFIXES: Final = ("", "_file", "_env")
_NAMES: Final = tuple(name for name in KEY_NAMES for _ in _SUFFIXES)
_ways: Final = {name: attrgetter(*(name + suffix for suffix in _SUFFIXES)) for name in KEY_NAMES}
_texts: Final = attrgetter(*(name + suffix for name in KEY_NAMES for suffix in _SUFFIXES))


class DeviceKeys(Struct, frozen=True):
    """The keys of a device, by kind."""

    session: AnySessionKeys | None = None
    root: RootKeys | None = None
    lsc: LscKey | None = None


NO_KEYS: Final = DeviceKeys()


def given_keys(table: DeviceTable) -> Set[str]:
    """Return the names of the keys that a table has, in one way or another."""
    return set(compress(_NAMES, _texts(table)))


def joins(table: DeviceTable, given: Set[str]) -> bool:
    """Tell whether a device with these keys is to get its session by joining (OTAA)."""
    return bool(table.join_eui) or not given.isdisjoint(ROOT)


def read_keys(reader: TableReader, place: str, table: DeviceTable, given: Set[str]) -> DeviceKeys | None:
    """Return all keys of a device; None when there is a mistake in them."""
    before = len(reader.mistakes)
    session = _session(reader, place, table, given)
    root = _root(reader, place, table, given) if joins(table, given) else None
    lsc = _key(reader, place, table, LSC) if LSC in given else b""
    if lsc and table.address is None:
        reader.refuse(f"{place} {LSC}: only devices with `address` use LowCostLoRaGw's cipher", "remove it")
    if len(reader.mistakes) > before:
        return None
    return DeviceKeys(session, root, LscKey(lsc) if lsc else None)


def _session(reader: TableReader, place: str, table: DeviceTable, given: Set[str]) -> AnySessionKeys | None:
    is_11 = not given.isdisjoint(SESSION_11[:-1])
    names = SESSION_11 if is_11 else SESSION_10
    if is_11 and SESSION_10[0] in given:
        reader.refuse(
            f"{place}: {SESSION_10[0]} is a key of LoRaWAN 1.0, {', '.join(SESSION_11[:-1])} are keys of 1.1",
            "give those of one version",
        )
        return None
    if is_11 and table.address is not None:
        reader.refuse(f"{place}: devices with `address` use nwk_skey and app_skey", "remove the other keys")
        return None
    keys = _keys(reader, place, table, names, given)
    missing = [name for name in names if name not in given]
    if len(missing) == len(names):
        return None
    if missing:
        wanted = "both" if len(names) == 2 else f"all of {', '.join(names)}"
        what = f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing"
        reader.refuse(f"{place}: {what}", f"a device with keys needs {wanted}")
        return None
    if not all(keys):
        return None
    return SessionKeys11(*keys) if is_11 else SessionKeys(*keys)


def _root(reader: TableReader, place: str, table: DeviceTable, given: Set[str]) -> RootKeys | None:
    """Return the keys for joining, with their EUIs."""
    if table.dev_addr or table.address is not None or not given.isdisjoint(SESSION):
        reader.refuse(
            f"{place}: a device that joins gets its address and session keys by joining",
            "give either app_key, dev_eui and join_eui (OTAA), or dev_addr and session keys (ABP)",
        )
        return None
    for name in ("dev_eui", "join_eui"):
        if not getattr(table, name):
            reader.refuse(f"{place}: {name} is missing", "joining needs dev_eui, join_eui and app_key")
    if "app_key" not in given:
        also = " beside nwk_key" if "nwk_key" in given else ""
        reader.refuse(f"{place}: app_key is missing", f"a device that joins needs it{also}")
    dev_eui = bare_hex(table.dev_eui)  # what is wrong with it is said by whoever chooses the decoder
    join_eui = reader.hex(place, "join_eui", bare_hex(table.join_eui), 8) if table.join_eui else b""
    app_key, nwk_key = _keys(reader, place, table, ROOT, given)
    if not re.fullmatch(r"[0-9a-f]{16}", dev_eui) or not join_eui or not app_key:
        return None
    return RootKeys(int(dev_eui, 16), int.from_bytes(join_eui), app_key, nwk_key or None)


def _keys(reader: TableReader, place: str, table: DeviceTable, names: Sequence[str], given: Set[str]) -> list[bytes]:
    """Return the bytes of each key; b"" for one that is not given or wrong."""
    return [_key(reader, place, table, name) if name in given else b"" for name in names]


def _key(reader: TableReader, place: str, table: DeviceTable, name: str) -> bytes:
    text, file, variable = _ways[name](table)
    if text and not file and not variable:
        return reader.hex(place, name, text, KEY_SIZE, secret=True)
    secret = reader.secret(place, name, table)
    return reader.hex(place, name, secret.reveal(), KEY_SIZE, secret=True) if secret is not None else b""
