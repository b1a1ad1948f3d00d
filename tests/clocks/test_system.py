from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lora_post.clocks.system import SET_FROM_US, SystemClock, SystemZone


def test_boot_is_named_alike_in_every_process() -> None:
    code = "from lora_post.clocks.system import SystemClock; print(SystemClock().boot_id)"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert other == SystemClock().boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def test_clocks_run_in_microseconds() -> None:
    clock = SystemClock()
    assert abs(clock.wall_us() - time.time() * 1e6) < 60_000_000
    first = clock.boot_us()
    assert 0 < first <= clock.boot_us()


def test_kernel_is_asked_whether_the_clock_is_synchronised() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", "from lora_post.clocks.system import _is_synchronised; print(_is_synchronised())"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout in ("True\n", "False\n")


@pytest.mark.parametrize(
    ("hctosys", "apart_s", "agrees"),
    [("1", 0, True), ("1", 4, True), ("1", -60, False), ("0", 0, False), ("", 0, False)],
)
def test_battery_clock_vouches_when_the_system_clock_was_set_from_it_and_agrees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hctosys: str, apart_s: int, agrees: bool
) -> None:
    monkeypatch.setattr("lora_post.clocks.system._RTC", tmp_path)
    monkeypatch.setattr("lora_post.clocks.system._is_synchronised", lambda: False)
    assert SystemClock().vouches() is False
    (tmp_path / "hctosys").write_text(f"{hctosys}\n")
    (tmp_path / "since_epoch").write_text(f"{int(time.time()) + apart_s}\n")
    assert SystemClock().vouches() is agrees


def test_nothing_vouches_for_a_clock_that_was_never_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lora_post.clocks.system._is_synchronised", lambda: True)
    assert SystemClock().vouches()
    monkeypatch.setattr("lora_post.clocks.system.SystemClock.wall_us", lambda self: SET_FROM_US - 1)
    assert not SystemClock().vouches()


def test_machine_that_does_not_name_its_boots_gets_a_name_for_each_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lora_post.clocks.system._BOOT_ID", Path("/nowhere"))
    assert SystemClock().boot_id != SystemClock().boot_id


@pytest.mark.parametrize(
    ("local", "utc"),
    [("2026-07-10T12:00:00", "2026-07-10T10:00:00"), ("2026-12-10T12:00:00", "2026-12-10T11:00:00")],
)
def test_zone_of_the_machine_has_the_offset_of_each_date(local: str, utc: str, monkeypatch: pytest.MonkeyPatch) -> None:
    zone = SystemZone()  # made before the switch, and used after it
    monkeypatch.setenv("TZ", "Europe/Paris")
    time.tzset()
    try:
        moment = datetime.fromisoformat(local).replace(tzinfo=zone)
        assert moment.astimezone(UTC).replace(tzinfo=None) == datetime.fromisoformat(utc)
        assert moment.tzname() in ("CET", "CEST")
    finally:
        monkeypatch.undo()
        time.tzset()
