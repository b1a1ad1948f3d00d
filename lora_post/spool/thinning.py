"""Leave out readings that say nothing new, where a sensor's rule asks for it; count them.

A sensor's reading is compared with the last one that was kept. It is left out when that one is younger
than `min_interval`, or when the value is within `deadband` of that one's (texts, truth values and
objects: when it is the same) and that one is younger than `max_interval`. A reading that is older than
the last one kept, from a device that sends its history, is always kept.

The table `kept` has what was kept last, written in the transaction of the readings: a restart changes nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import TypeGuard

import msgspec
from msgspec.structs import replace

from lora_post.clocks.scale import UNKNOWN_FROM_US
from lora_post.model import Device, Reading, SensorRule, Value, rule_for
from lora_post.spool.tallies import add_tally
from lora_post.times import StampUs, WallUs
from lora_post.uplink.model import Report

THINNED = "thinned"
ROUNDING = 1 + 1e-9  # 22.9 - 22.7 is not quite 0.2

Last = tuple[StampUs, Value]


class Thinner:
    """Leaves readings out of reports, before they are queued."""

    def __init__(self, devices: Iterable[Device]) -> None:
        self._rules = {device.id: _by_new_name(device) for device in devices if any(map(_thins, device.sensors))}
        self._last: dict[tuple[str, str], Last] = {}

    def forget(self) -> None:
        """Read the table again from now on, after a rollback or another process's commit."""
        self._last.clear()

    def thin(self, db: sqlite3.Connection, reports: Sequence[Report]) -> Sequence[Report]:
        """Return the reports without what says nothing new; called inside a transaction."""
        if not self._rules:
            return reports
        thinned = [self._thin(db, report) for report in reports]
        left_out = sum(len(report.readings) for report in reports) - sum(len(report.readings) for report in thinned)
        if left_out:
            add_tally(db, THINNED, left_out)
        return thinned

    def _thin(self, db: sqlite3.Connection, report: Report) -> Report:
        kept = tuple(reading for reading in report.readings if self._keeps(db, report, reading))
        if len(kept) == len(report.readings):
            return report
        return replace(report, readings=kept)

    def _keeps(self, db: sqlite3.Connection, report: Report, reading: Reading) -> bool:
        sensor = (report.uplink.device.id, reading.name)
        rule = rule_for(reading.name, self._rules.get(report.uplink.device.id, ()))
        if rule is None or not _thins(rule):
            return True
        time_us = reading.measured_us(report.uplink.frame.time_us)
        last = self._last.get(sensor) or _load(db, sensor)
        if last is not None:
            if time_us < last[0]:
                return True
            if says_nothing_new(rule, (time_us - last[0]) / 1e6, last[1], reading.value):
                self._last[sensor] = last
                return False
        self._last[sensor] = (time_us, reading.value)
        value = msgspec.json.encode(reading.value)
        db.execute("INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?)", (*sensor, time_us, value))
        return True


def _by_new_name(device: Device) -> tuple[SensorRule, ...]:
    """Return a device's rules by the names that sensors have once they are renamed."""
    return tuple(replace(rule, name=rule.rename or rule.name) for rule in device.sensors)


def _thins(rule: SensorRule) -> bool:
    return rule.deadband is not None or rule.min_interval_s > 0


def says_nothing_new(rule: SensorRule, age_s: float, last: Value, value: Value) -> bool:
    """Tell whether a value may be left out, age_s seconds after the last one that was kept."""
    if age_s < rule.min_interval_s:
        return True
    if rule.deadband is None or (rule.max_interval_s and age_s >= rule.max_interval_s):
        return False
    if _is_number(last) and _is_number(value):
        return abs(value - last) <= rule.deadband * ROUNDING
    return type(value) is type(last) and value == last


def _load(db: sqlite3.Connection, sensor: tuple[str, str]) -> Last | None:
    row = db.execute("SELECT time_us, value FROM kept WHERE device = ? AND name = ?", sensor).fetchone()
    return (row[0], msgspec.json.decode(row[1])) if row else None


def shift(db: sqlite3.Connection, first_us: StampUs, last_us: StampUs, by_us: int) -> None:
    """Move the times within a range of what was kept last."""
    db.execute("UPDATE kept SET time_us = time_us + ? WHERE time_us BETWEEN ? AND ?", (by_us, first_us, last_us))


def not_after(db: sqlite3.Connection, now_us: WallUs) -> int:
    """Bring back what was kept while the clock was ahead: nothing would be left out until then; returns how many."""
    later = "UPDATE kept SET time_us = ?1 WHERE time_us > ?1 AND time_us < ?2"
    return db.execute(later, (now_us, UNKNOWN_FROM_US)).rowcount


def _is_number(value: Value) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
