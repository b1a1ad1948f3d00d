"""Devices that join and are answered through the real program of a gateway; only the radio is made of a socket.

    python -m tests.gateways PROGRAM [--region EU868] [--minutes 3] [--seed 1] [--keep]

PROGRAM is one of two, which are not part of lora-post:

station      LoRa Basics Station, built from its source: `make platform=linux variant=testsim`.
lora_pkt_fwd Semtech's packet forwarder 4.0.1, built from its source with tests/gateways/hal.c in place of libloragw:
             cc hal.c lora_pkt_fwd/src/*.c libloragw/src/loragw_gps.c libloragw/src/loragw_aux.c -lm -lpthread
             with -D_GNU_SOURCE, -DVERSION_STRING='"4.0.1"' and -I of both folders `inc`.

Six devices of LoRaWAN 1.0.3, 1.0.4 and 1.1, three of class C, send every half minute; each gets commands. Wrong is: a
device that never joins, a reading that is missing or there twice, a downlink that its device must not believe, a
command that was sent and is called unconfirmed. A busy machine costs windows, which is told and is not wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from typing import Any

from lora_post.lorawan.region import load_region
from lora_post.lorawan.root_keys import RootKeys
from lora_post.simulate.end_device import EndDevice, Sent
from lora_post.simulate.joining import Version
from tests.gateways.radio import OnAir, SocketRadio
from tests.support.command import COMMAND, run
from tests.support.ports import free_port

DEVICES = 6
PERIOD_S = 30
SECOND_US = 1_000_000
LISTENS_US = 8_000_000
PATIENCE_S = 60
RADIO = "spidev"  # Basics Station's name of it
DEV_EUI, JOIN_EUI = 0x70B3D57ED0200000, 0x70B3D57ED0000000
FOREIGN = ("a join-accept that it did not ask for", "a downlink for ")  # others are answered on the same channels
STATION: dict[str, Any] = {
    "SX1301_conf": {
        "lorawan_public": True,
        "clksrc": 1,
        "device": RADIO,
        "radio_0": {"type": "SX1257", "rssi_offset": -166.0, "tx_enable": True, "antenna_gain": 0},
        "radio_1": {"type": "SX1257", "rssi_offset": -166.0, "tx_enable": False},
    },
    "station_conf": {"routerid": "b827:ebff:fe11:2233", "log_file": "stderr", "radio_init": "/bin/true"},
}
POWERS_DBM = (12, 14, 16, 20, 23, 27)
FORWARDER: dict[str, Any] = {
    "SX1301_conf": {
        **{
            f"tx_lut_{at}": {"pa_gain": 0, "mix_gain": 8, "rf_power": dbm, "dig_gain": 0}
            for at, dbm in enumerate(POWERS_DBM)
        },
        "lorawan_public": True,
        "clksrc": 1,
        "radio_0": {
            "enable": True,
            "type": "SX1257",
            "freq": 867500000,
            "rssi_offset": -166.0,
            "tx_enable": True,
            "tx_freq_min": 433000000,
            "tx_freq_max": 928000000,
        },
    },
    "gateway_conf": {"gateway_ID": "B827EBFFFE112233", "server_address": "127.0.0.1", "keepalive_interval": 5},
}


class Site:
    """The gateway's program, lora-post behind it, and the devices around it."""

    def __init__(self, folder: Path, program: Path, region: str, dice: Random) -> None:
        self.folder, self._program, self._dice = folder, program, dice
        self._region = load_region(region)
        self._is_station = program.name == "station"
        self._port = free_port()
        self._radio = SocketRadio(folder / RADIO)
        self.devices = {f"d{number}": self._device(number) for number in range(DEVICES)}
        self._listening: dict[str, tuple[Sent, bool]] = {}
        self.heard: Counter[str] = Counter()
        self.downlinks = 0
        self._configure(region)

    def _device(self, number: int) -> EndDevice:
        version = tuple(Version)[number % len(Version)]
        nwk_key = self._dice.randbytes(16) if version is Version.V1_1 else None
        root = RootKeys(DEV_EUI + number, JOIN_EUI, self._dice.randbytes(16), nwk_key)
        is_class_c = number >= DEVICES // 2
        return EndDevice(root, version, self._region, self._dice, is_class_c=is_class_c, period_s=PERIOD_S)

    def _configure(self, region: str) -> None:
        url = f"{'station' if self._is_station else 'udp'}://127.0.0.1:{self._port}"
        text = (
            '[gateway]\nid = "gw1"\n[spool]\npath = "spool.db"\n[json_lines]\npath = "out.jsonl"\n'
            f'[network]\nregion = "{region}"\n{"sub_band = 2" if len(self._region.channels) > 1 else ""}\n'
            f'[[input]]\nurl = "{url}"\n'
        )
        for name, device in self.devices.items():
            secrets = zip(("app_key", "nwk_key"), device.root.secrets, strict=False)
            keys = "".join(f'{key} = "{secret.hex()}"\n' for key, secret in secrets)
            text += (
                f'[[device]]\nid = "{name}"\ndev_eui = "{device.root.dev_eui:016x}"\njoin_eui = "{JOIN_EUI:016x}"\n'
                f'{keys}decoder = "cayenne-lpp"\nadr = true\nclass = "{"C" if device.is_class_c else "A"}"\n'
            )
        config = self.folder / "site.toml"
        config.write_text(text)
        config.chmod(0o600)
        (self.folder / "tc.uri").write_text(f"ws://127.0.0.1:{self._port}\n")
        (self.folder / "station.conf").write_text(json.dumps(STATION))
        ports = dict.fromkeys(("serv_port_up", "serv_port_down"), self._port)
        forwarder = {**FORWARDER, "gateway_conf": FORWARDER["gateway_conf"] | ports}
        (self.folder / "global_conf.json").write_text(json.dumps(forwarder))

    def live(self, for_s: float) -> None:
        """Let the devices send for a while, then a little longer for what is under way."""
        with ExitStack() as stack:
            stack.enter_context(started([COMMAND, "run", "-c", "site.toml"], self.folder, "run.log"))
            options = ["-p", "--temp", "."] if self._is_station else []
            stack.enter_context(started([str(self._program), *options], self.folder, "program.log"))
            stack.callback(self._radio.close)
            self._radio.accept(PATIENCE_S)
            time.sleep(2)
            began_us = self._radio.now_us()
            for number, device in enumerate(self.devices.values()):
                device.next_us = began_us + number * PERIOD_S * SECOND_US // DEVICES
            end_us = began_us + round(for_s * SECOND_US)
            next_command_us, asked = began_us + 2 * PERIOD_S * SECOND_US, 0
            while self._radio.now_us() < end_us or self._listening:
                self._turn(sends=self._radio.now_us() < end_us)
                if next_command_us <= self._radio.now_us() < end_us - 2 * PERIOD_S * SECOND_US:
                    next_command_us += PERIOD_S * SECOND_US // DEVICES
                    self._ask(f"d{asked % DEVICES}", asked)
                    asked += 1

    def _ask(self, name: str, number: int) -> None:
        payload, words = f"{number & 0xFFFF:04x}", ["--confirmed"] * (number % 2)
        run("downlink", "send", "-c", "site.toml", name, "--port", "5", "--payload", payload, *words, cwd=self.folder)

    def _turn(self, *, sends: bool) -> None:
        for on_air in self._radio.sent(list(self._region.data_rates.values())):
            self._hear(on_air)
        now_us = self._radio.now_us()
        for name, device in self.devices.items():
            if sends and name not in self._listening and device.next_us <= now_us:
                self._listening[name] = device.send(), False
            if name not in self._listening:
                continue
            sent, is_given = self._listening[name]
            if not is_given and now_us >= sent.end_us:
                self._radio.give(sent, -50 - self._dice.randrange(60))
                self.heard[name] += device.is_joined
                self._listening[name] = sent, True
            elif is_given and now_us >= sent.end_us + LISTENS_US:
                device.close()
                del self._listening[name]
        time.sleep(0.002)

    def _hear(self, on_air: OnAir) -> None:
        self.downlinks += 1
        for device in self.devices.values():
            if device.listens(on_air.at_us, on_air.radio):
                device.hear(on_air.at_us, on_air.radio, on_air.phy_payload)

    def wrong(self) -> Iterator[str]:
        """Yield what must not be."""
        counts = Counter(
            (line["device"], line["value"])
            for line in map(json.loads, self._lines("out.jsonl"))
            if line["sensor"].startswith("generic")
        )
        yield from (
            f"{device}: FCnt {fcnt} is there {count} times" for (device, fcnt), count in counts.items() if count > 1
        )
        for name, device in self.devices.items():
            if not device.joins:
                yield f"{name} never joined"
            got = len([1 for each, _ in counts if each == name])
            if got != device.uplinks and device.joins == 1:
                yield f"{name} sent {device.uplinks} uplinks, {got} are there"
            for text in device.complaints:
                if not text.startswith(FOREIGN):
                    yield f"{name}: {text}"
        confirmed = sum(" is sent by " in line for line in self._lines("run.log"))
        if confirmed < self.downlinks:
            yield f"{self.downlinks} downlinks were on air, {confirmed} are known to be"
        yield from (
            f"the program says: {line}" for line in self._lines("program.log") if re.search(r"CRITI|\[PROTO|Segm", line)
        )

    def _lines(self, name: str) -> list[str]:
        file = self.folder / name
        return file.read_text(errors="replace").splitlines() if file.exists() else []

    @property
    def line(self) -> str:
        devices = self.devices.values()
        commands = run("downlink", "list", "-c", "site.toml", cwd=self.folder).stdout.decode().splitlines()
        fates = Counter(re.split(r"\s{2,}", text)[5] for text in commands if re.match(r"\d", text))
        return (
            f"joins={sum(each.joins for each in devices)} uplinks={sum(each.uplinks for each in devices)} "
            f"downlinks={self.downlinks} received={sum(len(each.received) for each in devices)} commands={dict(fates)}"
        )


@contextmanager
def started(command: list[str], folder: Path, log: str) -> Iterator[None]:
    """Run a program, its words into a file, and end it with the block."""
    environment = {**os.environ, "RADIO": str(folder / RADIO)}
    with (folder / log).open("wb") as out:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=out)
    try:
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("program", type=Path)
    options.add_argument("--region", default="EU868")
    options.add_argument("--minutes", type=float, default=3)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--keep", action="store_true", help="keep the folder with the logs")
    chosen = options.parse_args()
    folder = Path(tempfile.mkdtemp())
    site = Site(folder, chosen.program.resolve(), chosen.region, Random(chosen.seed))
    site.live(chosen.minutes * 60)
    wrong = list(site.wrong())
    print(site.line, f"wrong={len(wrong)}")
    for text in wrong:
        print(" ", text)
    if chosen.keep:
        print(folder)
    else:
        shutil.rmtree(folder)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
