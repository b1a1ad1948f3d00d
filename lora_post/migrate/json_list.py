"""Read devices from JSON: The Things Stack's end devices, ChirpStack's devices with keys and activations.

One object after the other, as `ttn-lw-cli end-devices` and the console of The Things Stack write them; or lists, as
ChirpStack's REST API answers, in any order: what is told of one DevEUI is put together.

Sources: The Things Stack, JSON File Reference; chirpstack/chirpstack: api/proto/api/device.proto, and the same of
version 3 (brocaar/chirpstack-api).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Final

from lora_post.errors import ConfigError, Problem
from lora_post.migrate.records import DISABLED, MODEL, DeviceList, Record, field_named, record_of
from lora_post.text import bare_hex

MAX_DEPTH: Final = 6
_BEGIN: Final = re.compile(r"[^\s,]")
_SESSION: Final = ("app_s_key", "f_nwk_s_int_key", "s_nwk_s_int_key", "nwk_s_enc_key")
_ROOT: Final = ("app_key", "nwk_key")


def is_json(text: str) -> bool:
    """Tell whether a text is meant to be JSON."""
    return text.lstrip().startswith(("{", "["))


def read_json(text: str) -> DeviceList:
    """Return the devices of a text that `is_json`. Raises ConfigError when it is not, or has no devices."""
    found: dict[str, tuple[str, dict[str, str]]] = {}
    for line, value in _values(text):
        for fields in _devices(value, MAX_DEPTH):
            key = bare_hex(fields.get("dev_eui", "")) or f"{fields.get('dev_addr', '')} {fields.get('id', '')}"
            where, known = found.setdefault(key, (f"line {line}", {}))
            known.update({name: text for name, text in fields.items() if text})
    if not found:
        raise ConfigError("there is no device in it", fix="want devices of The Things Stack or ChirpStack, or a CSV")
    records: list[Record] = []
    notes: list[str] = []
    for where, fields in found.values():
        is_disabled = fields.pop(DISABLED, "") == "true"
        record = record_of(where, fields.items())
        if is_disabled:
            notes.append(f"{record.place} is disabled there and left out")
        else:
            records.append(record)
    mistakes = [
        Problem(f"{each.place}: only names, no DevEUI and no DevAddr", "export the devices with their identifiers")
        for each in records
        if not {"dev_eui", "dev_addr", "address"} & each.table.keys()
    ]
    return DeviceList(tuple(records), tuple(mistakes), tuple(notes))


def _values(text: str) -> Iterator[tuple[int, object]]:
    """Yield the values of a text one after the other, with the line in which each begins."""
    decoder = json.JSONDecoder()
    line, end = 1, 0
    while start := _BEGIN.search(text, end):
        line += text.count("\n", end, start.start())
        try:
            value, stop = decoder.raw_decode(text, start.start())
        except json.JSONDecodeError as error:
            raise ConfigError(f"line {error.lineno}: not JSON: {error.msg}") from None
        except (ValueError, RecursionError):
            raise ConfigError(f"line {line}: not JSON of devices: a number too long, or too deep") from None
        if isinstance(value, list):
            yield from ((line, item) for item in value)
        else:
            yield line, value
        line += text.count("\n", start.start(), stop)
        end = stop


def _devices(value: object, depth: int) -> Iterator[dict[str, str]]:
    """Yield what an object tells of devices, itself or inside of it."""
    if isinstance(value, list) and depth:
        for item in value:
            yield from _devices(item, depth - 1)
    if not isinstance(value, dict):
        return
    if isinstance(ids := value.get("ids"), dict):
        yield _of_things_stack(value, ids)
        return
    fields = {name: _text(item) for key, item in value.items() if (name := field_named(key))}
    if fields.get("dev_eui") or fields.get("dev_addr"):
        yield fields
    elif depth:
        for item in value.values():
            yield from _devices(item, depth - 1)


def _of_things_stack(device: Mapping[str, object], ids: Mapping[str, object]) -> dict[str, str]:
    """Return the fields of an end device: root keys, or its session when it does not join."""
    fields = {
        "id": _text(ids.get("device_id")),
        "name": _text(device.get("name")),
        "dev_eui": _text(ids.get("dev_eui")),
        "join_eui": _text(ids.get("join_eui")),
        MODEL: _text(_object(device.get("version_ids")).get("model_id")),
    }
    roots = _object(device.get("root_keys"))
    fields |= {name: _text(_object(roots.get(name)).get("key")) for name in _ROOT}
    session = _object(device.get("session"))
    keys = _object(session.get("keys"))
    fields["dev_addr"] = _text(session.get("dev_addr")) or _text(ids.get("dev_addr"))
    fields |= {field_named(name): _text(_object(keys.get(name)).get("key")) for name in _SESSION}
    if not any(fields[field_named(name)] for name in _SESSION):
        fields.pop("dev_addr")
    return fields


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (str, int)) else ""
