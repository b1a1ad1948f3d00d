"""TOML → frozen `Config`; reports every mistake at once, with its place and the fix.

Secrets may stand in the file, in a file of their own (`password_file`), or in an environment
variable (`password_env`, for the password also LORA_POST_WAZIUP_PASSWORD).
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from lora_post.config_decoders import read_decoder, read_decoder_by_fport, read_decoder_rules
from lora_post.config_sensors import read_sensors
from lora_post.config_tables import (
    LISTS,
    PUBLIC_URL,
    TABLES,
    DecoderRuleTable,
    DecodersTable,
    DeviceTable,
    GatewayTable,
    InputTable,
    SpoolTable,
    WaziupTable,
    convert_table,
    suggest,
)
from lora_post.crypto import SessionKeys
from lora_post.errors import ConfigError
from lora_post.model import Device, Link, address_text
from lora_post.secret import Secret
from lora_post.waziup_names import MAX_ID

DEFAULT_PATHS = (Path("lora-post.toml"), Path("/etc/lora-post/lora-post.toml"))
PASSWORD_ENV = "LORA_POST_WAZIUP_PASSWORD"  # noqa: S105 - the variable's name
MIN_SPOOL_MB = 1

_ID = re.compile(r"(?!\.\.?$)[A-Za-z0-9_.-]+")
_LOOKS_LIKE_A_NUMBER = re.compile(r"[0-9]+([.eE][0-9]+)?")


class WaziupConfig(Struct, frozen=True):
    """Where readings go. password None: no account, the simple protocol."""

    url: str
    username: str
    password: Secret | None
    provision: bool


class InputConfig(Struct, frozen=True):
    """Where bytes come from, and what they are."""

    url: str
    format: str


class Config(Struct, frozen=True):
    """The whole configuration, checked.

    warnings: what works but should be put right, one line each.
    """

    path: Path | None
    gateway_id: str
    gateway_name: str
    visibility: str
    waziup: WaziupConfig | None
    spool_path: Path
    spool_max_bytes: int
    decoder_folder: Path | None
    inputs: tuple[InputConfig, ...]
    devices: tuple[Device, ...]
    warnings: tuple[str, ...]


def find_config() -> Path:
    """The configuration file that is used when none is named.

    Raises ConfigError when there is none.
    """
    for path in DEFAULT_PATHS:
        try:
            if path.exists():
                return path
        except OSError:  # in a folder that is closed to this user: reading it will say so
            return path
    places = " or ".join(map(str, DEFAULT_PATHS))
    raise ConfigError(f"no configuration: there is no {places}; name one with -c FILE (see lora-post.example.toml)")


def load_config(path: Path, environ: Mapping[str, str] = os.environ) -> Config:
    """Read and check a configuration file. Raises ConfigError with one line for each mistake."""
    return _faultless(*examine_config(path, environ))


def parse_config(text: str, path: Path, environ: Mapping[str, str]) -> Config:
    """Check the text of a configuration; `path` is where it stands, for messages and relative paths."""
    return _faultless(*_examine(text, path, environ))


def examine_config(path: Path, environ: Mapping[str, str] = os.environ) -> tuple[Config | None, tuple[str, ...]]:
    """As much of a configuration file as makes sense, and its mistakes, one line each.

    None when the file cannot be read or is not TOML. Tables with mistakes are left out, so only a
    configuration without mistakes may be run; the rest of one with mistakes can still be checked.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return None, (f"{path}: {getattr(error, 'strerror', None) or error}",)
    return _examine(text, path, environ)


def _examine(text: str, path: Path, environ: Mapping[str, str]) -> tuple[Config | None, tuple[str, ...]]:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return None, (f"{path}: not TOML: {error}",)
    reader = _Reader(path, environ)
    config = reader.read(document)
    return config, tuple(f"{path}: {mistake}" for mistake in reader.mistakes)


def _faultless(config: Config | None, mistakes: tuple[str, ...]) -> Config:
    if config is None or mistakes:
        raise ConfigError("\n".join(mistakes))
    return config


T = TypeVar("T", bound=Struct)


class _Reader:
    """Reads one document, collecting mistakes and warnings on the way."""

    def __init__(self, path: Path, environ: Mapping[str, str]) -> None:
        self.path = path
        self.folder = path.parent
        self.environ = environ
        self.mistakes: list[str] = []
        self.warnings: list[str] = []

    def read(self, document: dict[str, object]) -> Config:
        for key in document:
            if key not in TABLES and key not in LISTS:
                self.mistakes.append(f"unknown table [{key}]{suggest(key, [*TABLES, *LISTS])}")
        if "gateway" not in document:
            self.mistakes.append('[gateway] is missing; it needs at least id = "…"')
        gateway = self._table(document, "gateway", GatewayTable) or GatewayTable("gateway")
        spool = self._table(document, "spool", SpoolTable) or SpoolTable()
        decoders = self._table(document, "decoders", DecodersTable) or DecodersTable()
        waziup = self._waziup(document)
        self._check_id("[gateway] id", gateway.id)
        if _LOOKS_LIKE_A_NUMBER.fullmatch(gateway.id):
            self.warnings.append(
                f"[gateway] id {gateway.id!r} looks like a number, so Waziup cannot list this gateway's devices; "
                "put a letter in front"
            )
        if spool.max_mb < MIN_SPOOL_MB:
            self.mistakes.append(f"[spool] max_mb is {spool.max_mb}; it must be at least {MIN_SPOOL_MB}")
        devices = self._devices(document, gateway)
        inputs = self._list(document, "input", InputTable) or [("", InputTable())]
        self._check_readable_by_others()
        return Config(
            path=self.path,
            gateway_id=gateway.id,
            gateway_name=gateway.name or gateway.id,
            visibility=gateway.visibility,
            waziup=waziup,
            spool_path=self.folder / spool.path,
            spool_max_bytes=spool.max_mb << 20,
            decoder_folder=self.folder / decoders.folder if decoders.folder else None,
            inputs=tuple(InputConfig(table.url, table.format) for _, table in inputs),
            devices=devices,
            warnings=tuple(self.warnings),
        )

    def _table(self, document: dict[str, object], name: str, kind: type[T]) -> T | None:
        if name not in document:
            return None
        return self._convert(document[name], f"[{name}]", kind)

    def _list(self, document: dict[str, object], name: str, kind: type[T]) -> list[tuple[str, T]]:
        items = document.get(name, [])
        if not isinstance(items, list):
            self.mistakes.append(f"[{name}] must be written [[{name}]], once for each {name}")
            return []
        places = [f"[[{name}]] number {number}" for number in range(1, len(items) + 1)]
        tables = [(place, self._convert(item, place, kind)) for place, item in zip(places, items, strict=True)]
        return [(place, table) for place, table in tables if table is not None]

    def _convert(self, item: object, place: str, kind: type[T]) -> T | None:
        return convert_table(item, place, kind, self.mistakes)

    def _waziup(self, document: dict[str, object]) -> WaziupConfig | None:
        table = self._table(document, "waziup", WaziupTable)
        if table is None:
            return None
        if not re.match(r"https?://[^/]", table.url):
            self.mistakes.append(f'[waziup] url is {table.url!r}; it must start with https://, as "{PUBLIC_URL}"')
        elif table.url.startswith("http:") and not _is_local(table.url):
            self.warnings.append("[waziup] url starts with http://, so the password travels in clear; use https://")
        password = self._secret("[waziup]", "password", table, PASSWORD_ENV)
        if bool(table.username) != bool(password):
            given, missing = ("username", "password") if table.username else ("password", "username")
            self.mistakes.append(f"[waziup] has a {given} and no {missing}; give both, or neither (simple protocol)")
        if table.provision == "auto" and not table.username:
            self.mistakes.append(
                '[waziup] provision = "auto" creates devices and needs username and password; '
                'for public devices that exist already set provision = "never"'
            )
        return WaziupConfig(table.url, table.username, password, table.provision == "auto")

    def _devices(self, document: dict[str, object], gateway: GatewayTable) -> tuple[Device, ...]:
        devices: list[Device] = []
        places: dict[str, str] = {}
        rules = read_decoder_rules(self._list(document, "decoder_rule", DecoderRuleTable), self.mistakes)
        for place, table in self._list(document, "device", DeviceTable):
            device = self._device(place, table, gateway, rules)
            if device is None:
                continue
            if device.id in places:
                self.mistakes.append(f"{place}: id {device.id!r} is the one of {places[device.id]}; ids must differ")
            places[device.id] = place
            twins = [d for d in devices if (d.link, d.address, d.keys) == (device.link, device.address, device.keys)]
            if twins or (device.link is Link.LOWCOST and any(_same_address(d, device) for d in devices)):
                self.mistakes.append(
                    f"{place}: address {device.address_text} with the same keys is listed before; "
                    "nothing could tell the two devices apart"
                )
            devices.append(device)
        return tuple(devices)

    def _device(self, place: str, table: DeviceTable, gateway: GatewayTable, rules: Mapping[str, str]) -> Device | None:
        decoder = read_decoder(place, table, rules, self.mistakes)
        decoder_by_fport = read_decoder_by_fport(place, table, self.mistakes)
        sensors = read_sensors(table.sensor, place, self.mistakes)
        address = self._address(place, table)
        keys = self._keys(place, table)
        app_keys = [self._hex(place, "app_keys", text, 4, secret=True) for text in table.app_keys]
        if address is None:
            return None
        link, number = address
        if link is Link.LORAWAN and keys is None:
            self.mistakes.append(f"{place}: a LoRaWAN device needs nwk_skey and app_skey, 32 hex digits each")
        if link is Link.LORAWAN and table.app_keys:
            self.mistakes.append(f"{place} app_keys: only devices with `address` send application keys; remove it")
        device_id = table.id or f"{gateway.id}-{address_text(link, number)}"
        self._check_id(f"{place} id", device_id)
        return Device(
            id=device_id,
            name=table.name or device_id,
            link=link,
            address=number,
            decoder=decoder,
            keys=keys,
            app_keys=frozenset(key for key in app_keys if key),
            visibility=table.visibility or gateway.visibility,
            decoder_by_fport=decoder_by_fport,
            options=table.options,
            sensors=sensors,
        )

    def _address(self, place: str, table: DeviceTable) -> tuple[Link, int] | None:
        if bool(table.dev_addr) == (table.address is not None):
            self.mistakes.append(
                f"{place}: give either dev_addr (LoRaWAN, 8 hex digits) or address (LowCostLoRaGw, 2 to 255)"
            )
        elif table.address is not None:
            if 1 < table.address < 256:
                return Link.LOWCOST, table.address
            self.mistakes.append(f"{place} address is {table.address}; it must be between 2 and 255 (1 is the gateway)")
        else:
            dev_addr = self._hex(place, "dev_addr", table.dev_addr.removeprefix("0x"), 4)
            if dev_addr:
                return Link.LORAWAN, int.from_bytes(dev_addr)
        return None

    def _keys(self, place: str, table: DeviceTable) -> SessionKeys | None:
        nwk = self._secret(place, "nwk_skey", table)
        app = self._secret(place, "app_skey", table)
        if nwk is None and app is None:
            return None
        if nwk is None or app is None:
            missing = "nwk_skey" if nwk is None else "app_skey"
            self.mistakes.append(f"{place}: {missing} is missing; a device with keys needs both")
            return None
        nwk_bytes = self._hex(place, "nwk_skey", nwk.reveal(), 16, secret=True)
        app_bytes = self._hex(place, "app_skey", app.reveal(), 16, secret=True)
        return SessionKeys(nwk_bytes, app_bytes) if nwk_bytes and app_bytes else None

    def _hex(self, place: str, key: str, text: str, size: int, *, secret: bool = False) -> bytes:
        digits = "".join(text.split()).replace(":", "")
        if re.fullmatch(r"[0-9A-Fa-f]*", digits) and len(digits) == 2 * size:
            return bytes.fromhex(digits)
        found = f"has {len(digits)} characters"
        if len(digits) == 2 * size:
            found = "has a character that is no hex digit" if secret else f"is {text!r}"
        self.mistakes.append(f"{place} {key} {found}; it must be {2 * size} hex digits")
        return b""

    def _secret(self, place: str, key: str, table: Struct, default_env: str = "") -> Secret | None:
        """The value of `key`, `key_file` or `key_env`, whichever is given."""
        text, file, variable = (getattr(table, key + suffix) for suffix in ("", "_file", "_env"))
        if sum(map(bool, (text, file, variable))) > 1:
            self.mistakes.append(f"{place}: give only one of {key}, {key}_file and {key}_env")
        if text:
            return Secret(text)
        if file:
            return self._secret_file(f"{place} {key}_file", self.folder / file)
        if variable and not self.environ.get(variable):
            self.mistakes.append(f"{place} {key}_env: the environment variable {variable} is not set")
        value = self.environ.get(variable or default_env, "")
        return Secret(value) if value else None

    def _secret_file(self, place: str, path: Path) -> Secret | None:
        try:
            text = path.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            self.mistakes.append(f"{place}: {error}")
            return None
        if not text:
            self.mistakes.append(f"{place}: {path} is empty")
        self._check_mode(path)
        return Secret(text) if text else None

    def _check_readable_by_others(self) -> None:
        try:
            text = self.path.read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            return
        if re.search(r"(?m)^\s*(password|nwk_skey|app_skey|app_keys)\s*=", text):
            self._check_mode(self.path)

    def _check_mode(self, path: Path) -> None:
        if path.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
            self.warnings.append(f"{path} holds secrets and everybody may read it; run: chmod 640 {path}")

    def _check_id(self, place: str, text: str) -> None:
        if not _ID.fullmatch(text) or len(text) > MAX_ID:
            self.mistakes.append(f"{place} is {text!r}; Waziup takes 1 to {MAX_ID} letters, digits, '_', '-' and '.'")


def _same_address(one: Device, other: Device) -> bool:
    return (one.link, one.address) == (other.link, other.address)


def _is_local(url: str) -> bool:
    return bool(re.match(r"http://(127\.|localhost[:/]|\[::1\])", url))
