"""Find units that mean something else than their author: C is coulomb, and degC nothing.

What a decoder gives is known from its examples.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct

from lora_post.decoding.choice import Mistake
from lora_post.decoding.decode import fault_of
from lora_post.errors import Problem
from lora_post.model import Decoder, Device, Example, Reading
from lora_post.units import UNITS
from lora_post.waziup.kinds import OTHER, describe

_HEAT: Final = re.compile("Temp|DewPoint|WindChill")
_HEAT_OR_OTHER: Final = re.compile(f"{_HEAT.pattern}|Other")
_TIME: Final = re.compile("Uptime|Timestamp|TimeOfArrival")
_ACCELERATION: Final = re.compile("Accel")
_ELECTRIC: Final = re.compile("charge|coulomb|capaci|farad")


class _Symbol(Struct, frozen=True):
    """What a symbol stands for. meant: what people mean by it. of: quantities that have not what it stands for."""

    stands_for: str
    meant: str
    of: re.Pattern[str]


_MISTAKEN: Final = {
    "C": _Symbol("coulomb", '"°C"', _HEAT_OR_OTHER),
    "F": _Symbol("farad", '"°F"', _HEAT_OR_OTHER),
    "°": _Symbol("degrees of an angle", '"°C" or "°F"', _HEAT),
    "S": _Symbol("siemens", '"s"', _TIME),
    "m": _Symbol("metres", '"min"', _TIME),
    "T": _Symbol("tesla", '"t"', re.compile("Weight|Mass")),
    "G": _Symbol("gauss", '"g"', _ACCELERATION),
    "mg": _Symbol("milligrams", '"milli-g"', _ACCELERATION),
    "g": _Symbol("standard gravity", 'quantity="Weight" beside it for grams', re.compile("Other")),
}


def slips_in(readings: Iterable[Reading]) -> list[Problem]:
    """Return what is wrong with the units of readings, each name and unit once."""
    units = {(reading.name, reading.unit): reading.quantity for reading in readings}
    found = (_slip(name, unit, quantity) for (name, unit), quantity in units.items())
    return [problem for problem in found if problem is not None]


def slips_of_decoder(decoder: Decoder) -> list[Problem]:
    """Return what is wrong with the units of a decoder's examples."""
    given = (example.gives for example in decoder.examples if type(example) is Example)
    return slips_in(
        reading
        for gives in given
        if isinstance(gives, list | tuple)
        for reading in gives
        if not fault_of(reading)  # anything may stand in a decoder's file
    )


def slips_of_device(device: Device) -> Iterator[Mistake]:
    """Yield what is wrong with the units in the sensor tables of a device."""
    for rule in device.sensors:
        if rule.unit and (problem := _slip(rule.rename or rule.name, rule.unit, rule.quantity or "")):
            yield Mistake(device.id, Problem(f"[[device.sensor]] {problem.what}", problem.fix))


def _slip(name: str, unit: str, quantity: str) -> Problem | None:
    mistaken = _MISTAKEN.get(unit)
    if unit == "" or (unit in UNITS and mistaken is None):
        return None
    from lora_post.results.meanings import known_unit, meaning_of  # only for a mistake

    if mistaken is None:
        symbol = known_unit(unit)
        fix = f'write "{symbol}"' if symbol else 'write one of lora_post.UNITS, or ""'
        return Problem(f"{name}: Waziup has no unit {unit!r}", fix)
    if _ELECTRIC.search(name):
        return None
    told = quantity or describe(name, "").quantity
    if told == OTHER.quantity:
        told = meaning_of(name, normalized=False).quantity or f"{told} {name.title()}"
    if not mistaken.of.search(told):
        return None
    return Problem(f"{name}: the unit {unit!r} is {mistaken.stands_for}", f"write {mistaken.meant}")
