"""[[device]] tables → devices."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from msgspec import Struct

from lora_post.config.actuators import read_actuators
from lora_post.config.decoders import read_decoder, read_decoder_by_fport, read_decoder_rules
from lora_post.config.device_tables import DecoderRuleTable, DeviceTable
from lora_post.config.keys import NO_KEYS, DeviceKeys, given_keys, joins, read_keys
from lora_post.config.location import read_location
from lora_post.config.sensors import read_patterns, read_sensors
from lora_post.config.tables import GatewayTable
from lora_post.errors import Problem
from lora_post.lorawan.session_keys import AnySessionKeys, SessionKeys11
from lora_post.model import Device, DeviceClass, FCntPolicy, Link, address_text
from lora_post.text import bare_hex, parse_duration
from lora_post.toml_table import TableReader

_POLICIES: Final = {policy.value: policy for policy in FCntPolicy}
_CLASSES: Final = {each.value: each for each in DeviceClass}
Sender: TypeAlias = tuple[Link, int | None, AnySessionKeys | None]


class DevicePlace(Struct, frozen=True):
    """Where a device stands: the file, and the number of its [[device]] there, from 0."""

    file: Path
    number: int


class Devices(Struct, frozen=True):
    """All devices, in the order in which they are read.

    places: by id. left_out: the mistakes of those that are not among them. senders_left_out: their addresses, as
    `Device.address_text`, as far as they tell any.
    """

    devices: tuple[Device, ...]
    places: Mapping[str, DevicePlace]
    left_out: tuple[Problem, ...]
    senders_left_out: frozenset[str]


def read_devices(readers: Sequence[TableReader], gateway: GatewayTable) -> Devices:
    """Return the devices of a configuration and its files of devices; leave out those with mistakes."""
    rules: dict[str, str] = {}
    for reader in readers:
        read_decoder_rules(reader.list("decoder_rule", DecoderRuleTable), rules, reader.mistakes)
    devices: dict[str, Device] = {}
    places: dict[str, DevicePlace] = {}
    names: dict[str, str] = {}
    senders: dict[Sender, str] = {}
    left_out: list[Problem] = []
    for reader in readers:
        start = seen = len(reader.mistakes)
        for number, place, table in reader.numbered("device", DeviceTable):
            device = _device(reader, place, table, gateway, rules)
            fresh, seen = reader.mistakes[seen:], len(reader.mistakes)
            if device is None or _has_mistakes(fresh, place):
                continue
            if device.id in devices:
                other = _other(names[device.id], places[device.id], reader.path)
                reader.refuse(f"{place}: id {device.id!r} is also the id of {other}", "give it another id")
                continue
            sender = _sender(device)
            if sender in senders:
                first = senders[sender]
                reader.refuse(*_twice(place, device, _other(names[first], places[first], reader.path)))
                continue
            senders[sender] = device.id
            devices[device.id] = device
            places[device.id] = DevicePlace(reader.path, number)
            names[device.id] = place
        left_out += (mistake.at(str(reader.path)) for mistake in reader.mistakes[start:])
    taken = {(place.file, place.number) for place in places.values()}
    senders_left_out = frozenset(
        sender
        for reader in readers
        for number, table in enumerate(reader.items("device"))
        if (reader.path, number) not in taken
        for sender in _written_senders(table)
    )
    return Devices(tuple(devices.values()), places, tuple(left_out), senders_left_out)


def _other(name: str, place: DevicePlace, file: Path) -> str:
    """Return the words for a device that is listed before, with its file where that is another."""
    return name if place.file == file else f"{name} in {place.file}"


def _twice(place: str, device: Device, other: str) -> tuple[str, str]:
    """Return mistake and fix for a device that sends under the address of another."""
    if device.root or device.link is Link.SERVER:
        return (
            f"{place}: DevEUI {device.address_text} is also that of {other}",
            "correct the DevEUI, or remove one of them",
        )
    if device.link is Link.LORAWAN:
        return (
            f"{place}: DevAddr {device.address_text} with these keys is also that of {other}",
            "correct DevAddr or keys, or remove one of them",
        )
    return (
        f"{place}: address {device.address_text} is also that of {other}",
        "correct the address, or remove one of them",
    )


def _written_senders(table: object) -> Iterator[str]:
    """Yield the addresses that a [[device]] gives, whatever else is wrong with it."""
    if isinstance(table, dict):
        yield from (bare_hex(str(table[key])) for key in ("dev_eui", "dev_addr", "address") if key in table)


def _has_mistakes(mistakes: Sequence[Problem], place: str) -> bool:
    return bool(mistakes) and any(mistake.what.startswith((f"{place} ", f"{place}:")) for mistake in mistakes)


def _device(
    reader: TableReader, place: str, table: DeviceTable, gateway: GatewayTable, rules: Mapping[str, str]
) -> Device | None:
    decoder = read_decoder(place, table, rules, reader.mistakes)
    decoder_by_fport = read_decoder_by_fport(place, table, reader.mistakes)
    sensors = read_sensors(table.sensor, place, reader.mistakes)
    actuators = read_actuators(table.actuator, place, reader.mistakes)
    only = read_patterns("only", table.only, place, reader.mistakes)
    drop = read_patterns("drop", table.drop, place, reader.mistakes)
    given = given_keys(table)
    keys = read_keys(reader, place, table, given)
    is_joining = joins(table, given)
    address = (Link.LORAWAN, None) if is_joining else _address(reader, place, table)
    app_keys = frozenset(reader.hex(place, "app_keys", text, 4, secret=True) for text in table.app_keys)
    if address is None or (is_joining and (keys is None or keys.root is None)):
        return None
    link, number = address
    if link is Link.LORAWAN and keys == NO_KEYS:
        reader.refuse(f"{place}: a LoRaWAN device needs nwk_skey and app_skey, 32 hex digits each")
    if link is Link.SERVER and keys != NO_KEYS:
        reader.refuse(
            f"{place}: keys need a dev_addr", "for a device behind a network server (dev_eui alone), remove them"
        )
        keys = None
    if table.accept_half_mic and not _may_be_11(keys):
        reader.refuse(f"{place} accept_half_mic: only LoRaWAN 1.1 has a MIC of two halves", "remove it")
    if table.dev_nonce == "any" and not is_joining:
        reader.refuse(f"{place} dev_nonce: only devices that join have one", "remove it")
    if table.device_class == "C" and link is not Link.LORAWAN:
        reader.refuse(f"{place} class: only LoRaWAN devices that are answered here have a class", "remove it")
    if (table.adr or table.dev_status_every) and link is not Link.LORAWAN:
        reader.refuse(
            f"{place}: only LoRaWAN devices that are answered here take adr and dev_status_every", "remove it"
        )
    dev_status_every_s = parse_duration(table.dev_status_every) if table.dev_status_every else 0.0
    if dev_status_every_s is None:
        reader.refuse(f"{place} dev_status_every is {table.dev_status_every!r}", 'write "12h" or "1d"')
    keys = keys or NO_KEYS
    if link is not Link.LOWCOST and table.app_keys:
        reader.refuse(f"{place} app_keys: only devices with `address` send application keys", "remove it")
    device_id = table.id or f"{gateway.id}-{_own_name(link, number, keys)}"
    reader.check_id(f"{place} id", device_id)
    if table.home:
        reader.check_id(f"{place} home", table.home)
    return Device(
        id=device_id,
        name=table.name or device_id,
        link=link,
        address=number,
        decoder=decoder,
        keys=keys.session,
        lsc=keys.lsc,
        root=keys.root,
        fcnt=_POLICIES[table.fcnt],
        accept_half_mic=table.accept_half_mic,
        app_keys=app_keys - {b""} if app_keys else app_keys,
        visibility=table.visibility or gateway.visibility,
        location=read_location(reader, place, table.location),
        moves=table.moves,
        actuators=actuators,
        device_class=_CLASSES[table.device_class],
        adr=table.adr,
        any_dev_nonce=table.dev_nonce == "any",
        home=table.home,
        dev_status_every_s=dev_status_every_s or 0.0,
        decoder_by_fport=decoder_by_fport,
        options=table.options,
        sensors=sensors,
        only=only,
        drop=drop,
    )


def _own_name(link: Link, number: int | None, keys: DeviceKeys) -> str:
    return f"{keys.root.dev_eui:016x}" if keys.root else address_text(link, number or 0)


def _address(reader: TableReader, place: str, table: DeviceTable) -> tuple[Link, int] | None:
    if table.dev_eui and not table.dev_addr and table.address is None:
        dev_eui = bare_hex(table.dev_eui)
        return (Link.SERVER, int(dev_eui, 16)) if re.fullmatch(r"[0-9a-f]{16}", dev_eui) else None  # said already
    if bool(table.dev_addr) == (table.address is not None):
        reader.refuse(
            f"{place}: give either dev_addr (LoRaWAN, 8 hex digits) or address (LowCostLoRaGw, 2 to 255), or "
            "dev_eui alone (a device behind a network server)"
        )
    elif table.address is not None:
        if 1 < table.address < 256:
            return Link.LOWCOST, table.address
        reader.refuse(f"{place} address is {table.address}", "it must be between 2 and 255 (1 is the gateway)")
    elif len(table.dev_addr) >= 16 and re.fullmatch(r"[0-9a-f]{16}", bare_hex(table.dev_addr)):
        reader.refuse(
            f"{place} dev_addr has 16 hex digits, as a DevEUI",
            "write it as dev_eui; DevAddr has 8, and is where the session keys are from",
        )
    else:
        dev_addr = reader.hex(place, "dev_addr", table.dev_addr, 4)
        if dev_addr:
            return Link.LORAWAN, int.from_bytes(dev_addr)
    return None


def _may_be_11(keys: DeviceKeys | None) -> bool:
    if keys is None:
        return True  # what is wrong with them has been said
    return isinstance(keys.session, SessionKeys11) or bool(keys.root and keys.root.is_11)


def _sender(device: Device) -> Sender:
    """Return what a frame tells of its sender: for two devices with the same, nothing says which of them it was."""
    if device.root is not None:
        return device.link, device.root.dev_eui, None
    return device.link, device.address, device.keys if device.link is Link.LORAWAN else None
