"""The site: what it is configured with, what its radio hears, and what must arrive of that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from lora_post.lowcost.header import DATA, GATEWAY
from lora_post.uplink.unlock import seal_lorawan
from tests.support.command import dev_addr, keys, packet

LORAWAN = 4  # devices with a frame counter
LOWCOST = 2  # devices without one
DEVICES = LORAWAN + LOWCOST
READINGS_A_FRAME = 2
START_US = 1_790_000_000_000_000
STEP_US = 1_000_000


class Row(Struct, frozen=True):
    """A value as the server should have it. time_us: µs since 1970 UTC."""

    time_us: int
    value: float


def frame(number: int) -> bytes:
    """Return frame `number` of the site as a radio program prints it."""
    index, count = number % DEVICES, number // DEVICES
    time_us = START_US + number * STEP_US
    if index < LORAWAN:
        payload = bytes((1, 2)) + (count % 30_000).to_bytes(2) + bytes((2, 103)) + (count % 500).to_bytes(2)
        return packet(seal_lorawan(keys(index), dev_addr(index), count, 2, payload), time_us)
    text = b"\\!TC/%.1f/HU/%d" % (count % 500 / 10, count)
    address, seq = 2 + index, count % 256
    addressed = b"^p%d,%d,%d,%d,%d,7,-60\n" % (GATEWAY, DATA, address, seq, len(text))
    return packet(text, time_us).replace(b"^p0,0,0,0,%d,7,-60\n" % len(text), addressed)


def expected(frames: int) -> dict[tuple[str, str], list[Row]]:
    """Return what must arrive of the first frames, by device and sensor, in order."""
    wanted: dict[tuple[str, str], list[Row]] = {}
    for number in range(frames):
        index, count = number % DEVICES, number // DEVICES
        first, second = (
            (count % 30_000 / 100, count % 500 / 10) if index < LORAWAN else (count % 500 / 10, float(count))
        )
        for sensor, value in zip(_sensors(index), (first, second), strict=True):
            wanted.setdefault((_device(index), sensor), []).append(Row(START_US + number * STEP_US, value))
    return wanted


def sensors() -> list[tuple[str, str]]:
    """Return all sensors of the site, each with its device."""
    return [(_device(index), sensor) for index in range(DEVICES) for sensor in _sensors(index)]


def _device(index: int) -> str:
    return f"chaos-{index}"


def _sensors(index: int) -> tuple[str, str]:
    return ("analog_in_1", "temperature_2") if index < LORAWAN else ("TC", "HU")


def write_site(folder: Path, url: str) -> Path:
    """Write the configuration of the site; its spool will be beside it."""
    path = folder / "site.toml"
    path.write_text("\n".join(_tables(url)))
    path.chmod(0o600)
    return path


def _tables(url: str) -> Iterator[str]:
    yield '[gateway]\nid = "gw1"\n'
    yield f'[waziup]\nurl = "{url}"\nusername = "demo"\npassword = "demo"\n'
    yield '[spool]\npath = "spool.db"\n'
    for index in range(DEVICES):
        yield f'[[device]]\nid = "{_device(index)}"'
        if index < LORAWAN:
            yield f'dev_addr = "{dev_addr(index):08x}"\ndecoder = "cayenne-lpp"'
            yield f'nwk_skey = "{bytes([index]).hex() * 16}"\napp_skey = "{bytes([index + 128]).hex() * 16}"\n'
        else:
            yield f'address = {2 + index}\ndecoder = "text"\n'
