"""Make devices and the frames that they would send: encrypted, signed, with likely values.

Everything follows from a seed: keys, addresses and values are the same at each run.
Half of the devices are LoRaWAN (ABP), half have LowCostLoRaGw's four-byte header with AES; payloads are Cayenne LPP.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from hashlib import sha256
from random import Random
from typing import Final

from msgspec import Struct

from lora_post.lorawan.root_keys import RootKeys
from lora_post.lorawan.session_keys import SessionKeys
from lora_post.lowcost import header as lowcost
from lora_post.model import Frame, Link, RxInfo
from lora_post.simulate.joining import Version
from lora_post.times import WallUs
from lora_post.uplink.unlock import seal_lorawan, seal_lowcost

GATEWAY: Final = "simulated-gateway"
FPORT: Final = 2
DEV_EUI: Final = 0x0200_0000_5100_0000
JOIN_EUI: Final = 0x0200_0000_5000_0000
"""Locally administered: no maker has them."""
MAX_DEVICES: Final = 10_000
MAX_LOWCOST: Final = 254
"""Source addresses 2 to 255; 1 is the gateway."""

_DAY_US: Final = 86_400_000_000
_FREQUENCIES: Final = (868.1, 868.3, 868.5)


class SimulatedDevice(Struct, frozen=True):
    """One device. index: from 0. keys: None for one that sends in clear."""

    index: int
    id: str
    link: Link
    address: int
    keys: SessionKeys | None


class JoiningDevice(Struct, frozen=True):
    """A device that joins."""

    id: str
    version: Version
    root: RootKeys
    is_class_c: bool


def joining_devices(count: int, seed: int) -> list[JoiningDevice]:
    """Return devices that join, of all LoRaWAN versions in turns; every fourth listens always (class C)."""
    return [_joining(index, seed) for index in range(count)]


def _joining(index: int, seed: int) -> JoiningDevice:
    version = tuple(Version)[index % len(Version)]
    app_key, nwk_key = (_bytes(seed, index, name)[:16] for name in ("app_key", "nwk_key"))
    root = RootKeys(DEV_EUI + index, JOIN_EUI, app_key, nwk_key if version is Version.V1_1 else None)
    return JoiningDevice(f"simulated-{index}", version, root, is_class_c=index % 4 == 3)


def simulated_devices(count: int, seed: int) -> list[SimulatedDevice]:
    """Return devices that encrypt: LoRaWAN and LowCostLoRaGw in turns, while addresses last."""
    return [_device(index, seed) for index in range(count)]


def clear_devices(count: int) -> list[SimulatedDevice]:
    """Return devices that send in clear with the four-byte header, at most MAX_LOWCOST."""
    return [
        SimulatedDevice(index, f"simulated-{index}", Link.LOWCOST, index + 2, None)
        for index in range(min(count, MAX_LOWCOST))
    ]


def simulated_frame(device: SimulatedDevice, fcnt: int, seed: int, time_us: WallUs) -> Frame:
    """Return what the gateway hears when a device sends for the fcnt-th time."""
    random = Random(f"{seed}/{device.index}/{fcnt}")  # noqa: S311 - no secret
    payload = _payload(device.index, time_us, fcnt, random)
    if device.link is Link.LORAWAN and device.keys is not None:
        packet = seal_lorawan(device.keys, device.address, fcnt, FPORT, payload)
    elif device.keys is not None:
        packet = seal_lowcost(device.keys, device.address, fcnt, payload, seq=fcnt & 0xFF)
    else:
        header = lowcost.Header(lowcost.GATEWAY, lowcost.DATA, device.address, fcnt & 0xFF)
        packet = lowcost.build_header(header) + payload
    rssi, snr = random.randint(-120, -45), random.randint(-12, 10)
    return Frame(
        GATEWAY, time_us, packet, RxInfo(rssi, snr, 7 + device.index % 6, 125.0, "4/5", random.choice(_FREQUENCIES))
    )


def in_turns(devices: list[SimulatedDevice], first_fcnt: int) -> Iterator[tuple[SimulatedDevice, int]]:
    """Yield the devices one after the other, without end, with the counter of each."""
    fcnt = first_fcnt
    while True:
        for device in devices:
            yield device, fcnt
        fcnt += 1


def _device(index: int, seed: int) -> SimulatedDevice:
    keys = SessionKeys(_bytes(seed, index, "nwk_skey")[:16], _bytes(seed, index, "app_skey")[:16])
    if index % 2 and index // 2 < MAX_LOWCOST:
        return SimulatedDevice(index, f"simulated-{index}", Link.LOWCOST, 2 + index // 2, keys)
    # DevAddrs below 02000000 belong to NetID 0, which is for experiments.
    return SimulatedDevice(index, f"simulated-{index}", Link.LORAWAN, 0x0100_0000 + index, keys)


def key_text(seed: int, index: int, name: str) -> str:
    """Return the session key of a device in hex. name: nwk_skey or app_skey."""
    return _bytes(seed, index, name)[:16].hex()


def _bytes(seed: int, index: int, name: str) -> bytes:
    return sha256(f"lora-post simulate/{seed}/{index}/{name}".encode()).digest()


def _payload(index: int, time_us: WallUs, fcnt: int, random: Random) -> bytes:
    """Return Cayenne LPP: temperature and humidity of a day, a battery that empties, fcnt.

    fcnt makes payloads differ: an equal one without a counter of its own is refused as a repeat.
    """
    sun = math.sin((time_us % _DAY_US / _DAY_US - 0.375) * 2 * math.pi)
    temperature = 21 + index % 7 + 6 * sun + random.uniform(-0.3, 0.3)
    humidity = min(max(62 - 15 * sun + random.uniform(-2, 2), 0), 100)
    battery = 4.1 - 0.6 * min(fcnt / 10_000, 1)
    return (
        b"\x01\x67"
        + round(temperature * 10).to_bytes(2, signed=True)
        + bytes((2, 0x68, round(humidity * 2)))
        + b"\x03\x02"
        + round(battery * 100).to_bytes(2, signed=True)
        + b"\x04\x64"
        + fcnt.to_bytes(4)
    )
