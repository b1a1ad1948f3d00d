"""What becomes of published codecs' results, in figures."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import isclose, isfinite
from typing import TypeAlias

from msgspec.structs import replace

from lora_post.decoding.decode import configured, run
from lora_post.decoding.loading import load_decoder
from lora_post.errors import ConfigError, DecoderCrash
from lora_post.model import Decoder, Frame, Reading, RxInfo
from lora_post.times import WallUs
from lora_post.units import UNITS
from lora_post.uplink.model import Report, Uplink
from lora_post.waziup.kinds import describe, ontology
from tests.corpus.doubts import is_number_text, moment_s, noise_kind, unit_doubt
from tests.corpus.published import Published, Vector
from tests.support.build import device

RECEIVED_S = datetime(2024, 6, 1, tzinfo=UTC).timestamp()
_SYMBOLS = {unit.id: symbol for symbol, unit in UNITS.items() if unit.factor == 1 and unit.id != "Other"}
_SYMBOLS.pop("Dimensionless")
_KINDS = {term.id for term in ontology().sensor_kinds}
_QUANTITIES = {term.id for term in ontology().quantity_kinds}
_UNIT_IDS = {None, *(term.id for term in ontology().units)}
_TIME_KEY = re.compile(r"time|date|stamp|\bts\b", re.IGNORECASE)
_LABEL_KEYS = ("type", "name", "variable", "measurementId", "measurement_id", "id", "label", "channel", "key")


@dataclass
class Figures:
    """Counts over the codecs of one collection. told: offenders by figure, a line each."""

    codecs: int = 0
    unloaded: int = 0
    vectors: int = 0
    known: int = 0
    equal: int = 0
    readings: int = 0
    texts: int = 0
    lost: int = 0
    unstable: int = 0
    number_texts: int = 0
    doubtful: int = 0
    noise: int = 0
    histories: int = 0
    untimed: int = 0
    foreign: int = 0
    told: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    codecs_with: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def line(self) -> str:
        """Return the figures on one line; in brackets: of how many codecs."""
        many = Counter({name: len(codecs) for name, codecs in self.codecs_with.items()})
        share = round(100 * self.noise / self.readings) if self.readings else 0
        texts = round(100 * self.texts / self.readings) if self.readings else 0
        return (
            f"codecs {self.codecs} (not loaded {self.unloaded}), vectors {self.vectors}, "
            f"equal {self.equal} of {self.known}, readings {self.readings} (texts {texts} %), "
            f"values lost {self.lost} ({many['lost']}), ids unstable {self.unstable} ({many['unstable']}), "
            f"texts that are numbers {self.number_texts} ({many['number text']}), "
            f"units in doubt {self.doubtful} ({many['unit']}), noise {self.noise} ({share} %), "
            f"histories {self.histories} (times ignored {self.untimed}), outside the ontology {self.foreign}"
        )


Decode: TypeAlias = Callable[[Uplink, Decoder], Report]


def figures_of(collection: Iterable[Published], decode: Decode = run) -> Figures:
    """Run every payload of a collection, as if a device of its own sent it. decode: the product's, or a worse one."""
    figures = Figures()
    for published in collection:
        figures.codecs += 1
        try:
            decoder = load_decoder(published.path)
        except DecoderCrash as crash:
            figures.unloaded += 1
            figures.told["not loaded"].append(str(crash))
            continue
        _Codec(published, decoder, figures, decode).run()
    return figures


class _Codec:
    """One codec with all its vectors."""

    def __init__(self, published: Published, decoder: Decoder, figures: Figures, decode: Decode) -> None:
        self._decode = decode
        self._published = published
        self._decoder = decoder
        self._figures = figures
        self._name = "/".join(published.path.parts[-3:])
        self._ids: dict[tuple[int, tuple[str, ...]], list[set[str]]] = defaultdict(list)
        self._history = self._untimed = False

    def run(self) -> None:
        for vector in self._published.vectors:
            try:
                self._take(vector)
            except ConfigError as error:
                self._tell("options", str(error))
        for (_, path), sets in self._ids.items():
            together = set().union(*sets)
            if len(sets) > 1 and any(ids != together for ids in sets):
                self._count("unstable", f"{'.'.join(path)}: {', '.join(sorted(together)[:6])}")
        self._figures.histories += self._history
        self._figures.untimed += self._untimed
        if self._untimed:
            self._tell("history", "times ignored")

    def _take(self, vector: Vector) -> None:
        figures = self._figures
        figures.vectors += 1
        received_s = moment_s(vector.received) or RECEIVED_S
        report = self._report(vector, received_s)
        times = [at for _, value in _leaves(report.data) if (at := moment_s(value)) is not None]
        if times and not vector.received:
            received_s = max(times) + 10
            report = self._report(vector, received_s)
        self._compare(vector, report)
        if report.data is None:
            return
        self._find_lost(vector, report, received_s)
        self._find_ids(vector, report)
        self._find_history(report, received_s)
        maker_units = self._published.units | dict(_sibling_units(report.data))
        for reading in report.readings:
            self._judge(vector, reading, maker_units)

    def _report(self, vector: Vector, received_s: float) -> Report:
        decoder = replace(self._decoder, decode=configured(self._decoder, vector.variables))
        frame = Frame("gw1", WallUs(int(received_s * 1e6)), b"", RxInfo())
        return self._decode(Uplink(frame, device(), 1, vector.fport, vector.payload, True), decoder)

    def _compare(self, vector: Vector, report: Report) -> None:
        if vector.is_refused:
            self._figures.known += 1
            equal = report.problem is not None
        elif vector.is_known:
            self._figures.known += 1
            equal = _same(vector.data, report.data)
        else:
            equal = report.problem is None
            if equal:
                return
        if equal:
            self._figures.equal += 1
        else:
            said = report.problem or f"{vector.data} ≠ {report.data}"
            self._tell("vector", f"{vector.payload.hex()} on {vector.fport}: {said}"[:400])

    def _find_lost(self, vector: Vector, report: Report, received_s: float) -> None:
        there: Counter[float] = Counter(
            number for reading in (*report.readings, *report.metadata) for number in _numbers(reading.value)
        )
        dated = {round(_measured_s(reading, received_s)) for reading in report.readings}
        wanted = {
            (path[-1:], float(value)): path
            for path, value in _leaves(report.data, skip=list(vector.payload))
            if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
        }
        missing = []
        for (name, number), path in wanted.items():
            if there[number]:
                there[number] -= 1
            else:
                missing.append((name, number, path))
        for _, number, path in missing:
            moment = moment_s(number)
            if (moment is not None and round(moment) in dated) or _is_told(path, number, report):
                continue
            scaled = next((other for other in there if there[other] and _is_scaled(number, other)), None)
            if scaled is not None:
                there[scaled] -= 1
                continue
            self._count("lost", f"{'.'.join(path)} = {number:g} ({vector.payload.hex()[:60]} on {vector.fport})")

    def _find_ids(self, vector: Vector, report: Report) -> None:
        """Note under which ids the numbers that stand out come."""
        leaves = [(path, value) for path, value in _leaves(report.data) if _stands_out(value)]
        values = Counter(value for _, value in leaves)
        by_value: dict[object, set[str]] = defaultdict(set)
        for reading in report.readings:
            if _stands_out(reading.value):
                by_value[reading.value].add(reading.name)
        ids: dict[tuple[str, ...], set[str]] = defaultdict(set)
        for path, value in leaves:
            if values[value] == 1 and value in by_value:
                ids[path] |= by_value[value]
        for path, names in ids.items():
            self._ids[vector.fport, path].append(names)

    def _find_history(self, report: Report, received_s: float) -> None:
        for records in _records(report.data):
            for moment, values in records:
                self._history = True
                dated = [r for r in report.readings if abs(_measured_s(r, received_s) - moment) < 2]
                kept = {number for reading in dated for number in _numbers(reading.value)}
                wanted = {float(v) for v in values if isinstance(v, int | float) and moment_s(v) is None}
                if wanted and not wanted & kept:
                    self._untimed = True

    def _judge(self, vector: Vector, reading: Reading, maker_units: dict[str, str]) -> None:
        self._figures.readings += 1
        self._figures.texts += isinstance(reading.value, str)
        kind = noise_kind(reading.name, reading.value, vector.payload, vector.fport)
        if kind:
            self._count("noise", f"{kind}: {reading.name} = {str(reading.value)[:40]}")
            return
        if is_number_text(reading.value):
            self._count("number text", f"{reading.name} = {reading.value!r}")
        known = describe(reading.name, reading.unit, reading.quantity, reading.channel)
        if known.kind not in _KINDS or known.quantity not in _QUANTITIES or known.unit not in _UNIT_IDS:
            self._count("foreign", f"{reading.name}: {known}")
        unit = reading.unit or _SYMBOLS.get(known.unit or "", "")
        maker_unit = maker_units.get(reading.name) or maker_units.get(reading.name.rsplit(".", 1)[-1]) or ""
        doubt = unit_doubt(reading.name, reading.value, unit, known.quantity, maker_unit)
        if doubt:
            self._count("unit", f"{reading.name} = {str(reading.value)[:20]} {unit} ({known.quantity}): {doubt}")

    def _count(self, figure: str, line: str) -> None:
        attribute = {"number text": "number_texts", "unit": "doubtful"}.get(figure, figure)
        setattr(self._figures, attribute, getattr(self._figures, attribute) + 1)
        self._tell(figure, line)

    def _tell(self, figure: str, line: str) -> None:
        self._figures.codecs_with[figure].add(self._name)
        self._figures.told[figure].append(f"{self._name}: {line}")


def _measured_s(reading: Reading, received_s: float) -> float:
    return reading.measured_us(WallUs(int(received_s * 1e6))) / 1e6


def _same(expected: object, got: object) -> bool:
    """Tell whether two JSON values are the same; what is null is not there."""
    if isinstance(expected, dict) and isinstance(got, dict):
        keys = {key for one in (expected, got) for key in one if one[key] is not None}
        return all(_same(expected.get(key), got.get(key)) for key in keys)
    if isinstance(expected, list) and isinstance(got, list):
        return len(expected) == len(got) and all(map(_same, expected, got))
    if isinstance(expected, bool) or isinstance(got, bool):
        return expected is got
    if isinstance(expected, int | float) and isinstance(got, int | float):
        return isclose(expected, got, rel_tol=1e-6, abs_tol=1e-9)
    if expected != got and moment_s(expected) is not None and isinstance(expected, str):
        return moment_s(expected) == moment_s(got)
    return expected == got


def _leaves(data: object, path: tuple[str, ...] = (), skip: object = None) -> Iterator[tuple[tuple[str, ...], object]]:
    """Yield path and value of everything that is not an object or a list. A place in a list is `[]`, or its name."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield from _leaves(value, (*path, str(key)), skip)
    elif isinstance(data, list):
        if skip is not None and len(data) > 1 and data == skip:
            return
        for item in data:
            yield from _leaves(item, (*path, f"[{_label(item)}]"), skip)
    elif data is not None:
        yield path, data


def _label(item: object) -> str:
    if not isinstance(item, dict):
        return ""
    return next((str(item[key]) for key in _LABEL_KEYS if isinstance(item.get(key), str | int)), "")


def _numbers(value: object) -> Iterator[float]:
    for _, leaf in _leaves(value):
        if isinstance(leaf, int | float) and not isinstance(leaf, bool):
            yield float(leaf)
        elif is_number_text(leaf):
            yield float("".join(c for c in str(leaf).split("(")[0] if c in "+-.0123456789").strip(".") or 0)


def _is_scaled(number: float, other: float) -> bool:
    """Tell whether a number is another one in a unit of the same kind."""
    if number == 0 or other == 0:
        return False
    factors = [10.0**power for power in (-6, -4, -3, -2, -1, 1, 2, 3, 4, 6)] + [3.6, 1 / 3.6, 60, 1 / 60]
    return any(isclose(number, other * factor, rel_tol=1e-3) for factor in factors) or (
        isclose((number - 32) / 1.8, other, rel_tol=1e-3)
    )


def _stands_out(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) > 4 and moment_s(value) is None


def _records(data: object) -> Iterator[list[tuple[float, list[object]]]]:
    """Yield the lists of records that have a time each: the time, and the numbers beside it."""
    if isinstance(data, dict):
        for value in data.values():
            yield from _records(value)
    elif isinstance(data, list):
        found = [record for item in data if (record := _record(item)) is not None]
        if found:
            yield found
        else:
            for item in data:
                yield from _records(item)


def _record(item: object) -> tuple[float, list[object]] | None:
    if not isinstance(item, dict):
        return None
    for key, value in item.items():
        told = value.values() if isinstance(value, dict) else [value]
        moment = next((at for each in told if (at := moment_s(each)) is not None), None)
        if moment is not None and _TIME_KEY.search(key):
            values = [
                leaf
                for _, leaf in _leaves({name: other for name, other in item.items() if not _TIME_KEY.search(name)})
                if isinstance(leaf, int | float) and not isinstance(leaf, bool)
            ]
            return moment, values
    return None


def _is_told(path: tuple[str, ...], number: float, report: Report) -> bool:
    """Tell whether a number is part of a name, of a copy of the payload, or told by its normalised value."""
    said = (*report.readings, *report.metadata)
    names = [reading.name for reading in said]
    if any(left.why.startswith("is ") and left.name.rpartition(".")[2] == path[-1] for left in report.left_out):
        return True
    if path[-1] == "measurementId" or any(re.search(rf"_{number:g}(?:\W|_|\Z)", name) for name in names):
        return True
    copied = f"{int(number):02x}" if path[-1] == "[]" and number == int(number) else None
    return copied is not None and any(
        isinstance(reading.value, str) and re.fullmatch(r"(?:[0-9a-f]{2})+", reading.value) and copied in reading.value
        for reading in report.metadata
    )


def _sibling_units(data: object, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield name and unit of `{"temperature": {"value": 21, "unit": "°C"}}`."""
    if isinstance(data, dict):
        unit = data.get("unit")
        if name and isinstance(unit, str) and unit and "value" in data:
            yield name, unit
        for key, value in data.items():
            yield from _sibling_units(value, f"{name}.{key}" if name else str(key))
