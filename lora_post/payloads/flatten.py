"""From whatever a codec returns to readings, in steps that are modules of `results`:

1. `measurements`: names, values, and the units and times that stand beside them
2. `normalized`: what `normalizeUplink` tells goes by the name that it has there
3. `about_device`: what is no measurement
4. `text_numbers`, `meanings`: texts that are numbers, units, quantities
5. here: bounds, names that differ
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite

from msgspec.structs import replace

from lora_post.model import MAX_INT, MAX_READINGS, MIN_INT, Decoded, LeftOut, Reading, Value
from lora_post.results.about_device import is_about_device
from lora_post.results.hints import NO_HINTS, Hints
from lora_post.results.meanings import (
    Meaning,
    known_unit,
    meaning_of,
    quantity_of_number,
    quantity_of_state,
    quantity_of_state_number,
    unit_as_meant,
    unit_of_number,
)
from lora_post.results.measurements import MAX_NAME, Measurement, measure, measure_normalized
from lora_post.results.normalized import merge
from lora_post.results.records import as_float
from lora_post.results.text_numbers import read_number
from lora_post.results.trials import Trial

MAX_TEXT = 1000
MAX_METADATA = 64


def flatten(data: object, hints: Hints = NO_HINTS) -> Decoded:
    """Make readings of a codec's result, any JSON-like value; never raises.

    hints: what is known of its values.
    What cannot become a reading (not finite, nested more than 8 deep, beyond 256 readings) is left out with a warning;
    null is left out without one. Only readings with a time of their own have a name more than once.
    """
    found = measure(data)
    made = _Readings(hints)
    made.add_all(found.measurements, found.left_out)
    return made.decoded()


def flatten_normalized(
    data: object,
    normalized: object,
    trials: Sequence[Trial] = (),
    hints: Hints = NO_HINTS,
) -> Decoded:
    """Make readings of a codec's result and of its normalised payload, each value once; never raises.

    What is normalised goes by its normalised name. trials: which values they are; see `normalized`.
    """
    own, agreed = measure(data), measure_normalized(normalized)
    merged = merge(own.measurements, agreed.measurements, trials)
    made = _Readings(hints)
    made.add_all(merged.normalized, agreed.left_out, normalized=True)
    made.add_all(merged.own, own.left_out)
    return made.decoded(tuple(LeftOut(measurement.name, f"is {name}") for measurement, name in merged.told))


class _Readings:
    """Readings in the making: all bounded, and none like another."""

    def __init__(self, hints: Hints) -> None:
        self._hints = hints
        self._taken: set[str] = set()
        self.readings: list[Reading] = []
        self.metadata: list[Reading] = []
        self.warnings: list[str] = []

    def decoded(self, told: tuple[LeftOut, ...] = ()) -> Decoded:
        """Return what was made. told: what is left out because it is told otherwise."""
        return Decoded(self.readings, tuple(dict.fromkeys(self.warnings)), metadata=tuple(self.metadata), left_out=told)

    def add_all(
        self, measurements: Iterable[Measurement], losses: Iterable[LeftOut], *, normalized: bool = False
    ) -> None:
        for loss in losses:
            self.warn(loss.name, loss.why)
        for measurement in measurements:
            self.add(measurement, normalized=normalized)

    def warn(self, name: str, why: str) -> None:
        self.warnings.append(f"{name[:40]}: {why}")

    def add(self, measurement: Measurement, *, normalized: bool) -> None:
        value, name = measurement.value, measurement.name
        if isinstance(value, float) and not isfinite(value):
            self.warn(name, f"{value} is not a finite number")
        elif isinstance(value, str) and len(value) > MAX_TEXT:
            self.warn(name, f"a text of {len(value)} characters, want at most {MAX_TEXT}")
        elif is_about_device(name, value):
            self._add_metadata(Reading(name, value))
        elif len(self.readings) >= MAX_READINGS:
            self.warnings.append(f"only the first {MAX_READINGS} values are used")
        else:
            self._add(measurement, normalized)

    def _add(self, measurement: Measurement, normalized: bool) -> None:
        value, unit, quantity, note = _understood(measurement, normalized, self._hints)
        if isinstance(value, float) and not isfinite(value):
            self.warn(measurement.name, f"{value} is not a finite number")
            return
        if note:
            self._add_metadata(Reading(f"{measurement.name}.note", note))
        at_s = measurement.time_s
        name = self._free_name(measurement.name, repeats=at_s is not None)
        self._put(Reading(name, value, unit, quantity=quantity, at_s=at_s))
        if isinstance(value, str) and (state := self._hints.states.get(value)) is not None:
            free = self._free_name(f"{name}_state", repeats=at_s is not None)
            self._put(Reading(free, state, quantity=quantity_of_state_number(name, quantity), at_s=at_s))

    def _put(self, reading: Reading) -> None:
        if len(self.readings) < MAX_READINGS:
            self.readings.append(reading)
        else:
            self.warnings.append(f"only the first {MAX_READINGS} values are used")

    def _add_metadata(self, said: Reading) -> None:
        """Add what is no measurement, once for each value that it has."""
        name, count = said.name, 2
        there = {other.name: other.value for other in self.metadata}
        while name in there and there[name] != said.value:
            name = f"{said.name}_{count}"
            count += 1
        if name not in there and len(self.metadata) < MAX_METADATA:
            self.metadata.append(replace(said, name=name))

    def _free_name(self, wanted: str, *, repeats: bool) -> str:
        """Return a name that is not taken. repeats: it is of values with times of their own, which may share one."""
        free = wanted = wanted[:MAX_NAME]
        count = 2
        while not repeats and free in self._taken:
            free = f"{wanted}_{count}"
            count += 1
        if not repeats:
            self._taken.add(free)
        return free


def _understood(measurement: Measurement, normalized: bool, hints: Hints) -> tuple[Value, str, str, str]:
    """Return value, unit, quantity and note: a text that is a number is one, a number beyond 64 bits a float."""
    value, note, name = measurement.value, "", measurement.name
    meaning = Meaning("", measurement.quantity) if measurement.quantity else meaning_of(name, normalized)
    written = known_unit(measurement.unit) if measurement.unit else hints.units.get(name)
    if isinstance(value, str):
        number = read_number(value)
        if number is None or not (number.is_sure or number.unit == meaning.unit):
            return value, "", quantity_of_state(meaning), ""
        value, written, note = number.number, number.unit or written, number.note
    if isinstance(value, (bool, dict, list)):
        return value, "", quantity_of_state(meaning), ""
    if isinstance(value, int) and not MIN_INT <= value <= MAX_INT:
        value = as_float(value)
    unit = unit_of_number(value, meaning, name) if written is None else unit_as_meant(written, name)
    return value, unit, quantity_of_number(meaning, unit), note
