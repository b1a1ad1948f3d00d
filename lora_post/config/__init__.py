"""TOML → frozen `Config`; reports every mistake at once, with its place and the fix."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from msgspec import Struct

from lora_post.config.alerts import AlertsConfig, read_alerts
from lora_post.config.device_files import read_device_files
from lora_post.config.devices import DevicePlace, read_devices
from lora_post.config.fleet import FleetConfig, Role, check_destinations, check_homes, read_fleet
from lora_post.config.inputs import InputConfig, read_inputs
from lora_post.config.keys import KEY_NAMES
from lora_post.config.location import read_location
from lora_post.config.network import read_network
from lora_post.config.not_toml import not_toml, toml_text
from lora_post.config.status import StatusConfig, read_status
from lora_post.config.tables import HOMES, LISTS, TABLES, DecodersTable, GatewayTable, SpoolTable
from lora_post.config.toml_document import read_toml
from lora_post.config.upload import UploadRules, read_upload
from lora_post.downlink.network import Network
from lora_post.errors import ConfigError, Problem
from lora_post.formats.server_queues import SERVERS
from lora_post.model import Device, Link, Location
from lora_post.sinks import SINKS
from lora_post.sinks.destination import DeviceBook, Site
from lora_post.spool.lanes import WhenFull
from lora_post.text import did_you_mean
from lora_post.toml_table import TableReader

DEFAULT_PATHS = (Path("lora-post.toml"), Path("/etc/lora-post/lora-post.toml"))
MIN_SPOOL_MB = 1

_LOOKS_LIKE_A_NUMBER = re.compile(r"[0-9]+([.eE][0-9]+)?")


class Change(Struct, frozen=True):
    """A change that is tried before it is made.

    texts: what some files are going to hold. more: devices that stand in none yet.
    """

    texts: Mapping[Path, str] = {}
    more: tuple[TableReader, ...] = ()


class Config(Struct, frozen=True, dict=True):
    """The whole configuration, checked.

    destinations: what `SINKS` has read of each table that readings go to; the keys name their queues in the spool, too.
    network: what devices are answered with, None where lora-post only listens.
    fleet: the part in a fleet, None without one.
    device_places: where each device stands, by id. device_files: those beside the configuration.
    warnings: what works but should be put right. left_out: the mistakes of devices that are not among `devices`.
    senders_left_out: the addresses of these.
    """

    path: Path | None
    gateway_id: str
    gateway_name: str
    visibility: str
    location: Location | None
    destinations: Mapping[str, object]
    status: StatusConfig | None
    alerts: AlertsConfig
    spool_path: Path
    spool_max_bytes: int
    spool_when_full: WhenFull
    keep_strangers: bool
    decoder_folder: Path | None
    inputs: tuple[InputConfig, ...]
    network: Network | None
    fleet: FleetConfig | None
    devices: tuple[Device, ...]
    device_places: Mapping[str, DevicePlace]
    device_files: tuple[Path, ...]
    upload: UploadRules
    warnings: tuple[Problem, ...]
    left_out: tuple[Problem, ...] = ()
    senders_left_out: frozenset[str] = frozenset()

    @property
    def gives_to_servers(self) -> bool:
        """Whether network servers are given what waits for their devices."""
        return any(each.transmit and each.format in SERVERS for each in self.inputs)

    @property
    def reachable(self) -> frozenset[Link]:
        """The links of the devices that something can be sent to."""
        own = {Link.LORAWAN, Link.LOWCOST} if self.network else set()
        return frozenset(own | ({Link.SERVER} if self.gives_to_servers else set()))

    @cached_property
    def site(self) -> Site:
        """What destinations get to know of this gateway and its devices; those may be replaced while it runs."""
        return Site(self.gateway_id, self.gateway_name, self.visibility, DeviceBook(self.devices), self.location)


def find_config() -> Path:
    """Return the configuration file that is used when none is named.

    Raises ConfigError when there is none.
    """
    for path in DEFAULT_PATHS:
        try:
            if path.exists():
                return path
        except OSError:  # in a folder that is closed to this user: reading it will say so
            return path
    places = " or ".join(map(str, DEFAULT_PATHS))
    raise ConfigError(
        f"no configuration: there is no {places}", fix="name one with -c FILE, or write one with `lora-post init`"
    )


def load_config(path: Path, environ: Mapping[str, str] = os.environ) -> Config:
    """Read and check a configuration and its files of devices. Raises ConfigError with one line for each mistake."""
    return _faultless(*examine_config(path, environ))


def load_what_works(path: Path) -> Config:
    """Read a configuration whose devices may have mistakes: `left_out` has them. Raises ConfigError for any other."""
    config, mistakes = examine_config(path)
    left_out = frozenset(config.left_out if config else ())
    return _faultless(config, tuple(each for each in mistakes if each not in left_out))


def parse_config(text: str, path: Path, environ: Mapping[str, str]) -> Config:
    """Check the text of a configuration, without other files of devices. Raises ConfigError.

    path: where it is, for messages and relative paths.
    """
    return _faultless(*_examine(text, path, environ, []))


def examine_config(
    path: Path, environ: Mapping[str, str] = os.environ, change: Change | None = None
) -> tuple[Config | None, tuple[Problem, ...]]:
    """Return as much of a configuration and its files of devices as makes sense, and their mistakes.

    The first is None when the file cannot be read or is not TOML. Tables with mistakes are left out, so only a
    configuration without mistakes may be run; the rest of one with mistakes can still be checked.
    change: what it would be after that.
    """
    change = change or Change()
    try:
        text = change.texts.get(path) or toml_text(path.read_bytes())
    except OSError as error:
        return None, (Problem(f"{path}: {error.strerror}"),)
    except ConfigError as error:
        return None, (error.problem.at(str(path)),)
    texts = {file: text for file, text in change.texts.items() if file != path}
    return _examine(text, path, environ, [*read_device_files(path, environ, texts), *change.more])


def _examine(
    text: str, path: Path, environ: Mapping[str, str], files: Sequence[TableReader]
) -> tuple[Config | None, tuple[Problem, ...]]:
    """files: of devices."""
    try:
        document = read_toml(text)
    except tomllib.TOMLDecodeError as error:
        return None, (not_toml(text, error, LISTS).at(str(path)),)
    reader = TableReader(document, path, environ, text=text)
    config = _read(reader, files)
    return config, tuple(mistake.at(str(each.path)) for each in (reader, *files) for mistake in each.mistakes)


def _faultless(config: Config | None, mistakes: tuple[Problem, ...]) -> Config:
    if config is None or mistakes:
        raise ConfigError("\n".join(map(str, mistakes)))
    return config


def _read(reader: TableReader, files: Sequence[TableReader]) -> Config:
    """Return the configuration of what is right in a document and its files of devices."""
    for each in (reader, *files):
        each.homes = HOMES
    for key, value in reader.document.items():
        if key not in TABLES and key not in LISTS:
            if key in HOMES and not isinstance(value, dict | list):
                reader.refuse(f"{key} stands above all tables", f"it belongs to {HOMES[key]}: write it below that line")
            else:
                reader.refuse(f"unknown table [{key}]", did_you_mean(key, [*TABLES, *LISTS]))
    if "gateway" not in reader.document:
        reader.refuse("[gateway] is missing", 'it needs at least id = "…"')
    gateway = reader.table("gateway", GatewayTable) or GatewayTable("gateway")
    spool = reader.table("spool", SpoolTable) or SpoolTable()
    decoders = reader.table("decoders", DecodersTable) or DecodersTable()
    reader.check_id("[gateway] id", gateway.id)
    if _LOOKS_LIKE_A_NUMBER.fullmatch(gateway.id):
        reader.warn(
            f"[gateway] id {gateway.id!r} looks like a number, so Waziup cannot list this gateway's devices",
            "put a letter in front",
        )
    if spool.max_mb < MIN_SPOOL_MB:
        reader.refuse(f"[spool] max_mb is {spool.max_mb}", f"it must be at least {MIN_SPOOL_MB}")
    destinations = _read_destinations(reader, reader.folder / spool.path)
    status = read_status(reader)
    alerts = read_alerts(reader)
    known = read_devices((reader, *files), gateway)
    network = read_network(reader)
    fleet = read_fleet(reader)
    check_homes(reader, fleet, gateway.id, known.devices)
    check_destinations(reader, fleet, destinations)
    inputs: tuple[InputConfig, ...] = ()
    if fleet is None or Role.GATEWAY in fleet.roles:
        inputs = read_inputs(reader, network, answers="network" in reader.document)
    elif "input" in reader.document:
        reader.warn("[[input]]: only a gateway of a fleet hears frames itself", 'remove it, or add the role "gateway"')
    for each in (reader, *files):
        _check_readable_by_others(each)
    return Config(
        path=reader.path,
        gateway_id=gateway.id,
        gateway_name=gateway.name or gateway.id,
        visibility=gateway.visibility,
        location=read_location(reader, "[gateway]", gateway.location),
        destinations=destinations,
        status=status,
        alerts=alerts,
        spool_path=reader.folder / spool.path,
        spool_max_bytes=spool.max_mb << 20,
        spool_when_full=spool.when_full,
        keep_strangers=spool.keep_strangers,
        decoder_folder=reader.folder / decoders.folder if decoders.folder else None,
        inputs=inputs,
        network=network,
        fleet=fleet,
        devices=known.devices,
        device_places=known.places,
        device_files=tuple(each.path for each in files),
        upload=read_upload(reader),
        warnings=tuple(warning for each in (reader, *files) for warning in each.warnings),
        left_out=known.left_out,
        senders_left_out=known.senders_left_out,
    )


def _read_destinations(reader: TableReader, spool: Path) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, destination in SINKS.items():
        table = reader.table(name, destination.table)
        if table is None:
            continue
        found[name] = settings = destination.read(reader, table)
        for file in destination.files(settings):
            if file.path == spool:
                reader.refuse(f"{file.key} is the spool's own file", "name another one")
    return found


def _check_readable_by_others(reader: TableReader) -> None:
    try:
        text = reader.path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return
    names = "|".join(("password", "smtp_password", "webhook_token", "token", "app_keys", *KEY_NAMES))
    if re.search(rf"(?m)^\s*({names})\s*=", text):
        reader.check_mode(reader.path)
