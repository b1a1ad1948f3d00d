"""[[device.actuator]] tables → how values are sent to a device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lora_post.config.device_tables import ActuatorTable
from lora_post.errors import FrameError, Problem
from lora_post.lorawan.downlinks import FPORTS
from lora_post.model import ActuatorRule
from lora_post.text import Spelling, parse_bytes, parse_duration
from lora_post.toml_table import convert_table


def read_actuators(items: Sequence[object], device: str, mistakes: list[Problem]) -> tuple[ActuatorRule, ...]:
    """Return the actuators of one device; add what is wrong to `mistakes`. device: its place."""
    rules: dict[str, ActuatorRule] = {}
    for number, item in enumerate(items, start=1):
        place = f"{device}, [[device.actuator]] number {number}"
        table = convert_table(item, place, ActuatorTable, mistakes)
        if table is None:
            continue
        faults = list(_faults(table))
        if table.name in rules:
            faults.append(Problem(f": name {table.name!r} is there twice", "put both into one"))
        mistakes += [Problem(place + fault.what, fault.fix) for fault in faults]
        if not faults:
            payloads = {value: _bytes(text) for value, text in table.payloads.items()}
            life_s = parse_duration(table.expires) or 0.0
            rules[table.name] = ActuatorRule(table.name, table.port, table.confirmed, life_s, payloads)
    return tuple(rules.values())


def _faults(table: ActuatorTable) -> Iterator[Problem]:
    """Yield what is wrong with one table, without its place."""
    if not table.name:
        yield Problem(" name is empty", "it is the actuator's id on Waziup")
    if table.port is not None and table.port not in FPORTS:
        yield Problem(f" port is {table.port}", "FPorts of applications are 1 to 223")
    if not parse_duration(table.expires):
        yield Problem(f" expires is {table.expires!r}", 'write "10min", "12h" or "2d"')
    if table.payloads and table.port is None:
        yield Problem(" payloads need a port", "see the device's manual for the FPort")
    for value, text in table.payloads.items():
        try:
            _bytes(text)
        except FrameError as error:
            yield Problem(f" payloads.{value}: {error.what}", "write the bytes as hex, as 01ff")


def _bytes(text: str) -> bytes:
    spelled = parse_bytes(text)
    if spelled.spelling is not Spelling.HEX:
        raise FrameError("base64, want hex")
    return spelled.data
