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
from lora_post.simulate.end_device import EndDevice, Radio
from lora_post.simulate.joining import Version
from lora_post.spool import downlinks
from lora_post.spool.spool_file import SpoolFile
from tests.support.command import started
from tests.support.forwarder import Forwarder
from tests.support.ports import free_port

COUNTER: Final = 1 << 32
OFFSETS: Final = {"b827ebfffe112233": 123_456_789, "b827ebfffe112244": 4_200_000_000}
LAST_TURNS: Final = 60
"""So many uplinks of each device, at the end, has a command to get its fate."""
MOST_PATIENCE_S: Final = 5.0
_SETTINGS: Final = {"US915": ("sub_band = 2\n", "rx2_data_rate = 9\n"), "AS923-1": ("", "uplink_dwell = true\n")}
"""What [network] says at all times, and at some."""
_CHANGED: Final = "rx_delay_s = 2\ndevice_duty_cycle = 0.0625\n"
REJOINS: Final = 0.15
ALWAYS_S: Final = (4.9, 6.2)
"""So long after its uplink a device of class C is sent what waits for it."""
_ADDRESS: Final = "127.0.0.1"


class Chaos(Struct):
    """What a run came to.

    at_once: downlinks to devices that listen always (class C). on_fport_0: those with MAC commands alone, in LoRaWAN
    1.1. twice: counters that two frames had. locked_out: devices that cannot join or be answered.
    """

    kills: int = 0
    joins: int = 0
    rejoins: int = 0
    at_once: int = 0
    on_fport_0: int = 0
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
            f"kills={self.kills} joins={self.joins} rejoins={self.rejoins} uplinks={self.uplinks} "
            f"downlinks={self.downlinks} at_once={self.at_once} on_fport_0={self.on_fport_0} "
            f"commands={self.commands} twice={self.twice} locked_out={self.locked_out} "
            f"without_fate={self.without_fate} wrong={len(self.wrong)}"
        )


class Processes:
    """Devices, two packet forwarders that come and go, and the process between them."""

    def __init__(self, folder: Path, devices: int, loss: float, seed: int, region: str) -> None:
        self.folder, self.loss, self.dice = folder, loss, Random(seed)
        self.port, self.region = free_port(), load_region(region)
        always, sometimes = _SETTINGS.get(region, ("", ""))
        usual = f'[network]\nregion = "{region}"\n{always}'
        self._networks = (usual, f"{usual}{sometimes}{_CHANGED}")
        self.devices = {f"d{number}": self._device(number) for number in range(devices)}
        self.frames: defaultdict[tuple[object, ...], set[bytes]] = defaultdict(set)
        self.chaos = Chaos()
        self._sessions: dict[int, str] = {}
        self._sent: dict[str, tuple[int, float]] = {}  # when a device has sent, by its time and by this machine's
        self._sending = ""
        self.patience_s = 0.3  # of a device, for its answer

    def _device(self, number: int) -> EndDevice:
        version = tuple(Version)[number % 3]
        nwk_key = self.dice.randbytes(16) if version is Version.V1_1 else None
        root = RootKeys(0x70B3D57ED0200000 + number, 0x70B3D57ED0000000, self.dice.randbytes(16), nwk_key)
        return EndDevice(root, version, self.region, self.dice, is_class_c=number % 2 == 0, rejoins=REJOINS)

    def _write_config(self) -> None:
        text = (
            '[gateway]\nid = "gw1"\n[spool]\npath = "spool.db"\n[json_lines]\npath = "out.jsonl"\n'
            f"{self.dice.choice(self._networks)}"
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
                f'class = "{"C" if device.is_class_c else "A"}"\n'
            )
        (self.folder / "site.toml").write_text(text)
        (self.folder / "site.toml").chmod(0o600)

    def life(self, turns: int, *, is_killed: bool) -> None:
        """Let one process live for some uplinks, and kill it while it is at the last one, or at what follows it."""
        self._write_config()
        with ExitStack() as stack:
            process = stack.enter_context(started("run", "-c", "site.toml", cwd=self.folder))
            forwarders = {eui: stack.enter_context(Forwarder(self.port, eui)) for eui in OFFSETS}
            for each in forwarders.values():
                each.ask()
            always = [name for name, device in self.devices.items() if device.is_class_c and device.is_joined]
            waits = is_killed and always and self.dice.random() < 0.3
            for turn in range(turns):
                there = [eui for eui in forwarders if self.dice.random() < 0.8] or list(forwarders)[:1]
                name = self.dice.choice(sorted(self.devices))
                kill = process.kill if is_killed and turn == turns - 1 and not waits else None
                self.turn(name, {eui: forwarders[eui] for eui in there}, kill)
            if waits:
                self._at_once(self.dice.choice(always), forwarders)
            process.kill()
            process.wait()
        self.chaos.kills += 1

    def _at_once(self, name: str, forwarders: dict[str, Forwarder]) -> None:
        """Give a device of class C something to do, until about when it is sent."""
        self.turn(name, forwarders)
        self.ask(name)
        _, at_s = self._sent[name]
        self._listen(forwarders, at_s + self.dice.uniform(*ALWAYS_S) - time.monotonic())

    def turn(self, name: str, forwarders: dict[str, Forwarder], kill: Any = None) -> None:
        """Let a device send, and hear what is answered; the process may be killed meanwhile."""
        device = self.devices[name]
        sent = device.send()
        self._sending, self._sent[name] = name, (sent.end_us, time.monotonic())
        self.chaos.uplinks += 1
        rate = sent.radio.rate.text
        for eui, forwarder in forwarders.items():
            if self.dice.random() >= self.loss:
                tmst = (sent.end_us + OFFSETS[eui]) % COUNTER
                forwarder.push(sent.phy_payload, tmst, freq=sent.radio.hz / 1e6, datr=rate)
        if kill:
            time.sleep(self.dice.uniform(0, 0.05))
            kill()
        for eui, txpk in self._listen(forwarders, self.patience_s):
            at_us = sent.end_us + (txpk["tmst"] - sent.end_us - OFFSETS[eui]) % COUNTER
            self._hand_over(device, at_us, txpk)
        device.close()
        self._sending = ""
        if device.dev_addr is not None:
            self._sessions[device.dev_addr] = name

    def _hand_over(self, device: EndDevice, at_us: int, txpk: dict[str, Any]) -> None:
        phy_payload = b64decode(txpk["data"])
        self._note(device, phy_payload)
        rate = next(each for each in self.region.data_rates.values() if each.text == txpk["datr"])
        radio = Radio(round(txpk["freq"] * 1e6), rate)
        if self.dice.random() >= self.loss and device.listens(at_us, radio):
            device.hear(at_us, radio, phy_payload)

    def _hand_over_at_once(self, txpk: dict[str, Any]) -> None:
        """Let a device of class C hear what it is sent, unless it sends."""
        self.chaos.at_once += 1
        dev_addr = parse_data_frame(b64decode(txpk["data"])).dev_addr
        name = self._sessions[dev_addr]
        device, (end_us, end_s) = self.devices[name], self._sent[name]
        at_us = min(end_us + round((time.monotonic() - end_s) * 1e6), device.next_us)
        if device.dev_addr == dev_addr and name != self._sending:
            self._hand_over(device, at_us, txpk)
        else:
            self._note(device, b64decode(txpk["data"]))

    def _listen(self, forwarders: dict[str, Forwarder], for_s: float) -> Sequence[tuple[str, dict[str, Any]]]:
        """Return what is sent within so long; what is sent at once is heard. Some TX_ACKs are lost."""
        found, until = [], time.monotonic() + for_s
        while (left := until - time.monotonic()) > 0 and not found:
            for eui, forwarder in forwarders.items():
                forwarder.socket.settimeout(min(left, 0.02))
                try:
                    txpk = forwarder.next_txpk(confirms=self.dice.random() < 0.8)
                except (TimeoutError, ConnectionRefusedError):
                    continue
                if "tmst" in txpk:
                    found.append((eui, txpk))
                else:
                    self._hand_over_at_once(txpk)
        return found

    def _note(self, device: EndDevice, phy_payload: bytes) -> None:
        self.chaos.downlinks += 1
        if message_type(phy_payload) is not MType.JOIN_ACCEPT:
            data = parse_data_frame(phy_payload)
            name = self._sessions.get(data.dev_addr)  # one that comes late is not of the device that has just sent
            is_11 = (self.devices[name] if name else device).root.is_11
            self.frames[data.dev_addr, is_11 and bool(data.fport), data.fcnt16].add(phy_payload)
            self.chaos.on_fport_0 += is_11 and data.fport == 0

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

    def unreached(self) -> list[str]:
        """Return the devices whose last command had its eight tries in vain."""
        last = {each.device: each for each in self.commands()}
        return [name for name in self.devices if last[name].is_over and last[name].fate is not Fate.ACKNOWLEDGED]


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
        if unreached := processes.unreached():  # locked out, or answered too late by a slow machine
            processes.patience_s = min(2 * processes.patience_s, MOST_PATIENCE_S)
            for name in unreached:
                processes.ask(name, is_last=True)
        elif all(each.is_over for each in processes.commands()):
            break
        processes.life(2 * devices, is_killed=False)
        chaos.kills -= 1
    _judge(processes)
    return chaos


def _judge(processes: Processes) -> None:
    chaos, devices = processes.chaos, processes.devices
    chaos.joins = sum(device.joins - device.rejoins for device in devices.values())
    chaos.rejoins = sum(device.rejoins for device in devices.values())
    chaos.twice = sum(len(frames) > 1 for frames in processes.frames.values())
    chaos.without_fate = sum(not each.is_over for each in processes.commands())
    chaos.locked_out = len(processes.unreached())
    chaos.wrong = [f"{name}: {text}" for name, device in devices.items() for text in device.complaints]
    chaos.wrong += ["a counter was used for two frames"] * chaos.twice + ["a command has no fate"] * chaos.without_fate
    chaos.wrong += ["a device is locked out"] * chaos.locked_out
