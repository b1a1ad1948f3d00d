"""Add up what was heard of one device since the start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from lora_post.errors import Problem
from lora_post.model import Device, RxInfo, Scalar, Value
from lora_post.observed.battery import Battery, battery, is_low_flag
from lora_post.observed.device_view import DeviceView, Shown
from lora_post.text import shorten
from lora_post.times import NEVER, SteadyUs
from lora_post.uplink.counters import missed_between
from lora_post.uplink.model import Report
from lora_post.waziup.names import to_id

MAX_SENSORS: Final = 256
MAX_METADATA: Final = 64
MAX_TEXT: Final = 120
"""So many characters of a text are shown."""


@dataclass(slots=True)
class DeviceState:
    """A device as it was heard. place: in the configuration. changed: the version of its last change."""

    device: Device
    place: int = 0
    changed: int = 0
    last_us: SteadyUs = NEVER
    rssi_dbm: float | None = None
    snr_db: float | None = None
    sf: int | None = None
    gateway: str = ""
    copies: dict[str, RxInfo] = field(default_factory=dict)
    usual_us: int = 0
    fcnt: int | None = None
    heard: int = 0
    missed: int = 0
    problem: str = ""
    refused: int = 0
    refusal: Problem = Problem("")  # noqa: RUF009 - frozen
    undecoded: int = 0
    is_decoded: bool = False
    batteries: dict[str, Battery] = field(default_factory=dict)
    joined: str = ""
    metadata: dict[str, Scalar] = field(default_factory=dict)
    sensors: dict[str, Shown] = field(default_factory=dict)
    _view: DeviceView | None = None

    def note_change(self, version: int) -> None:
        """Note that something of it is another than at its last view."""
        self.changed, self._view = version, None

    def use(self, device: Device, place: int) -> None:
        """Be this device from now on, as the configuration has changed."""
        self.device, self.place, self._view = device, place, None

    def forget_trouble(self) -> None:
        """Hold nothing against it that was wrong so far."""
        self.problem, self.refused, self.refusal, self.undecoded = "", 0, Problem(""), 0

    def hear(self, report: Report, heard_us: SteadyUs, measured_us: Sequence[SteadyUs]) -> None:
        """Take in an uplink. measured_us: of its readings."""
        uplink = report.uplink
        frame, rx = uplink.frame, uplink.frame.rx
        self.missed = max(0, self.missed + missed_between(self.fcnt, uplink))
        self.heard += 1
        if self.last_us and heard_us > self.last_us:
            gap_us = heard_us - self.last_us
            self.usual_us += (gap_us - self.usual_us) // 8 if self.usual_us else gap_us
        self.last_us = max(self.last_us, heard_us)
        self.refused = 0
        if not uplink.is_late:
            self.fcnt = uplink.fcnt
            self.rssi_dbm, self.snr_db, self.sf, self.gateway = rx.rssi_dbm, rx.snr_db, rx.sf, frame.gateway
            self.copies.clear()
        self.problem = shorten(report.problem or "; ".join(report.warnings), MAX_TEXT)
        if report.problem is not None:
            self.undecoded += 1
        elif report.readings:
            self.undecoded, self.is_decoded = 0, True
        for reading, time_us in zip(report.readings, measured_us, strict=True):
            self._hear_reading(Shown(to_id(reading.name), _cut(reading.value), reading.unit, time_us))
        for said in report.metadata:
            if said.name in self.metadata or len(self.metadata) < MAX_METADATA:
                self.metadata[said.name] = _cut(said.value)

    def _hear_reading(self, shown: Shown) -> None:
        known = self.sensors.get(shown.name)
        if known is None and len(self.sensors) >= MAX_SENSORS:
            return
        if known is None or shown.time_us >= known.time_us:
            self.sensors[shown.name] = shown
            told = battery(shown.name, shown.value, shown.unit, self.batteries.get(shown.name))
            if told:
                self.batteries[shown.name] = replace(told, time_us=shown.time_us)

    def view(self) -> DeviceView:
        """Return it as it is now; made anew only after a change."""
        if self._view is None:
            sensors = tuple(self.sensors.values())
            self._view = DeviceView(
                id=self.device.id,
                name=self.device.name,
                changed=self.changed,
                last_us=self.last_us,
                rssi_dbm=self.rssi_dbm,
                snr_db=self.snr_db,
                sf=self.sf,
                gateway=self.gateway,
                copies=tuple(self.copies.items()),
                usual_us=self.usual_us,
                heard=self.heard,
                missed=self.missed,
                problem=self.problem,
                refused=self.refused,
                refusal=self.refusal,
                undecoded=self.undecoded,
                is_decoded=self.is_decoded,
                batteries=tuple(self.batteries.values()),
                says_low=any(is_low_flag(shown.name, shown.value) for shown in sensors),
                metadata=tuple(self.metadata.items()),
                sensors=sensors,
            )
        return self._view


def _cut(value: Value) -> Scalar:
    """Return a value that fits on a page; a long one as text that is cut off."""
    if isinstance(value, (bool, int, float)):
        return value
    return shorten(value if isinstance(value, str) else str(value), MAX_TEXT)
