from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import Struct

from lora_post.checks.machine import check_power, check_time
from lora_post.sinks.finding import Grade
from tests.support.build import NOON_US


class Clocks(Struct, frozen=True):
    """A machine whose clock says `now`."""

    now: int
    good: bool
    boot_id: str = "boot"

    def wall_us(self) -> int:
        return self.now

    def boot_us(self) -> int:
        return 0

    def vouches(self) -> bool:
        return self.good


@pytest.mark.parametrize(
    ("clocks", "verdict", "text"),
    [
        (Clocks(NOON_US, good=True), Grade.OK, "it is 2026-03-01T12:00Z"),
        (Clocks(NOON_US, good=False), Grade.WARNING, "nothing keeps the clock right"),
        (Clocks(86_400_000_000, good=False), Grade.WARNING, "was never set since the start: it is 1970-01-02T00:00Z"),
    ],
)
def test_clock_without_anything_that_sets_it_is_a_warning(
    tmp_path: Path, clocks: Clocks, verdict: Grade, text: str
) -> None:
    (finding,) = check_time(clocks, tmp_path / "adjtime")
    assert finding.verdict is verdict
    assert text in finding.text
    assert ("timedatectl" in finding.fix) == (verdict is Grade.WARNING)


def test_battery_clock_in_local_time_is_a_warning(tmp_path: Path) -> None:
    adjtime = tmp_path / "adjtime"
    adjtime.write_text("0.0 0 0.0\n0\nLOCAL\n")
    assert "set-local-rtc 0" in list(check_time(Clocks(NOON_US, good=True), adjtime))[-1].fix
    adjtime.write_text("0.0 0 0.0\n0\nUTC\n")
    assert len(list(check_time(Clocks(NOON_US, good=True), adjtime))) == 1


@pytest.mark.parametrize(
    ("flags", "alarm", "text"),
    [
        ("50005", "", "too low at this moment"),
        ("50000", "", "too low at some time"),
        ("20000", "", ""),
        ("nonsense", "", ""),
        ("", "1", "too low at this moment"),
        ("", "0", ""),
        ("", "", ""),
    ],
)
def test_supply_of_a_raspberry_pi_that_is_too_weak_is_a_warning(
    tmp_path: Path, flags: str, alarm: str, text: str
) -> None:
    if flags:
        file = tmp_path / "devices/platform/soc/soc:firmware/get_throttled"
        file.parent.mkdir(parents=True)
        file.write_text(f"{flags}\n")
    if alarm:
        for name, value in (("cpu_thermal", "1"), ("rpi_volt", alarm)):
            monitor = tmp_path / "class/hwmon" / f"hwmon_{name}"
            monitor.mkdir(parents=True)
            (monitor / "name").write_text(f"{name}\n")
            (monitor / "in0_lcrit_alarm").write_text(f"{value}\n")
    found = list(check_power(tmp_path))
    assert len(found) == bool(text)
    assert all(text in finding.text and finding.verdict is Grade.WARNING for finding in found)
