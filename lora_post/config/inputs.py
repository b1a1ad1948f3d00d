"""[[input]] tables → where frames come from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from msgspec import Struct

from lora_post.config.tables import InputTable
from lora_post.downlink.network import Network
from lora_post.errors import ConfigError
from lora_post.formats import FORMATS
from lora_post.formats.at_send import radio_of
from lora_post.formats.at_setup import MODULES
from lora_post.formats.bare_payload import BARE_FORMATS
from lora_post.formats.server_queues import SERVERS
from lora_post.net.hosts import is_this_machine
from lora_post.net.input_url import check_input_url, scheme_of
from lora_post.net.mqtt_url import EXAMPLE, read_mqtt_url
from lora_post.secret import Secret
from lora_post.text import bare_hex
from lora_post.toml_table import TableReader


class InputConfig(Struct, frozen=True):
    """Where bytes come from, and what they are.

    gateways: the EUIs of the packet forwarders that are listened to, 16 hex digits each; empty: all.
    password: of the user at a broker. ca_file: certificates that prove the broker; None: the system's.
    setup: commands for a serial module. address: of the device that sends payloads without a header; None: frames
    have a header. transmit: devices are answered by it, or it is a server that is given what is to
    be sent. network: what stations are told of it. cert_file, key_file: what stations see of this server; None: it is
    not encrypted. downlink_dir: of a radio program that is answered by.
    at_window: the gateways send at once what they are given.
    """

    url: str
    format: str
    gateways: frozenset[str] = frozenset()
    password: Secret | None = None
    ca_file: Path | None = None
    setup: tuple[str, ...] = ()
    address: int | None = None
    transmit: bool = False
    network: Network | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    downlink_dir: Path | None = None
    at_window: bool = False


GATEWAYS: Final = {"udp": "rxpk", "station": "station"}
"""Schemes of inputs that are servers for gateways, and what those send."""
MQTT_GATEWAYS: Final = "gateway"
"""The format of gateways behind a broker."""


def read_inputs(reader: TableReader, network: Network | None, *, answers: bool) -> tuple[InputConfig, ...]:
    """Return the inputs of a document; stdin when it names none.

    network: as it is configured, None also when that has a mistake. answers: whether devices are answered.
    """
    tables = reader.list("input", InputTable) or [("[[input]]", InputTable())]
    for place, table in tables:
        if table.transmit and not _can_transmit(table):
            fix = "remove it"
            if scheme_of(table.url) == "serial":
                fix = "with format rn2483 or rak, and frequency and spreading factor in setup, a module can"
            reader.refuse(f"{place} transmit: only gateways (udp://…, station://…) can transmit", fix)
        elif table.transmit is not None and not answers and not _is_server(table):
            reader.refuse(
                f"{place} transmit: nothing is transmitted without a [network]", "add [network], or remove it"
            )
        if scheme_of(table.url) == "station" and not answers:
            reader.refuse(f"{place}: a station is told the channels of a region", 'add [network] with region = "EU868"')
    read = (_input(reader, place, table, network, answers=answers) for place, table in tables)
    inputs = tuple(each for each in read if each is not None)
    if answers and not any(each.transmit and each.format not in SERVERS for each in inputs):
        reader.warn("[network]: no [[input]] can transmit, so no device is answered", 'add one with url = "udp://…"')
    return inputs


def _can_transmit(table: InputTable) -> bool:
    scheme = scheme_of(table.url)
    if scheme in ("mqtt", "mqtts"):
        return table.format in (MQTT_GATEWAYS, *SERVERS)
    if scheme == "serial":
        return isinstance(table.setup, list) and radio_of(table.format, table.setup) is not None
    return scheme in GATEWAYS or bool(table.downlink_dir)


def _is_server(table: InputTable) -> bool:
    """Tell whether it is a network server, which answers its devices itself."""
    return scheme_of(table.url) in ("mqtt", "mqtts") and table.format in SERVERS


def _input(
    reader: TableReader, place: str, table: InputTable, network: Network | None, *, answers: bool
) -> InputConfig | None:
    """Return an input; None when its url or format is none."""
    scheme = scheme_of(table.url)
    if table.format == MQTT_GATEWAYS and scheme not in ("mqtt", "mqtts"):
        reader.refuse(f"{place} format {MQTT_GATEWAYS!r}: such gateways are behind a broker", "write mqtt://…")
        return None
    if table.format not in (*FORMATS, MQTT_GATEWAYS):
        reader.refuse(f"{place} format {table.format!r} is unknown", f"known are {', '.join(FORMATS)}")
        return None
    try:
        check_input_url(table.url)
    except ConfigError as error:
        reader.refuse(error.what.replace("[[input]]", place, 1), error.fix)
        return None
    if scheme in ("mqtt", "mqtts"):
        return _mqtt_input(reader, place, table, answers=answers)
    if any((table.password, table.password_file, table.password_env, table.ca_file)):
        reader.refuse(f"{place} password, ca_file: only brokers (mqtt://…) want them", "remove them")
    input_format = table.format
    if scheme in GATEWAYS:
        if input_format not in (GATEWAYS[scheme], InputTable().format):
            reader.refuse(
                f"{place} format is {input_format!r}", f"with {scheme}:// it is {GATEWAYS[scheme]}: remove it"
            )
        input_format = GATEWAYS[scheme]
    elif table.gateways:
        reader.refuse(f"{place} gateways: only gateways (udp://…, station://…) are told apart", "remove it")
    cert_file, key_file = _certificate(reader, place, table)
    if table.downlink_at and scheme != "udp":
        reader.refuse(f"{place} downlink_at: only packet forwarders (udp://…) have it", "remove it")
    elif table.downlink_at not in ("", "window"):
        reader.refuse(f"{place} downlink_at is {table.downlink_at!r}", 'it must be "window", or missing')
    gateways = frozenset(_eui(reader, place, text) for text in table.gateways)
    return InputConfig(
        table.url,
        input_format,
        gateways,
        setup=_setup(reader, place, table),
        address=_address(reader, place, table),
        transmit=answers and _can_transmit(table) and table.transmit is not False,
        network=network if scheme == "station" else None,
        cert_file=cert_file,
        key_file=key_file,
        at_window=table.downlink_at == "window",
        downlink_dir=_downlink_dir(reader, place, table, answers=answers),
    )


def _downlink_dir(reader: TableReader, place: str, table: InputTable, *, answers: bool) -> Path | None:
    if not table.downlink_dir:
        return None
    if table.format != "lowcost" or not table.url.startswith(("stdin:", "file:")):
        reader.refuse(f"{place} downlink_dir: only LowCostLoRaGw's radio program has one (format lowcost)", "remove it")
    elif not answers:
        reader.refuse(
            f"{place} downlink_dir: nothing is transmitted without a [network]", "add [network], or remove it"
        )
    return reader.folder / table.downlink_dir


def _certificate(reader: TableReader, place: str, table: InputTable) -> tuple[Path | None, Path | None]:
    """Return what stations see of this server, None for nothing."""
    if not table.cert_file and not table.key_file:
        return None, None
    if scheme_of(table.url) != "station":
        reader.refuse(f"{place} cert_file, key_file: only stations (station://…) see them", "remove them")
    elif not table.cert_file:
        reader.refuse(f"{place} key_file: there is no cert_file", "add cert_file, or remove it")
    cert_file = reader.folder / table.cert_file
    return cert_file, reader.folder / table.key_file if table.key_file else None


def _address(reader: TableReader, place: str, table: InputTable) -> int | None:
    if table.address is None:
        return None
    if table.format not in BARE_FORMATS or not table.url.startswith(("stdin:", "file:", "serial:")):
        known = ", ".join(BARE_FORMATS)
        reader.refuse(
            f"{place} address: only format {known} from stdin:, file: and serial: may be without header",
            "remove it",
        )
    elif not 1 < table.address < 256:
        reader.refuse(f"{place} address is {table.address}", "it must be between 2 and 255 (1 is the gateway)")
    return table.address


def _setup(reader: TableReader, place: str, table: InputTable) -> tuple[str, ...]:
    if not table.setup:
        return ()
    if table.format not in MODULES or not table.url.startswith("serial:"):
        reader.refuse(
            f"{place} setup: only serial modules can be set up: url serial:… and format {', '.join(MODULES)}",
            "remove it",
        )
        return ()
    if isinstance(table.setup, str):
        if table.setup != "auto":
            reader.refuse(f"{place} setup is {table.setup!r}", 'it must be "auto" or a list of commands')
        return MODULES[table.format].auto
    for command in table.setup:
        if not re.fullmatch(r"[ -~]{1,200}", command):
            reader.refuse(f"{place} setup has {command[:40]!r}", "a command is one line of ASCII, at most 200")
    return tuple(table.setup)


def _mqtt_input(reader: TableReader, place: str, table: InputTable, *, answers: bool) -> InputConfig:
    password = reader.secret(place, "password", table)
    ca_file = reader.folder / table.ca_file if table.ca_file else None
    _setup(reader, place, table)
    _address(reader, place, table)
    if table.gateways:
        reader.refuse(f"{place} gateways: only gateways (udp://…, station://…) are told apart", "remove it")
    _certificate(reader, place, table)
    address = read_mqtt_url(table.url)
    if password is not None and not address.user:
        reader.refuse(f"{place} password: the url names no user", f"write {EXAMPLE}")
    if ca_file is not None and not address.tls:
        reader.refuse(f"{place} ca_file: the connection is not encrypted", "write mqtts://")
    if password is not None and not address.tls and not is_this_machine(address.host):
        reader.warn(
            f"{place}: the password for {address.host} can be read on its way there", "use mqtts:// (port 8883)"
        )
    transmit = (answers or _is_server(table)) and _can_transmit(table) and table.transmit is not False
    return InputConfig(table.url, table.format, password=password, ca_file=ca_file, transmit=transmit)


def _eui(reader: TableReader, place: str, text: str) -> str:
    eui = bare_hex(text)
    if not re.fullmatch(r"[0-9a-f]{16}", eui):
        reader.refuse(f"{place} gateways has {text!r}", "a gateway's EUI has 16 hex digits")
    return eui
