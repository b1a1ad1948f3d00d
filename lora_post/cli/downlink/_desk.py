"""What the sub-commands work with: the spool, the command with a number, and how its fate is told."""

from __future__ import annotations

from typing import Final

from lora_post.clocks.scale import utc_text
from lora_post.clocks.system import SystemClock
from lora_post.command import Command, Fate, Moment, age_s
from lora_post.config import Config
from lora_post.errors import ConfigError
from lora_post.model import Device
from lora_post.spool import downlinks
from lora_post.spool.spool_file import SpoolFile
from lora_post.text import did_you_mean, span_text
from lora_post.times import WallUs

_MAX_ID: Final = (1 << 63) - 1  # of SQLite


def device_with(config: Config, name: str) -> Device:
    """Return the device with an id. Raises ConfigError when there is none."""
    devices = {each.id: each for each in config.devices}
    if name not in devices:
        raise ConfigError(f"no [[device]] has the id {name!r}", fix=did_you_mean(name, devices))
    return devices[name]


def now() -> Moment:
    """Return the time by this machine's clock."""
    clock = SystemClock()
    return Moment(clock.wall_us(), clock.boot_id, clock.boot_us())


def command_with(spool_file: SpoolFile, number: int) -> Command:
    """Return the command with an id. Raises ConfigError when there is none."""
    command = downlinks.find(spool_file, number) if 0 < number <= _MAX_ID else None
    if command is None:
        raise ConfigError(f"there is no downlink {number}", fix="`lora-post downlink list` shows those that there are")
    return command


def fate_text(command: Command) -> str:
    """Return the fate in a few words; of one that waits, for how long it still may."""
    if command.is_over:
        return command.fate.value
    age = age_s(command.made, now())
    left = "" if age is None else f", {span_text(command.life_s - age)} left"
    if command.fate is Fate.SENT:
        return f"sent, to be acknowledged{left}"
    return f"{'given to a gateway' if command.is_open else 'waits'}{left}"


def time_text(at_us: int) -> str:
    """Return a time without fractions of a second."""
    return f"{utc_text(WallUs(at_us))[:19]}Z"
