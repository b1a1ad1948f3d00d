"""The installed command between devices and two packet forwarders, killed at any moment; both ways lose frames.

Devices' time runs as fast as frames go: a forwarder's counter is theirs, so only the pauses between frames are shorter.
"""

from __future__ import annotations

import time
from base64 import b64decode
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from random import Random
from typing import Any, Final

from msgspec import Struct

from lora_post.command import Command, Fate, Moment
from lora_post.lorawan.phy_payload import MType, message_type, parse_data_frame
from lora_post.lorawan.region import load_region
from lora_post.lorawan.root_keys import RootKeys
from lora_post.simulate.end_device import EndDevice, Radio, Version
from lora_post.spool import downlinks
from lora_post.spool.spool_file import SpoolFile
from tests.support.command import free_udp_port, started
from tests.support.forwarder import Forwarder

COUNTER: Final = 1 << 32
OFFSETS: Final = {"b827ebfffe112233": 123_456_789, "b827ebfffe112244": 4_200_000_000}
LAST_TURNS: Final = 60
"""So many uplinks of each device, at the end, has a command to get its fate."""
_SETTINGS: Final = {"US915": "sub_band = 2\nrx2_data_rate = 9\n", "AS923-1": "uplink_dwell = true\n"}
_ADDRESS: Final = "127.0.0.1"


class Chaos(Struct):
    """What a run came to. twice: counters that two frames had. locked_out: devices that cannot join or be answered."""

    kills: int = 0
    joins: int = 0
    uplinks: int = 0
    downlinks: int = 0
    commands: int = 0
    twice: int = 0
    locked_out: int = 0
    without_fate: int = 0
    wrong: list[str] = []

    @property
    def line(self) -> str:
        return (
            f"kills={self.kills} joins={self.joins} uplinks={self.uplinks} downlinks={self.downlinks} "
            f"commands={self.commands} twice={self.twice} locked_out={self.locked_out} "
            f"without_fate={self.without_fate} wrong={len(self.wrong)}"
        )


class Processes:
    """Devices, two packet forwarders that come and go, and the process between them."""

    def __init__(self, folder: Path, devices: int, loss: float, seed: int, region: str) -> None:
        self.folder, self.loss, self.dice = folder, loss, Random(seed)
        self.port, self.region = free_udp_port(), load_region(region)
        self._network = f'[network]\nregion = "{region}"\n' + _SETTINGS.get(region, "")
        self.devices = {f"d{number}": self._device(number) for number in range(devices)}
        self.frames: defaultdict[tuple[object, ...], set[bytes]] = defaultdict(set)
        self.chaos = Chaos()
        self._write_config()

    def _device(self, number: int) -> EndDevice:
        version = tuple(Version)[number % 3]
        nwk_key = self.dice.randbytes(16) if version is Version.V1_1 else None
        root = RootKeys(0x70B3D57ED0200000 + number, 0x70B3D57ED0000000, self.dice.randbytes(16), nwk_key)
        return EndDevice(root, version, self.region, self.dice)

    def _write_config(self) -> None:
        text = (
            '[gateway]\nid = "gw1"\n[spool]\npath = "spool.db"\n[json_lines]\npath = "out.jsonl"\n'
            f"{self._network}"
            f'[[input]]\nurl = "udp://{_ADDRESS}:{self.port}"\n'
        )
        for name, device in self.devices.items():
            root = device.root
            keys = "".join(
                f'{key} = "{secret.hex()}"\n' for key, secret in zip(("app_key", "nwk_key"), root.secrets, strict=False)
            )
            text += (
                f'[[device]]\nid = "{name}"\ndev_eui = "{root.dev_eui:016x}"\njoin_eui = "{root.join_eui:016x}"\n'
                f'{keys}decoder = "cayenne-lpp"\nadr = true\ndev_status_every = "1d"\n'
            )
        (self.folder / "site.toml").write_text(text)
        (self.folder / "site.toml").chmod(0o600)

    def life(self, turns: int, *, is_killed: bool) -> None:
        """Let one process live for some uplinks, and kill it while it is at the last one."""
        with ExitStack() as stack:
            process = stack.enter_context(started("run", "-c", "site.toml", cwd=self.folder))
            forwarders = {eui: stack.enter_context(Forwarder(self.port, eui)) for eui in OFFSETS}
            for each in forwarders.values():
                each.ask()
            for turn in range(turns):
                there = [eui for eui in forwarders if self.dice.random() < 0.8] or list(forwarders)[:1]
                name = self.dice.choice(sorted(self.devices))
                kill = process.kill if is_killed and turn == turns - 1 else None
                self.turn(name, {eui: forwarders[eui] for eui in there}, kill)
            process.kill()
            process.wait()
        self.chaos.kills += 1

    def turn(self, name: str, forwarders: dict[str, Forwarder], kill: Any = None) -> None:
        """Let a device send, and hear what is answered; the process may be killed meanwhile."""
        device = self.devices[name]
        sent = device.send()
        self.chaos.uplinks += 1
        rate = sent.radio.rate.text
        for eui, forwarder in forwarders.items():
            if self.dice.random() >= self.loss:
                tmst = (sent.end_us + OFFSETS[eui]) % COUNTER
                forwarder.push(sent.phy_payload, tmst, freq=sent.radio.hz / 1e6, datr=rate)
        if kill:
            time.sleep(self.dice.uniform(0, 0.05))
            kill()
        for eui, txpk in self._listen(forwarders, 0.3):
            phy_payload = b64decode(txpk["data"])
            self._note(device, phy_payload)
            at_us = sent.end_us + (txpk["tmst"] - sent.end_us - OFFSETS[eui]) % COUNTER
            rate_down = next(each for each in self.region.data_rates.values() if each.text == txpk["datr"])
            radio = Radio(round(txpk["freq"] * 1e6), rate_down)
            if self.dice.random() >= self.loss and device.listens(at_us, radio):
                device.hear(at_us, radio, phy_payload)
        device.close()

    def _listen(self, forwarders: dict[str, Forwarder], for_s: float) -> Sequence[tuple[str, dict[str, Any]]]:
        """Take what is sent for so long; some TX_ACKs are lost."""
        found, until = [], time.monotonic() + for_s
        while (left := until - time.monotonic()) > 0 and not found:
            for eui, forwarder in forwarders.items():
                forwarder.socket.settimeout(min(left, 0.02))
                try:
                    found.append((eui, forwarder.next_txpk(confirms=self.dice.random() < 0.8)))
                except (TimeoutError, ConnectionRefusedError):
                    continue
        return found

    def _note(self, device: EndDevice, phy_payload: bytes) -> None:
        self.chaos.downlinks += 1
        if message_type(phy_payload) is not MType.JOIN_ACCEPT:
            data = parse_data_frame(phy_payload)
            is_app = device.root.is_11 and bool(data.fport)
            self.frames[device.root.dev_eui, device.joins, data.dev_addr, is_app, data.fcnt16].add(phy_payload)

    def ask(self, name: str, *, is_last: bool = False) -> None:
        """Queue a command, as `lora-post downlink send` does beside a run. is_last: it is to be acknowledged."""
        now = Moment(time.time_ns() // 1000, "", time.monotonic_ns() // 1000)
        is_confirmed = is_last or self.dice.random() < 0.5
        command = Command(name, 7, self.dice.randbytes(6), now, is_confirmed=is_confirmed)
        with closing(SpoolFile(self.folder / "spool.db")) as store, store.transaction() as db:
            waiting = [each for each in downlinks.load_waiting(db) if each.device == name]
            if is_last or len(waiting) < 2:
                downlinks.add(db, command, now)
                self.chaos.commands += 1

    def commands(self) -> list[Command]:
        """All commands, as they are kept."""
        with closing(SpoolFile(self.folder / "spool.db")) as store:
            return downlinks.load(store)


def run_processes(
    folder: Path,
    devices: int,
    kills: int,
    loss: float,
    seed: int,
    progress: Callable[[float], None],
    region: str = "US915",
) -> Chaos:
    """Kill the command so often, and then let it give all devices what they wait for."""
    processes = Processes(folder, devices, loss, seed, region)
    chaos, dice = processes.chaos, processes.dice
    for number in range(kills):
        progress(number / kills)
        processes.life(dice.randrange(1, 8), is_killed=True)
        name = dice.choice(sorted(processes.devices))
        if dice.random() < 0.3:
            processes.devices[name].switch_off()
        elif number % 2:
            processes.ask(name)
    processes.loss = 0.0
    for name in processes.devices:
        processes.ask(name, is_last=True)
    for _ in range(LAST_TURNS):
        if all(each.is_over for each in processes.commands()):
            break
        processes.life(2 * devices, is_killed=False)
        chaos.kills -= 1
    _judge(processes)
    return chaos


def _judge(processes: Processes) -> None:
    chaos, devices = processes.chaos, processes.devices
    chaos.joins = sum(device.joins for device in devices.values())
    chaos.twice = sum(len(frames) > 1 for frames in processes.frames.values())
    chaos.without_fate = sum(not each.is_over for each in processes.commands())
    last = {each.device: each.fate for each in processes.commands()}
    chaos.locked_out = sum(last[name] is not Fate.ACKNOWLEDGED for name in devices)
    chaos.wrong = [f"{name}: {text}" for name, device in devices.items() for text in device.complaints]
    chaos.wrong += ["a counter was used for two frames"] * chaos.twice + ["a command has no fate"] * chaos.without_fate
    chaos.wrong += ["a device is locked out"] * chaos.locked_out
