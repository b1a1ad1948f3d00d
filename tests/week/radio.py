"""The devices of the site."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

from lora_post.uplink.unlock import seal_lorawan
from tests.support.command import dev_addr, keys, packet
from tests.week.plan import DEVICES, INTERVALS_MIN, LOW_BATTERY

GOOD_PERCENT, LOW_PERCENT = 80, 5


class Device:
    """Sends how often it has sent, and its battery."""

    def __init__(self, index: int, random: Random) -> None:
        self.index = index
        self._random = random
        self._next_us = 0
        self.count = 0

    def is_due(self, true_us: int) -> bool:
        """Whether it sends now; its clock is not exact."""
        if true_us < self._next_us:
            return False
        distance_s = INTERVALS_MIN[self.index] * 60 * self._random.uniform(0.9, 1.1)
        self._next_us = true_us + int(distance_s * 1e6)
        self.count += 1
        return True

    def frame(self, wall_us: int, percent: int) -> bytes:
        """What the radio program prints for the newest frame, by this machine's clock."""
        payload = bytes((1, 2)) + self.count.to_bytes(2) + bytes((2, 2)) + (percent * 100).to_bytes(2)
        return packet(seal_lorawan(keys(self.index), dev_addr(self.index), self.count, 2, payload), wall_us)


def write_site(folder: Path, url: str, port: Path) -> Path:
    """The configuration."""
    path = folder / "week.toml"
    path.write_text("\n".join(_tables(url, port)))
    path.chmod(0o600)
    return path


def _tables(url: str, port: Path) -> Iterator[str]:
    yield '[gateway]\nid = "week"\n'
    yield f'[waziup]\nurl = "{url}"\nusername = "demo"\npassword = "demo"\n'
    yield '[spool]\npath = "spool.db"\n'
    yield f'[[input]]\nurl = "serial://{port}"\n'
    for index in range(DEVICES):
        yield f'[[device]]\nid = "field-{index}"\ndev_addr = "{dev_addr(index):08x}"\ndecoder = "cayenne-lpp"'
        yield f'nwk_skey = "{bytes([index]).hex() * 16}"\napp_skey = "{bytes([index + 128]).hex() * 16}"\n'
        if index == LOW_BATTERY:
            yield '[[device.sensor]]\nname = "analog_in_2"\nrename = "battery_2"\nunit = "%"\n'
