"""Three inputs at once, one of them flooded, one unplugged and back: what the others lose, and what it costs.

    python -m tests.flood [--rounds N] [--rate DATAGRAMS]

A serial port (a pty pair), a UDP port and an MQTT topic feed one `lora-post run`, which uploads to a sandbox. A gateway
floods the UDP port with well-formed packets of strangers while an honest one uses it too; the serial port is unplugged
and plugged in again half-way. In the end the sandbox has every reading of the honest senders once, and every datagram
of the flood was refused or is among the counted losses.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import select
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

from msgspec import Struct

from lora_post.uplink.unlock import seal_lorawan
from tests.support.command import (
    PATIENCE_S,
    Admin,
    dev_addr,
    keys,
    packet,
    sandbox_process,
    started,
    wait_until,
)
from tests.support.keeping_broker import broker, publisher
from tests.support.ports import free_port
from tests.support.serial_port import Port

HONEST, FLOODING = "b827ebfffe112233", "b827ebfffe445566"
DEV_EUI = "02aabbccddeeff01"
UPLINK = re.compile(rb"uplink device=(\S+) fcnt=(\d+)")
EVERY_S = 0.05
TOPIC = f"application/1/device/{DEV_EUI}/event/up"
STRANGERS = [base64.b64encode(seal_lorawan(keys(9), 0x26020000 + n, 1, 2, b"\x01\x02\x00\x01")) for n in range(8)]


class Result(Struct):
    """What came of it. sent, stored: of each honest device. delays_s: from sending to the log line of each.

    flood: datagrams, with those that the honest gateway had to send again. counts: what the command says at its end.
    """

    sent: dict[str, int]
    stored: dict[str, list[object]]
    flood: int
    counts: dict[str, int]
    delays_s: dict[str, list[float]]
    peak_mb: float
    seconds: float


class Watch(threading.Thread):
    """Reads what the command logs, as it comes."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        super().__init__(daemon=True)
        self._process = process
        self.lines: list[bytes] = []
        self.at: dict[tuple[str, int], float] = {}
        self.start()

    def run(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.lines.append(line)
            if found := UPLINK.search(line):
                self.at[found[1].decode(), int(found[2])] = time.monotonic()

    def has(self, text: bytes, times: int = 1) -> bool:
        return sum(text in line for line in self.lines) >= times


def payload(count: int) -> bytes:
    return bytes((1, 2)) + count.to_bytes(2)


def write_site(folder: Path, url: str, serial: Path, udp: int, mqtt: int) -> Path:
    config = folder / "site.toml"
    lorawan = "".join(
        f'[[device]]\nid = "{name}"\ndev_addr = "{dev_addr(index):08x}"\ndecoder = "cayenne-lpp"\n'
        f'nwk_skey = "{bytes([index]).hex() * 16}"\napp_skey = "{bytes([index + 128]).hex() * 16}"\n'
        for index, name in enumerate(("serial", "udp"))
    )
    config.write_text(
        f'[gateway]\nid = "gw1"\n[waziup]\nurl = "{url}"\nusername = "demo"\npassword = "demo"\n'
        f'[spool]\npath = "spool.db"\n[[input]]\nurl = "serial://{serial}"\n[[input]]\nurl = "udp://:{udp}"\n'
        f'[[input]]\nurl = "mqtt://127.0.0.1:{mqtt}/application/+/device/+/event/up"\nformat = "chirpstack"\n'
        f'{lorawan}[[device]]\nid = "mqtt"\ndev_eui = "{DEV_EUI}"\ndecoder = "cayenne-lpp"\n'
    )
    config.chmod(0o600)
    return config


def push_data(eui: str, token: int, data: bytes, tmst: int) -> bytes:
    rxpk = b'{"tmst":%d,"freq":868.5,"stat":1,"datr":"SF7BW125","codr":"4/5","rssi":-57,"lsnr":8.2,"data":"%s"}'
    head = bytes((2, *(token & 0xFFFF).to_bytes(2), 0)) + bytes.fromhex(eui)
    return head + b'{"rxpk":[' + rxpk % (tmst, data) + b"]}"


class Flooder(threading.Thread):
    """So many datagrams a second, in bursts; `sent` is how many the system took."""

    def __init__(self, port: int, rate: int) -> None:
        super().__init__(daemon=True)
        self._port, self._rate = port, rate
        self._over = threading.Event()
        self.sent = 0

    def run(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
            flood.connect(("127.0.0.1", self._port))
            started_at = time.monotonic()
            while not self._over.wait(0.005):
                due = int((time.monotonic() - started_at) * self._rate)
                while self.sent < due:
                    flood.send(push_data(FLOODING, self.sent, STRANGERS[self.sent % len(STRANGERS)], self.sent))
                    self.sent += 1

    def stop(self) -> None:
        self._over.set()
        self.join()


class HonestGateway:
    """Sends a frame until it is acknowledged, as no packet forwarder does: what is acknowledged must arrive."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(("127.0.0.1", port))
        self.sent_again = 0

    def send(self, count: int) -> None:
        frame = base64.b64encode(seal_lorawan(keys(1), dev_addr(1), count, 2, payload(count)))
        datagram = push_data(HONEST, count, frame, count)
        self._socket.send(datagram)
        while not self._is_answered(datagram[1:3]):
            self.sent_again += 1
            self._socket.send(datagram)

    def _is_answered(self, token: bytes) -> bool:
        while select.select([self._socket], [], [], 1.0)[0]:
            if self._socket.recv(100)[1:3] == token:
                return True
        return False

    def close(self) -> None:
        self._socket.close()


def flood(folder: Path, rounds: int, rate: int) -> Result:
    """Run it all: each honest device sends one frame a round, before the port is unplugged and again afterwards."""
    sent = {"serial": 0, "udp": 0, "mqtt": 0}
    sent_at: dict[tuple[str, int], float] = {}
    udp_port = free_port()
    port = Port(folder / "ttyUSB0")
    with ExitStack() as stack:
        url = stack.enter_context(sandbox_process(free_port()))
        mosquitto = stack.enter_context(broker(folder))
        port.plug_in()
        process = stack.enter_context(
            started("run", "-c", str(write_site(folder, url, port.path, udp_port, mosquitto.port)))
        )
        watch = Watch(process)
        client = stack.enter_context(publisher(mosquitto.port))
        for ready in (b"subscribed", b"waiting for packet forwarders", b" open baud"):
            wait_until(lambda ready=ready: watch.has(ready), f"not {ready!r}")
        gateway = HonestGateway(udp_port)
        stack.callback(gateway.close)
        flooder = Flooder(udp_port, rate)
        flooder.start()

        def note(device: str) -> int:
            count = sent[device]
            sent[device] += 1
            sent_at[device, count] = time.monotonic()
            return count

        def send_all() -> None:
            count = note("serial")
            frame = seal_lorawan(keys(0), dev_addr(0), count, 2, payload(count))
            port.write(packet(frame, time.time_ns() // 1000))
            count = note("mqtt")
            event = {
                "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{count:06d}Z",
                "deviceInfo": {"devEui": DEV_EUI},
                "fCnt": count,
                "fPort": 2,
                "data": base64.b64encode(payload(count)).decode(),
            }
            client.publish(TOPIC, json.dumps(event), 1)
            gateway.send(note("udp"))

        def send_rounds() -> None:
            flooded = flooder.sent + int(rounds * EVERY_S * rate)
            for _ in range(rounds):
                send_all()
                time.sleep(EVERY_S)
            wait_until(lambda: flooder.sent >= flooded, "there is not enough of a flood")

        began = time.monotonic()
        send_rounds()
        # What is in the port's buffer when it is pulled out is lost on the wire, not here.
        wait_until(lambda: ("serial", sent["serial"] - 1) in watch.at, "serial frames are missing")
        port.unplug()
        wait_until(lambda: watch.has(b"waiting for serial port"), "nobody noticed the port")
        port.plug_in()
        wait_until(lambda: watch.has(b" is back"), "the port did not come back")
        send_rounds()
        flooder.stop()
        took = time.monotonic() - began
        wait_until(lambda: len(watch.at) == sum(sent.values()), f"{len(watch.at)} of {sum(sent.values())} frames")
        admin = Admin(url)

        def stored(device: str) -> list[object]:
            # No device and no sensor before the first upload.
            return [value for value, _ in admin.rows(device, "analog_in_1")]

        wait_until(lambda: not queued(folder), "readings are not uploaded")
        # Losses of the system's buffer are told with the next datagram.
        gateway.send(note("udp"))
        wait_until(lambda: ("udp", sent["udp"] - 1) in watch.at and not queued(folder), "the last frame is missing")
        found = {device: stored(device) for device in sent}
        peak = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
        watch.join(PATIENCE_S)
        port.unplug()
    assert peak is not None
    delays: dict[str, list[float]] = defaultdict(list)
    for (device, count), at in watch.at.items():
        delays[device].append(at - sent_at[device, count])
    counts = {name.decode(): int(number) for name, number in re.findall(rb"([\w-]+)[:=](\d+)", watch.lines[-1])}
    return Result(sent, found, flooder.sent + gateway.sent_again, counts, delays, int(peak[1]) / 1024, took)


def queued(folder: Path) -> bool:
    """Whether readings wait in the spool."""
    db = sqlite3.connect(f"file:{folder / 'spool.db'}?mode=ro", uri=True)
    try:
        return bool(db.execute("SELECT count(*) FROM reading").fetchone()[0])
    finally:
        db.close()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=300)
    options.add_argument("--rate", type=int, default=10_000)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = flood(Path(folder), chosen.rounds, chosen.rate)
    say = sys.stdout.write
    say(f"flood: {found.flood} datagrams in {found.seconds:.1f} s, {found.flood / found.seconds:.0f} a second\n")
    say(f"{'input':8}{'sent':>6}{'stored':>8}{'lost':>6}{'doubled':>9}{'median ms':>11}{'longest ms':>12}\n")
    for device, number in found.sent.items():
        values, delays = found.stored[device], found.delays_s[device]
        say(
            f"{device:8}{number:6}{len(values):8}{number - len(set(values)):6}{len(values) - len(set(values)):9}"
            f"{statistics.median(delays) * 1000:11.1f}{max(delays) * 1000:12.1f}\n"
        )
    say(" ".join(f"{name}={number}" for name, number in found.counts.items()) + "\n")
    say(f"peak resident size {found.peak_mb:.1f} MB\n")


if __name__ == "__main__":
    main()
