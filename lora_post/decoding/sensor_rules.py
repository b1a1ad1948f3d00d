"""What the configuration changes in readings: name, scale, calibration, unit, quantity.

Numbers inside objects and lists are scaled and calibrated like numbers that stand alone; texts and
booleans stay as they are. Twelve digits of a result are kept, more than any sensor has: 2299 * 0.01
is 22.99, not 22.990000000000002. A unit is a new label, nothing is converted.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from math import isfinite
from typing import TypeAlias

from msgspec.structs import replace

from lora_post.model import MAX_INT, MIN_INT, Device, LeftOut, Reading, SensorRule, Value, matches, rule_for
from lora_post.units import tidy
from lora_post.uplink.model import Report

Change: TypeAlias = Callable[["int | float"], "int | float"]


def shape(report: Report, device: Device) -> Report:
    """Apply a device's rules, by the name that its decoder gives a reading.

    Metadata that the rules name is a reading. A number that becomes larger than a number can be costs its reading, with
    a warning.
    """
    readings: list[Reading] = []
    warnings: list[str] = []
    left_out: list[LeftOut] = []
    wanted = {rule.name for rule in device.sensors} | set(device.only)
    named = [said for said in report.metadata if said.name in wanted]
    for reading in (*report.readings, *named):
        rule = rule_for(reading.name, device.sensors)
        why = _why_not(reading.name, device, rule)
        if why:
            left_out.append(LeftOut(reading.name, why))
        elif rule is None:
            readings.append(reading)
        else:
            try:
                readings.append(_shaped(reading, rule))
            except OverflowError:
                warnings.append(f"reading {reading.name!r} dropped: no number can hold its value once it is scaled")
    return replace(
        report,
        readings=tuple(readings),
        warnings=(*report.warnings, *warnings),
        metadata=tuple(said for said in report.metadata if said.name not in wanted),
        left_out=(*report.left_out, *left_out),
    )


def _why_not(name: str, device: Device, rule: SensorRule | None) -> str:
    """Say why a sensor is not sent, "" for one that is."""
    if rule is not None and rule.drop:
        return f"drop = true for {rule.name!r}"
    dropped = next((pattern for pattern in device.drop if matches(name, pattern)), None)
    if dropped is not None:
        return f"drop has {dropped!r}"
    kept = not device.only or any(matches(name, pattern) for pattern in device.only)
    return "" if kept else "it is not in only"


def _shaped(reading: Reading, rule: SensorRule) -> Reading:
    change = _change(rule)
    return replace(
        reading,
        name=reading.name if rule.rename is None else rule.rename,
        value=reading.value if change is None else _changed(reading.value, change),
        unit=reading.unit if rule.unit is None else rule.unit,
        quantity=reading.quantity if rule.quantity is None else rule.quantity,
    )


def _change(rule: SensorRule) -> Change | None:
    if rule.curve:
        return lambda raw: _tidy(on_curve(rule.curve, raw))
    if (rule.scale, rule.offset) != (1, 0):
        return lambda raw: _tidy(raw * rule.scale + rule.offset)
    return None


def on_curve(curve: Sequence[tuple[float, float]], raw: float) -> float:
    """Return the value at `raw` of the piecewise line through the points (raw, real).

    curve: two or more points, raw rising. Beyond the first and last point the outermost lines go on.
    """
    after = bisect_right(curve, raw, key=lambda point: point[0])
    index = min(max(after, 1), len(curve) - 1)
    (raw_0, real_0), (raw_1, real_1) = curve[index - 1], curve[index]
    return real_0 + (raw - raw_0) * (real_1 - real_0) / (raw_1 - raw_0)


def _tidy(number: int | float) -> int | float:
    """Return integers within 64 bits as they are, others with 12 digits. Raises OverflowError."""
    if isinstance(number, int) and MIN_INT <= number <= MAX_INT:
        return number
    if not isfinite(number):
        raise OverflowError
    return tidy(float(number))


def _changed(value: Value, change: Change) -> Value:
    """Change all numbers of a value; decoding has bounded its depth."""
    if isinstance(value, dict):
        return {key: _changed(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_changed(item, change) for item in value]
    if isinstance(value, bool | str):
        return value
    return change(value)
