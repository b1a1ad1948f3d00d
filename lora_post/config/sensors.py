"""[[device.sensor]] tables → the rules of `decoding.sensor_rules`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from sys import float_info

from lora_post.config.device_tables import SensorTable
from lora_post.errors import Problem
from lora_post.model import SensorRule, is_pattern
from lora_post.text import did_you_mean, parse_duration
from lora_post.toml_table import convert_table
from lora_post.units import UNITS
from lora_post.waziup.kinds import ontology
from lora_post.waziup.names import MAX_ID, to_id

UNCHANGED = SensorTable("")
CHANGES = [key for key in SensorTable.__struct_fields__ if key not in ("name", "drop")]


def read_sensors(items: Sequence[object], device: str, mistakes: list[Problem]) -> tuple[SensorRule, ...]:
    """Return the rules of one device; add what is wrong to `mistakes`. device: its place."""
    if not items:
        return ()
    rules: list[SensorRule] = []
    places: dict[str, str] = {}
    for number, item in enumerate(items, start=1):
        place = f"{device}, [[device.sensor]] number {number}"
        table = convert_table(item, place, SensorTable, mistakes)
        if table is None:
            continue
        mistakes += [Problem(place + fault.what, fault.fix) for fault in _faults(table)]
        if table.name in places:
            mistakes.append(
                Problem(f"{place}: name {table.name!r} is also the name of {places[table.name]}", "put both into one")
            )
            continue
        places[table.name] = place
        rules.append(_rule(table))
    mistakes += _collisions(rules, places)
    return tuple(rules)


def _rule(table: SensorTable) -> SensorRule:
    curve = tuple(sorted((float(raw), float(real)) for raw, real in table.calibrate if _usable(raw, real)))
    return SensorRule(
        table.name,
        table.rename,
        table.drop,
        table.scale,
        table.offset,
        curve,
        table.unit,
        table.quantity,
        table.deadband,
        parse_duration(table.min_interval) or 0.0,
        parse_duration(table.max_interval) or 0.0,
    )


def _faults(table: SensorTable) -> Iterator[Problem]:
    """Yield what is wrong with one table, without its place."""
    if not table.name:
        yield Problem(" name is empty", "it is the sensor's name as `lora-post decode` shows it")
    changes = _changes(table)
    if table.drop and changes:
        yield Problem(f": drop = true leaves nothing for {', '.join(changes)}", "remove one or the other")
    if not table.drop and not changes:
        yield Problem(": it changes nothing", f"add {', '.join(CHANGES)} or drop, or remove it")
    if is_pattern(table.name) and table.rename is not None:
        yield Problem(
            f": rename would give one name to all sensors like {table.name!r}", "name one sensor, or remove it"
        )
    yield from _pattern_faults("name", [table.name])
    if table.rename is not None and (not table.rename or to_id(table.rename) != table.rename):
        yield Problem(f" rename is {table.rename!r}", f"Waziup takes 1 to {MAX_ID} letters, digits, '_', '-' and '.'")
    for key, number in (("scale", table.scale), ("offset", table.offset)):
        if not _usable(number):
            yield Problem(f" {key} is {number}", "it must be a finite number")
    if table.scale == 0:
        yield Problem(" scale is 0, so every value would be the offset", "to leave the sensor out, set drop = true")
    if table.calibrate:
        yield from _curve_faults(table)
    yield from _thinning_faults(table)
    if table.unit and table.unit not in UNITS:
        from lora_post.results.meanings import known_unit  # only for a mistake

        meant = known_unit(table.unit)
        yield Problem(f" unit is {table.unit!r}", f'write "{meant}"' if meant else did_you_mean(table.unit, UNITS))
    if table.quantity is not None:
        quantities = [term.id for term in ontology().quantity_kinds]
        if table.quantity not in quantities:
            what = f" quantity is {table.quantity!r}, which Waziup does not have"
            yield Problem(what, did_you_mean(table.quantity, quantities))


def read_patterns(key: str, patterns: Sequence[str], device: str, mistakes: list[Problem]) -> tuple[str, ...]:
    """Return names and patterns of sensors; add what is wrong to `mistakes`. key: of their list. device: its place."""
    if not patterns:
        return ()
    for pattern in patterns:
        if not pattern:
            mistakes.append(Problem(f"{device} {key} has an empty name", "write a sensor's name, or a pattern"))
    mistakes += [Problem(f"{device}{fault.what}", fault.fix) for fault in _pattern_faults(key, patterns)]
    return tuple(patterns)


def _pattern_faults(key: str, patterns: Sequence[str]) -> Iterator[Problem]:
    for pattern in patterns:
        if pattern.count("[") != pattern.count("]"):
            yield Problem(f" {key} is {pattern!r}: a bracket is open", "write [ab] for one of two characters")


def _thinning_faults(table: SensorTable) -> Iterator[Problem]:
    if table.deadband is not None and not (_usable(table.deadband) and table.deadband >= 0):
        yield Problem(
            f" deadband is {table.deadband}", "it must be 0 or more: a value that differs by no more is left out"
        )
    intervals = {"min_interval": table.min_interval, "max_interval": table.max_interval}
    for key, text in intervals.items():
        if text and not parse_duration(text):
            yield Problem(f" {key} is {text!r}", 'write it as "90s", "5min" or "1h"')
    if table.max_interval and table.deadband is None:
        yield Problem(
            ": max_interval says when a value goes out although it is within the deadband", "add deadband, or remove it"
        )
    least, most = (parse_duration(text) for text in intervals.values())
    if least and most and least > most:
        yield Problem(
            f": min_interval {table.min_interval} is longer than max_interval {table.max_interval}", "swap them"
        )


def _curve_faults(table: SensorTable) -> Iterator[Problem]:
    if len(table.calibrate) < 2:
        yield Problem(" calibrate has 1 point", "give at least two, as [[raw, real], [raw, real]]")
    if not all(_usable(raw, real) for raw, real in table.calibrate):
        yield Problem(" calibrate has a number that is not finite", "give finite numbers")
    if len({raw for raw, _ in table.calibrate}) < len(table.calibrate):
        yield Problem(" calibrate has the same raw value twice", "give each raw value once")
    if (table.scale, table.offset) != (1, 0):
        yield Problem(": calibrate and scale or offset are both given", "keep calibrate, remove the others")


def _usable(*numbers: int | float) -> bool:
    """Tell whether all can be calculated with: whole numbers may have any size in TOML."""
    return all(abs(number) <= float_info.max for number in numbers)  # neither infinite nor NaN


def _changes(table: SensorTable) -> list[str]:
    return [key for key in CHANGES if getattr(table, key) != getattr(UNCHANGED, key)]


def _collisions(rules: Sequence[SensorRule], places: dict[str, str]) -> Iterator[Problem]:
    """Yield the sensors of a device that would get the name of another one."""
    taken: dict[str, str] = {}
    kept = [rule for rule in rules if not rule.drop]
    for rule in sorted(kept, key=lambda rule: rule.rename is not None):  # names that stay come first
        name = rule.rename or rule.name
        if name in taken:
            yield Problem(f"{places[rule.name]} rename: {name!r} is also the name of {taken[name]}", "choose another")
        taken[name] = places[rule.name]
