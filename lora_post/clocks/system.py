"""What this machine knows of the time: its wall clock, the time since boot, which boot, and who vouches for it.

Sources: Linux man pages time_namespaces(7), clock_gettime(2), adjtimex(2), random(4);
the kernel's Documentation/admin-guide/rtc.rst.
"""

from __future__ import annotations

import sys
import time
import uuid
from contextlib import suppress
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Final, Protocol

from lora_post.times import BootUs, WallUs

SET_FROM_US: Final = WallUs(1_735_689_600_000_000)
"""2025-01-01: before that lora-post was not there, so a clock that says so was never set."""

SET_UNTIL_US: Final = WallUs(4_102_444_800_000_000)
"""2100-01-01: who says that it is later has no clock, and its dates end where the calendar does."""

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_RTC: Final = Path("/sys/class/rtc/rtc0")
_RTC_TOLERANCE_S: Final = 5
_STA_UNSYNC: Final = 0x40
_TIMEX_SIZE: Final = 512  # the structure has about 200 bytes

# macOS has no such clock; its monotonic one stands still while the machine sleeps.
_SINCE_BOOT: Final = time.CLOCK_BOOTTIME if sys.platform == "linux" else time.CLOCK_MONOTONIC


class SystemZone(tzinfo):
    """This machine's time zone: at each date the offset that is in force then, summer time included."""

    def utcoffset(self, moment: datetime | None) -> timedelta:
        return (moment or datetime.now()).replace(tzinfo=None).astimezone().utcoffset() or timedelta(0)

    def dst(self, moment: datetime | None) -> None:
        """The offset is known as a whole only."""

    def tzname(self, moment: datetime | None) -> str:
        return (moment or datetime.now()).replace(tzinfo=None).astimezone().tzname() or ""


class System(Protocol):
    """A machine's clocks. boot_id: another one after each boot."""

    boot_id: str

    def wall_us(self) -> WallUs:
        """µs since 1970 UTC, right or wrong."""
        ...

    def boot_us(self) -> BootUs:
        """µs since boot; never set, goes on while the machine sleeps."""
        ...

    def vouches(self) -> bool:
        """Whether something on this machine vouches for the wall clock."""
        ...


class SystemClock:
    """The clocks of the machine that this runs on."""

    def __init__(self) -> None:
        self.boot_id = boot_id()

    def wall_us(self) -> WallUs:
        return WallUs(time.time_ns() // 1000)

    def boot_us(self) -> BootUs:
        return BootUs(time.clock_gettime_ns(_SINCE_BOOT) // 1000)

    def vouches(self) -> bool:
        return self.wall_us() >= SET_FROM_US and (_is_synchronised() or _battery_clock_agrees())


def boot_id() -> str:
    """Return what this boot of the machine is known by; a text of this process alone where nothing tells."""
    with suppress(OSError):
        return _BOOT_ID.read_text("ascii").strip()
    return f"process {uuid.uuid4()}"  # what such a process does not learn itself can only be estimated later


def _is_synchronised() -> bool:
    """Whether a time daemon has told the kernel that the clock is right (all of them do: timesyncd, chrony, ntpd)."""
    import ctypes  # only for as long as the clock is in doubt

    try:
        adjtimex = ctypes.CDLL(None).adjtimex
    except (AttributeError, OSError):
        return False
    # struct timex begins with the modes, 0 to change nothing, and four longs before the status.
    timex = ctypes.create_string_buffer(_TIMEX_SIZE)
    if adjtimex(timex) < 0:
        return False
    status = ctypes.c_int.from_buffer(timex, 5 * ctypes.sizeof(ctypes.c_long))
    return not status.value & _STA_UNSYNC


def _battery_clock_agrees() -> bool:
    """Whether the kernel set the clock from a battery-backed one, and that one still says the same."""
    with suppress(OSError, ValueError):
        if (_RTC / "hctosys").read_text().strip() == "1":
            apart_s = int((_RTC / "since_epoch").read_text()) - time.time()
            return abs(apart_s) <= _RTC_TOLERANCE_S
    return False
