"""Devices as others write them down: field by field, by the names that their keys have here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from lora_post.errors import Problem
from lora_post.text import bare_hex, bare_word

DISABLED: Final = "disabled"
MODEL: Final = "model"
QR: Final = "qr"

# As they are written elsewhere, without capitals, blanks and marks.
_NAMES: Final = {
    "id": "id",
    "deviceid": "id",
    "devid": "id",
    "name": "name",
    "devicename": "name",
    "deveui": "dev_eui",
    "deviceeui": "dev_eui",
    "joineui": "join_eui",
    "appeui": "join_eui",
    "applicationeui": "join_eui",
    "devaddr": "dev_addr",
    "deviceaddress": "dev_addr",
    "address": "address",
    "appkey": "app_key",
    "applicationkey": "app_key",
    "nwkkey": "nwk_key",
    "networkkey": "nwk_key",
    "nwkskey": "nwk_skey",
    "networksessionkey": "nwk_skey",
    "appskey": "app_skey",
    "applicationsessionkey": "app_skey",
    "fnwksintkey": "f_nwk_s_int_key",
    "snwksintkey": "s_nwk_s_int_key",
    "nwksenckey": "nwk_s_enc_key",
    "lsckey": "lsc_key",
    "fcnt": "fcnt",
    "visibility": "visibility",
    "decoder": "decoder",
    "modelid": MODEL,
    "model": MODEL,
    "deviceprofile": MODEL,
    "deviceprofilename": MODEL,
    "isdisabled": DISABLED,
    "disabled": DISABLED,
    "qr": QR,
    "qrcode": QR,
    "onboardingtag": QR,
}
_PARTS_OF_PATH: Final = ("ids", "session", "root_keys", "keys", "key")
_EUIS: Final = ("dev_eui", "join_eui", "dev_addr")
_KEYS: Final = (
    "app_key",
    "nwk_key",
    "nwk_skey",
    "app_skey",
    "f_nwk_s_int_key",
    "s_nwk_s_int_key",
    "nwk_s_enc_key",
    "lsc_key",
)
_NOTHING: Final = re.compile("0*")


class Record(Struct, frozen=True):
    """One device of a list.

    place: where it stands there, `line 12, pump-3`. table: its [[device]] as far as the list tells. model: what its
    maker or server calls this kind of device, which may be the name of a decoder.
    """

    place: str
    table: Mapping[str, object]
    model: str = ""


class DeviceList(Struct, frozen=True):
    """The devices of a list. mistakes: what cannot be a device, with its place. notes: what is left out on purpose."""

    records: tuple[Record, ...]
    mistakes: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


def field_named(text: str) -> str:
    """Return the name that a column or a JSON key has here; "" for what is not used."""
    parts = [part for part in text.strip().split(".") if part not in _PARTS_OF_PATH]
    return _NAMES.get(bare_word(parts[-1]), "") if parts else ""


def record_of(where: str, given: Iterable[tuple[str, str]]) -> Record:
    """Return the device that a list gives under the names of `field_named`.

    where: `line 12`. Keys of zeros alone, and network keys beside which AppKey is missing, are as LoRaWAN 1.0 has them.
    """
    fields = {name: text.strip() for name, text in given if text.strip()}
    for name in (*_EUIS, *_KEYS):
        if name in fields:
            fields[name] = bare_hex(fields[name])
    for name in _KEYS:
        if _NOTHING.fullmatch(fields.get(name, "")):
            fields.pop(name, None)
    _settle_session(fields)
    _settle_root(fields)
    model = fields.pop(MODEL, "")
    table: dict[str, object] = {key: fields[key] for key in _ORDER if key in fields}
    address = fields.get("address", "")
    if re.fullmatch(r"[0-9]{1,3}", address, re.ASCII):
        table["address"] = int(address)
    elif address:
        table.setdefault("dev_addr", bare_hex(address))
    name = next((fields[key] for key in ("id", "name", "dev_eui", "dev_addr", "address") if key in fields), "")
    return Record(f"{where}, {name}" if name else where, table, model)


_ORDER: Final = ("id", "name", *_EUIS, *_KEYS, "decoder", "fcnt", "visibility")


def _settle_session(fields: dict[str, str]) -> None:
    """Make the network keys of LoRaWAN 1.0, which servers write as three equal ones, the one that they are."""
    names = ("f_nwk_s_int_key", "s_nwk_s_int_key", "nwk_s_enc_key")
    found = {fields[name] for name in names if name in fields}
    if len(found) == 1 and "nwk_skey" not in fields:
        fields["nwk_skey"] = found.pop()
        for name in names:
            fields.pop(name, None)


def _settle_root(fields: dict[str, str]) -> None:
    """Take the root keys where there are some: session keys end with the next join."""
    app_key, nwk_key = fields.get("app_key"), fields.get("nwk_key")
    if nwk_key and (not app_key or app_key == nwk_key):
        fields["app_key"] = fields.pop("nwk_key")  # ChirpStack has AppKey of LoRaWAN 1.0 there
    if "app_key" in fields:
        for name in ("dev_addr", "nwk_skey", "app_skey", "f_nwk_s_int_key", "s_nwk_s_int_key", "nwk_s_enc_key"):
            fields.pop(name, None)
    elif "dev_addr" in fields:
        fields.pop("join_eui", None)
