"""The tables of the configuration file, key by key, with their defaults."""

from __future__ import annotations

import re
from typing import Literal, TypeVar, get_args, get_type_hints

import msgspec
from msgspec import Struct

PUBLIC_URL = "https://api.waziup.io/api/v2"

Visibility = Literal["private", "public"]
WhenFull = Literal["drop-oldest", "drop-newest"]


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


class WazigateTable(Struct, frozen=True, forbid_unknown_fields=True):
    """[wazigate]"""

    url: str = "http://wazigate.local"
    username: str = ""
    password: str = ""
    password_file: str = ""
    password_env: str = ""


class MqttTable(Struct, frozen=True, forbid_unknown_fields=True):
    """[mqtt]"""

    url: str
    topic: str = "lora/{device}/{sensor}"
    retain: bool = False
    username: str = ""
    password: str = ""
    password_file: str = ""
    password_env: str = ""
    ca_file: str = ""


class JsonLinesTable(Struct, frozen=True, forbid_unknown_fields=True):
    """[json_lines]"""

    path: str
    max_mb: int = 16
    keep: int = 4


class SpoolTable(Struct, frozen=True, forbid_unknown_fields=True):
    """[spool]"""

    path: str = "/var/lib/lora-post/spool.db"
    max_mb: int = 256
    when_full: WhenFull = "drop-oldest"


class UploadTable(Struct, frozen=True, forbid_unknown_fields=True):
    """[upload]"""

    schedule: list[str] = []
    max_bytes_per_day: int = 0
    hold: str = "0s"


class StatusTable(Struct, frozen=True, forbid_unknown_fields=True):
    """[status]"""

    listen: str = "127.0.0.1:8080"
    token: str = ""
    token_file: str = ""
    token_env: str = ""


class AlertsTable(Struct, frozen=True, forbid_unknown_fields=True):
    """[alerts]"""

    no_frame: str = "3h"
    no_upload: str = "1d"
    silent: str = "1d"
    battery_percent: int | float = 15
    battery_volts: int | float = 2.5
    webhook: str = ""
    webhook_token: str = ""
    webhook_token_file: str = ""
    webhook_token_env: str = ""
    email: str = ""
    email_from: str = ""
    smtp: str = ""
    smtp_password: str = ""
    smtp_password_file: str = ""
    smtp_password_env: str = ""


class DecodersTable(Struct, frozen=True, forbid_unknown_fields=True):
    """[decoders]"""

    folder: str = ""


class InputTable(Struct, frozen=True, forbid_unknown_fields=True):
    """[[input]]"""

    url: str = "stdin:"
    format: str = "lowcost"
    setup: str | list[str] = []
    gateways: list[str] = []
    password: str = ""
    password_file: str = ""
    password_env: str = ""
    ca_file: str = ""


class DeviceTable(Struct, frozen=True, forbid_unknown_fields=True):
    """[[device]]"""

    decoder: str = ""
    decoder_by_fport: dict[str, str] = {}
    options: dict[str, object] = {}
    sensor: list[object] = []
    dev_eui: str = ""
    dev_addr: str = ""
    address: int | None = None
    nwk_skey: str = ""
    nwk_skey_file: str = ""
    nwk_skey_env: str = ""
    app_skey: str = ""
    app_skey_file: str = ""
    app_skey_env: str = ""
    f_nwk_s_int_key: str = ""
    f_nwk_s_int_key_file: str = ""
    f_nwk_s_int_key_env: str = ""
    s_nwk_s_int_key: str = ""
    s_nwk_s_int_key_file: str = ""
    s_nwk_s_int_key_env: str = ""
    nwk_s_enc_key: str = ""
    nwk_s_enc_key_file: str = ""
    nwk_s_enc_key_env: str = ""
    join_eui: str = ""
    app_key: str = ""
    app_key_file: str = ""
    app_key_env: str = ""
    nwk_key: str = ""
    nwk_key_file: str = ""
    nwk_key_env: str = ""
    lsc_key: str = ""
    lsc_key_file: str = ""
    lsc_key_env: str = ""
    app_keys: list[str] = []
    fcnt: Literal["strict", "16bit", "restarts", "unchecked"] = "strict"
    accept_half_mic: bool = False
    id: str = ""
    name: str = ""
    visibility: Visibility | None = None


class SensorTable(Struct, frozen=True, forbid_unknown_fields=True):
    """[[device.sensor]]"""

    name: str
    rename: str | None = None
    drop: bool = False
    scale: int | float = 1
    offset: int | float = 0
    calibrate: list[tuple[int | float, int | float]] = []
    unit: str | None = None
    quantity: str | None = None
    deadband: int | float | None = None
    min_interval: str = ""
    max_interval: str = ""


class DecoderRuleTable(Struct, frozen=True, forbid_unknown_fields=True):
    """[[decoder_rule]]"""

    dev_eui_prefix: str
    decoder: str


TABLES: dict[str, type[Struct]] = {
    "gateway": GatewayTable,
    "waziup": WaziupTable,
    "wazigate": WazigateTable,
    "mqtt": MqttTable,
    "json_lines": JsonLinesTable,
    "spool": SpoolTable,
    "upload": UploadTable,
    "decoders": DecodersTable,
    "status": StatusTable,
    "alerts": AlertsTable,
}
LISTS: dict[str, type[Struct]] = {"input": InputTable, "device": DeviceTable, "decoder_rule": DecoderRuleTable}

T = TypeVar("T", bound=Struct)

WORDS = {
    "str": "a text in quotes",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list in [ ]",
    "object": "a table",
}


def convert_table(item: object, place: str, kind: type[T], mistakes: list[str]) -> T | None:
    """One table as its Struct; what is wrong with it is added to `mistakes`, None when nothing can be made of it."""
    if isinstance(item, dict):
        fields = [field.name for field in msgspec.structs.fields(kind)]
        unknown = [key for key in item if key not in fields]
        mistakes += [f"{place}: unknown key {key!r}{suggest(key, fields)}" for key in unknown]
        item = {key: value for key, value in item.items() if key in fields}
    try:
        return msgspec.convert(item, kind)
    except msgspec.ValidationError as error:
        text, _, where = str(error).partition(" - at `$")
        mistakes.append(f"{place} {_in_words(text, where.strip('`.'), kind)}")
        return None


def _in_words(text: str, key: str, kind: type[Struct]) -> str:
    """What the validator says, as what is there and what must be there."""
    if missing := re.fullmatch(r"Object missing required field `(\w+)`", text):
        return f"{key + ' ' if key else ''}{missing[1]} is missing"
    if wrong := re.fullmatch(r"Expected `(.+)`, got `(.+)`", text):
        words = [word for word in wrong[1].split(" | ") if word != "null"]
        wanted = " or ".join(WORDS.get(word, word) for word in words if (word, "float") != ("int", words[-1]))
        return f"{key or 'as a whole'} is {WORDS.get(wrong[2], wrong[2])}; it must be {wanted}"
    if wrong := re.fullmatch(r"Invalid enum value (.+)", text):
        allowed = [value for value in get_args(get_type_hints(kind).get(key)) if isinstance(value, str)]
        return f"{key} is {wrong[1]}; it must be {' or '.join(map(repr, allowed)) or 'another one'}"
    return f"{key}: {text}"


def suggest(key: str, known: list[str]) -> str:
    """The end of a message about a word that is unknown."""
    import difflib  # only for a mistake

    close = difflib.get_close_matches(key, known, 1)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(sorted(known))}"
