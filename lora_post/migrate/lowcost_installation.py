"""Read what a LowCostLoRaGw installation is set up to do; nothing in its files is executed.

Settings are in gateway_conf.json and clouds.json, names and keys in Python files that hold assignments:

    key_WAZIUP.py   organization_name, service_tree, sensor_name, username, password, visibility, source_list, …
    key_AES.py      device_key = {"default": {"AppSKey": …, "NwkSKey": …}, "00000009": {…}, …}
    key_LoRaWAN.py  the same for LoRaWAN devices; installations from before November 2019 have those in key_AES.py
    key_AppKey.py   app_key_list = ["\\x05\\x06\\x07\\x08", …]

Source: CongducPham/LowCostLoRaGw: gw_full_latest, the files named above and CloudWAZIUP.py.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from hashlib import md5
from pathlib import Path
from typing import BinaryIO, Final

from msgspec import Struct

from lora_post.errors import ConfigError
from lora_post.model import Link, address_text
from lora_post.secret import Secret

MAX_FILE: Final = 1 << 20
MAX_LINE: Final = 4096
MAX_ADDRESSES: Final = 1000
CLOUD_LISTS: Final = ("clouds", "encrypted_clouds", "lorawan_encrypted_clouds")
DEFAULT_KEY: Final = "default"
ENCRYPTED: Final = 0x04  # in the packet type

_said: Final = re.compile(rb"type=0x([0-9A-Fa-f]{2})\S* src=(0x[0-9A-Fa-f]{8}|[0-9]{1,3}) ").search
_packet: Final = re.compile(rb"\^p-?[0-9]+,([0-9]{1,3}),([0-9]{1,3})(?:,-?[0-9]+){4}\r?\n").fullmatch


class Address(Struct, frozen=True, order=True):
    """The sender of a frame: a DevAddr, or an address of LowCostLoRaGw's header."""

    link: Link
    number: int

    @property
    def old_text(self) -> str:
        """Return a text as the old uploader writes it into device ids."""
        return f"0x{self.number:08X}" if self.link is Link.LORAWAN else str(self.number)

    @property
    def text(self) -> str:
        return address_text(self.link, self.number)


class KeyPair(Struct, frozen=True):
    """Session keys, 32 hex digits each."""

    nwk_skey: Secret
    app_skey: Secret


class Site(Struct, frozen=True):
    """An installation. missing: what could not be read, in words.

    gateway_id: as devices were named after it, perhaps a placeholder, see `has_own_id`.
    organization, service_tree, sensor_name: parts of every device id. keys, lorawan_keys: by DevAddr as 8 upper-case
    hex digits, or `default`. app_keys: 8 hex digits each. clouds: names of those that are switched on, without
    Waziup's. is_waziup_off: that one is there and switched off. conf: the tables of gateway_conf.json.
    """

    gateway_id: str
    organization: str
    service_tree: str
    sensor_name: str
    username: str
    password: Secret
    visibility: str
    server: str
    source_list: tuple[Address, ...]
    keys: Mapping[str, KeyPair]
    lorawan_keys: Mapping[str, KeyPair]
    app_keys: tuple[Secret, ...]
    clouds: tuple[str, ...]
    is_waziup_off: bool
    conf: Mapping[str, Mapping[str, object]]
    missing: tuple[str, ...]

    @property
    def has_own_id(self) -> bool:
        """Whether the id is one; not what the file that is shipped has in its place."""
        return "XXXX" not in self.gateway_id

    def device_id(self, address: Address | str) -> str:
        """Return the id that the old uploader gave a device. address: or the word in its place."""
        text = address if isinstance(address, str) else address.old_text
        suffix = ""
        if self.organization == "ORG" or self.username == "guest":
            suffix = "_" + md5(self.gateway_id.encode(), usedforsecurity=False).hexdigest()
        return f"{self.organization}{self.service_tree}_{self.sensor_name}{text}{suffix}"


def read_site(folder: Path) -> Site:
    """Read an installation.

    Raises ConfigError when its gateway_conf.json does not name the gateway.
    """
    missing: list[str] = []
    path = folder / "gateway_conf.json"
    if not path.is_file():
        raise ConfigError(
            f"{folder}: no gateway_conf.json here", fix="name the folder of LowCostLoRaGw's post-processing"
        )
    conf = {name: table for name, table in _json(path, missing).items() if isinstance(table, dict)}
    gateway_id = conf.get("gateway_conf", {}).get("gateway_ID")
    if not isinstance(gateway_id, str) or not gateway_id:
        raise ConfigError(f"{path}: gateway_conf has no gateway_ID", fix="the names of all devices follow from it")
    waziup = _assigned(folder / "key_WAZIUP.py", missing)
    clouds = list(_clouds(folder / "clouds.json", missing))
    of_waziup = [cloud for cloud in clouds if _is_waziup(cloud)]

    def text(name: str, default: str) -> str:
        value = waziup.get(name, default)
        return value if isinstance(value, str) and _is_text(value) else default

    return Site(
        gateway_id=gateway_id,
        organization=text("organization_name", "ORG"),
        service_tree=text("service_tree", ""),
        sensor_name=text("sensor_name", "Sensor"),
        username=text("username", "guest"),
        password=Secret(text("password", "guest")),
        visibility=text("visibility", "public"),
        server=text("waziup_server", ""),
        source_list=tuple(_listed(waziup.get("source_list"), missing)),
        keys=_key_file(folder / "key_AES.py", missing),
        lorawan_keys=_key_file(lorawan, missing) if (lorawan := folder / "key_LoRaWAN.py").exists() else {},
        app_keys=tuple(_app_keys(_assigned(folder / "key_AppKey.py", missing).get("app_key_list"))),
        clouds=tuple(
            str(cloud.get("name", "without a name")) for cloud in clouds if _is_on(cloud) and not _is_waziup(cloud)
        ),
        is_waziup_off=bool(of_waziup) and not any(map(_is_on, of_waziup)),
        conf=conf,
        missing=tuple(missing),
    )


def read_heard(stream: BinaryIO) -> dict[Address, int]:
    """Return the addresses in a radio program's output, with the bits of their packet types."""
    found: dict[Address, int] = {}
    while line := stream.readline(MAX_LINE):
        if (packet := _packet(line)) or (packet := _said(line)):
            kind, source = int(packet[1], 16 if line[:2] != b"^p" else 10), packet[2].decode()
            address = _address(source)
            if address is not None and (address in found or len(found) < MAX_ADDRESSES):
                found[address] = found.get(address, 0) | (kind if address.link is Link.LOWCOST else 0)
    return found


def read_assignments(text: str) -> dict[str, object]:
    """Return the plain values that a Python file gives to names. Raises ConfigError."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ConfigError(f"cannot be read as Python: {error}") from error
    found: dict[str, object] = {}
    for node in tree.body:
        if not isinstance(node, ast.Assign):
            continue
        try:
            value = ast.literal_eval(node.value)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            continue  # computed from others, such as service_path
        found |= {target.id: value for target in node.targets if isinstance(target, ast.Name)}
    return found


def _address(text: str) -> Address | None:
    """Read an address as the old program writes it: 2 to 255, or a DevAddr with or without 0x."""
    if re.fullmatch(r"[0-9]{1,3}", text):
        return Address(Link.LOWCOST, int(text)) if 1 < int(text) < 256 else None
    digits = text.removeprefix("0x")
    return Address(Link.LORAWAN, int(digits, 16)) if re.fullmatch(r"[0-9A-Fa-f]{8}", digits) else None


def _text(path: Path) -> str:
    """Return the text of a file. Raises ConfigError."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE + 1)
    except OSError as error:
        raise ConfigError(str(error.strerror)) from error
    if len(data) > MAX_FILE:
        raise ConfigError("it is too large for what it should be")
    return data.decode("utf-8", "replace")


def _json(path: Path, missing: list[str]) -> Mapping[str, object]:
    try:
        found = json.loads(_text(path))
    except (ConfigError, ValueError, RecursionError) as error:
        missing.append(f"{path.name}: {error}")
        return {}
    return found if isinstance(found, dict) else {}


def _assigned(path: Path, missing: list[str]) -> Mapping[str, object]:
    try:
        return read_assignments(_text(path))
    except ConfigError as error:
        missing.append(f"{path.name}: {error}")
        return {}


def _listed(value: object, missing: list[str]) -> Iterator[Address]:
    for item in value if isinstance(value, (list, tuple)) else ():
        address = _address(str(item))
        if address is None:
            missing.append(f"source_list: {str(item)[:40]!r} is not an address")
        else:
            yield address


def _key_file(path: Path, missing: list[str]) -> dict[str, KeyPair]:
    return dict(_keys(path.name, _assigned(path, missing).get("device_key"), missing))


def _keys(file: str, table: object, missing: list[str]) -> Iterator[tuple[str, KeyPair]]:
    for name, pair in table.items() if isinstance(table, dict) else ():
        keys = [pair.get(which) for which in ("NwkSKey", "AppSKey")] if isinstance(pair, dict) else []
        label = str(name)[:40]
        if label != DEFAULT_KEY and not re.fullmatch(r"[0-9A-Fa-f]{8}", label):
            missing.append(f"{file}: {label!r} is not an address of 8 hex digits")
        elif len(keys) != 2 or not all(isinstance(key, str) and re.fullmatch(r"[0-9A-Fa-f]{32}", key) for key in keys):
            missing.append(f"{file}: the keys of {label!r} are not two times 32 hex digits")
        else:
            yield label if label == DEFAULT_KEY else label.upper(), KeyPair(*(Secret(str(key)) for key in keys))


def _app_keys(value: object) -> Iterator[Secret]:
    """Return application keys in hex; they are written as four characters or as 8 hex digits."""
    for item in value if isinstance(value, (list, tuple)) else ():
        text = item.decode("latin-1") if isinstance(item, bytes) else str(item)
        if len(text) == 4 and all(ord(character) < 256 for character in text):
            yield Secret(text.encode("latin-1").hex())
        elif re.fullmatch(r"[0-9A-Fa-f]{8}", text):
            yield Secret(text.lower())


def _clouds(path: Path, missing: list[str]) -> Iterator[Mapping[str, object]]:
    tables = _json(path, missing)
    for key in CLOUD_LISTS:
        clouds: Iterable[object] = found if isinstance(found := tables.get(key), list) else ()
        yield from (cloud for cloud in clouds if isinstance(cloud, dict))


def _is_on(cloud: Mapping[str, object]) -> bool:
    return cloud.get("enabled") is True


def _is_waziup(cloud: Mapping[str, object]) -> bool:
    return "CloudWAZIUP.py" in str(cloud.get("script"))


def _is_text(text: str) -> bool:
    return text.isprintable() and text.encode("utf-8", "replace").decode() == text
