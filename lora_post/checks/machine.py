"""Check the machine itself: its clock, its power supply."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from lora_post.clocks.scale import utc_text
from lora_post.clocks.system import SET_FROM_US, System
from lora_post.sinks.finding import Finding, ok, warning

CLOCK: Final = "time"
POWER: Final = "power"
ADJTIME: Final = Path("/etc/adjtime")
SYS: Final = Path("/sys")
# Raspberry Pi documentation, `vcgencmd get_throttled`: bit 0 under-voltage now, bit 16 since the start.
_UNDER_VOLTAGE: Final = 1 << 0
_WAS_UNDER_VOLTAGE: Final = 1 << 16


def check_time(system: System, adjtime: Path = ADJTIME) -> Iterator[Finding]:
    """Yield whether something keeps the clock right.

    adjtime: hwclock's file, see adjtime_config(5).
    """
    set_it = "sudo timedatectl set-ntp true"
    now_us = system.wall_us()
    # Radio programs of old print local time without its zone: that the zone is right is seen here only.
    now = f"it is {utc_text(now_us)[:16]}Z, {time.strftime('%H:%M %Z', time.localtime(now_us // 1_000_000))} here"
    if now_us < SET_FROM_US:
        yield warning(
            CLOCK, f"the clock was never set since the start: {now}", f"{set_it}; `run` keeps readings meanwhile"
        )
    elif system.vouches():
        yield ok(CLOCK, f"the clock is kept right by a time daemon or a battery: {now}")
    else:
        text = f"nothing keeps the clock right, neither a time daemon nor a battery: {now}"
        yield warning(CLOCK, text, f"{set_it}; until then times follow the server's")
    with suppress(OSError, UnicodeDecodeError):
        if "LOCAL" in adjtime.read_text("ascii").split():
            text = "the battery clock is kept in local time, so it is hours off after each change of summer time"
            yield warning(CLOCK, text, "sudo timedatectl set-local-rtc 0")


def check_power(sys: Path = SYS) -> Iterator[Finding]:
    """Yield what a Raspberry Pi tells of its supply; nothing on other machines."""
    use = "use a supply of 3 A or more (5 V) and a short, thick cable; low voltage spoils SD cards"
    flags = _throttled(sys)
    if flags & _UNDER_VOLTAGE or _alarms(sys):
        yield warning(POWER, "the supply voltage is too low at this moment", use)
    elif flags & _WAS_UNDER_VOLTAGE:
        yield warning(POWER, "the supply voltage was too low at some time since the start", use)


def _throttled(sys: Path) -> int:
    """Return the firmware's flags, 0 where it has none."""
    with suppress(OSError, ValueError):
        return int((sys / "devices/platform/soc/soc:firmware/get_throttled").read_text("ascii"), 16)
    return 0


def _alarms(sys: Path) -> bool:
    """Tell whether the driver raspberrypi-hwmon raises its alarm."""
    for monitor in (sys / "class/hwmon").glob("hwmon*"):
        with suppress(OSError, UnicodeDecodeError):
            if (monitor / "name").read_text("ascii").strip() == "rpi_volt":
                return (monitor / "in0_lcrit_alarm").read_text("ascii").strip() == "1"
    return False
