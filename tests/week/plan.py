"""What goes wrong when, and what is to be told of it."""

from __future__ import annotations

from collections import Counter
from random import Random

from msgspec import Struct

DEVICES = 5
INTERVALS_MIN = (10, 12, 15, 20, 25)
LOW_BATTERY = 2
WEEK_H = 168.0


class Incident(Struct, frozen=True):
    """From hour `start`, so many hours. tells: keys of the alerts that must be raised and cleared once each."""

    kind: str
    start: float
    hours: float
    tells: tuple[str, ...] = ()


class Restart(Struct, frozen=True):
    """kind: "stop", "kill" or "power". off_h: how long it is off."""

    kind: str
    at: float
    off_h: float = 0.0


class Plan(Struct, frozen=True):
    """One week; hours since its start."""

    hours: float
    incidents: tuple[Incident, ...]
    restarts: tuple[Restart, ...]

    def expected(self) -> Counter[str]:
        """How often each alert is to be raised, and cleared."""
        return Counter(key for incident in self.incidents for key in incident.tells)

    def active(self, kind: str, hour: float) -> bool:
        """Whether this is wrong at an hour of the week."""
        return any(one.kind == kind and one.start <= hour < one.start + one.hours for one in self.incidents)


def whole_week(random: Random) -> Plan:
    """Nothing touches what would hide it; the hours differ with the seed."""

    def about(hour: float) -> float:
        return hour + random.uniform(0, 2)

    outage = about(30)
    cut = outage + random.uniform(14, 16)
    quiet = about(160)
    return Plan(
        WEEK_H,
        (
            Incident("server away", about(12), 3),
            # A day without a link; in it a device falls silent and returns, and the power is cut.
            Incident("link down", outage, 31, ("no-upload:waziup", "trouble:clock")),
            Incident("silent 1", outage + 3, 4, ("silent:field-1",)),
            Incident("server away", outage + 34, 0.2),
            Incident("silent 0", about(74), 9, ("silent:field-0",)),
            Incident("battery", about(86), 30, (f"battery:field-{LOW_BATTERY}",)),
            Incident("unplugged", about(120), 2.5, ("input",)),
            Incident("unplugged", about(126), 0.05),
            Incident("clock ahead", about(130), 0.3),
            Incident("clock behind", about(134), 0.3),
            Incident("clock ahead", about(140), 3, ("trouble:clock",)),
            Incident("no frames", quiet, 4, ("no-frame", *(f"silent:field-{index}" for index in range(DEVICES)))),
        ),
        (
            Restart("stop", about(20)),
            Restart("kill", about(26)),
            Restart("power", cut, off_h=3),
            Restart("stop", about(78)),
            Restart("kill", about(100)),
            Restart("power", about(104), off_h=0.1),
            Restart("kill", about(150)),
        ),
    )


def morning(random: Random) -> Plan:
    """A few hours, for the quick tests."""
    return Plan(
        6.0,
        (Incident("server away", 1, 0.5), Incident("silent 0", 2.5, 2, ("silent:field-0",))),
        (Restart("kill", 1.2), Restart("power", 2 + random.random() / 4, off_h=0.1)),
    )


def short(random: Random) -> Plan:
    """Half a day, for the long ones."""
    return Plan(
        13.0,
        (
            Incident("server away", 1, 1),
            Incident("silent 0", 3, 2, ("silent:field-0",)),
            Incident("unplugged", 6, 0.5, ("input",)),
            Incident("clock ahead", 7.5, 1.5, ("trouble:clock",)),
            Incident("battery", 9, 2, (f"battery:field-{LOW_BATTERY}",)),
            Incident("link down", 10, 1.0),
        ),
        (Restart("kill", 2.2), Restart("stop", 4 + random.random()), Restart("power", 10.2, off_h=0.2)),
    )
