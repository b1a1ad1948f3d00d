"""Bad days of a whole fleet."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from random import Random
from threading import Event, Lock, Thread
from typing import TypeAlias

from msgspec import Struct

from lora_post.clocks.scale import utc_text
from lora_post.config.fleet import FleetConfig, Role
from lora_post.fleet.errors import FleetError, LogUnavailable
from lora_post.fleet.hub.link import Link
from lora_post.fleet.log import streams
from lora_post.fleet.log.entry import Accepted, Entry, decode
from lora_post.fleet.log.fold import Fold
from lora_post.fleet.log.log import Logged
from lora_post.fleet.log.nats_log import NatsLog
from lora_post.fleet.log.streams import ensure_streams
from lora_post.fleet.uploader import turns
from lora_post.lorawan.phy_payload import MType
from lora_post.lowcost.header import DATA, GATEWAY
from lora_post.sandbox.server import running_sandbox
from lora_post.times import WallUs
from lora_post.uplink.unlock import seal_lorawan
from tests.support.command import Admin, dev_addr, keys
from tests.support.hurried_fleet import ACK_WAIT_S
from tests.support.nats_servers import Nodes, nats_servers
from tests.support.paths import ROOT
from tests.support.ports import free_port
from tests.support.relay import Relay

GATEWAYS = 3
WORKERS = 3  # the first uploads as well
LORAWAN = 24
LOWCOST = 2
DEVICES = LORAWAN + LOWCOST
EACH = 8  # so many frames of each LoRaWAN device for one of each other: of those only the last 256 are remembered
ROUND = EACH * LORAWAN + LOWCOST
PIPE_BYTES = 4096
REPEATED = 60  # frames that a radio program gives once more: a pipe and who reads it hold no more
PATIENCE_S = 240
COUNT_S = 2.0
EVERY_S = 0.7
BURST_S = 2.0  # devices whose clocks agree send together; it costs less for each frame, too
COMMAND = (sys.executable, "-P", str(ROOT / "tests" / "support" / "hurried_fleet.py"))
INPUT = '[[input]]\nurl = "stdin:"\nformat = "rxpk"\n'
NETWORK = '[network]\nregion = "EU868"\n'
TAKEOVER = 'takeover_after = "10s"\n'
SentDown: TypeAlias = tuple[str, int, bytes]  # device, FCntDown, PHYPayload
SENSORS = {True: "analog_in_1", False: "N"}


def is_lorawan(index: int) -> bool:
    return index < LORAWAN


def is_at_home(index: int) -> bool:
    """Tell whether a device belongs to the home gateway, where there is one."""
    return index % 4 < 2 and index != DEVICES - 1


def device_of(number: int) -> tuple[int, int]:
    """Return which device sends frame `number`, and how many it has sent before."""
    round_, at = divmod(number, ROUND)
    if at < LOWCOST:
        return LORAWAN + at, round_
    return (at - LOWCOST) % LORAWAN, round_ * EACH + (at - LOWCOST) // LORAWAN


def sent(count: int) -> set[tuple[str, int]]:
    """Return what the first frames are: devices, and how many each has sent before."""
    return {(f"d{index}", before) for index, before in map(device_of, range(count))}


def frame(number: int, time_us: int) -> bytes:
    """Return frame `number` as a packet forwarder writes it."""
    index, count = device_of(number)
    if is_lorawan(index):
        payload = bytes((1, 2)) + count.to_bytes(2)
        mtype = MType.CONFIRMED_UP if index % 2 else MType.UNCONFIRMED_UP  # those take a value of FCntDown
        data = seal_lorawan(keys(index), dev_addr(index), count, 2, payload, mtype=mtype)
    else:
        data = bytes((GATEWAY, DATA, 2 + index, count % 256)) + b"\\!N/%d" % count
    rxpk = {
        "time": utc_text(WallUs(time_us)),
        "tmst": time_us % 2**32,
        "freq": 868.1,
        "stat": 1,
        "modu": "LORA",
        "datr": "SF7BW125",
        "codr": "4/5",
        "rssi": -60,
        "lsnr": 7,
        "size": len(data),
        "data": b64encode(data).decode(),
    }
    return json.dumps({"rxpk": [rxpk]}).encode() + b"\n"


class Radio:
    """What was on the air, and who heard it."""

    def __init__(self, chance: Random, gateways: int) -> None:
        self._chance = chance
        self._lock = Lock()
        self.count = 0
        self.heard: list[list[bytes]] = [[] for _ in range(gateways)]

    def send(self) -> None:
        """Send the next frame."""
        with self._lock:
            data = frame(self.count, time.time_ns() // 1000)
            self.count += 1
            for each in self._chance.sample(range(len(self.heard)), self._chance.choice((1, 1, 2, 3))):
                self.heard[each].append(data)


class Part:
    """A process of the fleet that is started again when it was killed. feed: what its stdin gets."""

    def __init__(self, config: Path, feed: list[bytes] | None = None) -> None:
        self.config = config
        self._feed = feed
        self._process: subprocess.Popen[bytes] | None = None
        self._over = Event()
        self._given = 0
        self._writer: Thread | None = None

    def start(self) -> None:
        with self.config.with_suffix(".log").open("ab") as log:
            self._process = subprocess.Popen(
                [*COMMAND, "run", "-c", str(self.config)], stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=ROOT
            )
        if self._feed is not None:
            fcntl.fcntl(self._process.stdin, fcntl.F_SETPIPE_SZ, PIPE_BYTES)  # type: ignore[arg-type]
            self._over = Event()
            self._writer = Thread(target=self._write, args=(self._process, self._feed, self._over), daemon=True)
            self._writer.start()

    def _write(self, process: subprocess.Popen[bytes], feed: list[bytes], over: Event) -> None:
        assert process.stdin is not None
        written = max(0, self._given - REPEATED)
        try:
            while not over.is_set():
                while written < len(feed):
                    process.stdin.write(feed[written])
                    process.stdin.flush()
                    written += 1
                    self._given = max(self._given, written)
                over.wait(0.02)
        except (BrokenPipeError, ValueError):
            pass

    def send(self, number: signal.Signals) -> None:
        if self._process:
            os.kill(self._process.pid, number)

    def kill(self) -> None:
        if self._process:
            self._over.set()
            self._process.kill()
            self._process.wait()
            if self._writer:
                self._writer.join()
            if self._process.stdin:
                with suppress(BrokenPipeError):
                    self._process.stdin.close()


class Verdict(Struct):
    """What came of it."""

    uplinks: int
    missing: int
    doubled: int
    out_of_order: int
    fcntdown_twice: int
    fcntdowns: int
    counts: Counter[str]
    void: int
    seconds: float

    @property
    def is_right(self) -> bool:
        return not (self.missing or self.doubled or self.out_of_order or self.fcntdown_twice)

    @property
    def line(self) -> str:
        counts = " ".join(f"{name}={count}" for name, count in sorted(self.counts.items()))
        return (
            f"uplinks={self.uplinks} missing={self.missing} doubled={self.doubled} out_of_order={self.out_of_order}"
            f" fcntdown_twice={self.fcntdown_twice} of {self.fcntdowns} {counts} void={self.void}"
            f" seconds={self.seconds:.0f}"
        )


def write_configs(
    folder: Path, url: str, servers: list[str], relays: list[Relay], home: str
) -> tuple[list[Path], list[Path]]:
    """Write what gateways and workers are configured with. home: the gateway, if any, that some devices belong to."""
    devices: list[str] = []
    for index in range(DEVICES):
        if is_lorawan(index):
            devices.append(
                f'[[device]]\nid = "d{index}"\ndev_addr = "{dev_addr(index):08x}"\ndecoder = "cayenne-lpp"\n'
                f'nwk_skey = "{bytes([index]).hex() * 16}"\napp_skey = "{bytes([index + 128]).hex() * 16}"\n'
            )
        else:
            devices.append(f'[[device]]\nid = "d{index}"\naddress = {2 + index}\ndecoder = "text"\n')
        if home and is_at_home(index):
            devices[-1] += f'home = "{home}"\n'

    def write(name: str, role: str, names: list[str], more: str) -> Path:
        path = folder / f"{name}.toml"
        quoted = ", ".join(f'"{each}"' for each in names)
        path.write_text(
            f'[gateway]\nid = "{name}"\n[spool]\npath = "{name}.db"\n'
            f"[fleet]\nservers = [{quoted}]\nrole = {role}\nreplicas = {len(servers)}\n{more}"
        )
        path.chmod(0o600)
        return path

    urls = [f"nats://127.0.0.1:{relay.port}" for relay in relays]
    gateways = [write(f"g{index}.x", '"gateway"', [server], INPUT) for index, server in enumerate(urls[:GATEWAYS])]
    if home:
        own = [each for each in devices if "\nhome = " in each]
        can_send = f'[[input]]\nurl = "udp://127.0.0.1:{free_port()}"\n'  # and so it answers
        more = INPUT + can_send + NETWORK + "".join(own)
        gateways.append(write(home, '["gateway", "home"]', urls[GATEWAYS:], more))
    waziup = f'[waziup]\nurl = "{url}"\nusername = "demo"\npassword = "demo"\n'
    workers = [
        write(
            f"w{index}.x",
            '["worker", "uploader"]' if index == 0 else '"worker"',
            servers,
            TAKEOVER + (waziup if index == 0 else "") + NETWORK + "".join(devices),
        )
        for index in range(WORKERS)
    ]
    return gateways, workers


class Fleet:
    """All of it. counts: what was done to it. HOME: the id of its home gateway, the last of `gateways`."""

    HOME = ""
    KINDS: tuple[str, ...] = ("worker", "worker", "gateway", "node", "stop", "stop-node", "cut")
    HELD_BACK_S = 15.0  # so far behind the radio what is stored may be; then nothing is sent until that has arrived

    def __init__(self, nodes: Nodes, gateways: list[Part], workers: list[Part], relays: list[Relay]) -> None:
        self.nodes = nodes
        self.gateways = gateways
        self.workers = workers
        self.relays = relays
        self.counts: Counter[str] = Counter()
        self._later: list[tuple[float, str, Callable[[], None]]] = []

    def harm(self, chance: Random) -> None:
        """Do something bad; it is over after a while."""
        self.do(chance.choice(self.KINDS), chance)

    def do(self, kind: str, chance: Random) -> None:
        """Do something bad of a kind."""
        busy = {name for _, name, _ in self._later}
        if kind in ("worker", "gateway"):
            part = chance.choice(self.workers if kind == "worker" else self.gateways)
            if part.config.name not in busy:
                self.counts[f"{kind}s"] += 1
                part.kill()
                self.after(chance.uniform(0, 1), part.config.name, part.start)
        elif kind in ("node", "stop-node") and "node" not in busy and len(self.nodes.ports) > 1:
            index = chance.randrange(len(self.nodes.ports))
            if kind == "node":
                self.counts["nodes"] += 1
                self.nodes.kill(index)
                self.after(chance.uniform(1, 4), "node", lambda: self.nodes.start(index))
            else:
                self.counts["stops"] += 1
                self.nodes.stop(index)
                self.after(chance.uniform(3, 7), "node", lambda: self.nodes.go_on(index))
        elif kind == "stop":
            part = chance.choice([*self.workers, *self.gateways])
            if part.config.name not in busy:
                self.counts["stops"] += 1
                part.send(signal.SIGSTOP)
                self.after(chance.uniform(2, 6), part.config.name, lambda: part.send(signal.SIGCONT))
        elif kind == "cut":
            self.cut(chance.randrange(len(self.relays)), chance.uniform(1, 8))

    def cut(self, index: int, seconds: float) -> None:
        """Cut the link of a gateway for so long, if it is not cut already."""
        if not self.is_busy(f"link {index}"):
            self.counts["cuts"] += 1
            self.relays[index].cut()
            self.after(seconds, f"link {index}", self.relays[index].mend)

    def is_busy(self, name: str) -> bool:
        """Tell whether something is being harmed."""
        return any(each == name for _, each, _ in self._later)

    def after(self, seconds: float, name: str, end: Callable[[], None]) -> None:
        """End something bad after so long."""
        self._later.append((time.monotonic() + seconds, name, end))

    def let_be(self) -> None:
        """Undo what does not end by itself."""

    def sent(self) -> list[SentDown]:
        """Return what was sent to devices, and need not be in a valid entry."""
        return []

    def mend(self, *, is_all: bool = False) -> None:
        """End what has lasted long enough."""
        now = time.monotonic()
        for each in [each for each in self._later if is_all or each[0] <= now]:
            self._later.remove(each)
            each[2]()


@contextmanager
def running(folder: Path, radio: Radio, url: str, servers: int, kind: type[Fleet]) -> Iterator[Fleet]:
    """Run a fleet as long as the block does."""
    with nats_servers(folder, servers) as nodes:
        relays = [Relay(nodes.ports[index % servers]) for index in range(len(radio.heard))]
        gateways, workers = write_configs(folder, url, nodes.urls, relays, kind.HOME)
        parts = [Part(path, feed) for path, feed in zip(gateways, radio.heard, strict=True)]
        others = [Part(path) for path in workers]
        with hub(nodes) as link:
            make_streams(link, servers)
        try:
            for part in (*others, *parts):
                part.start()
            yield kind(nodes, parts, others, relays)
        finally:
            for part in (*parts, *others):
                part.kill()
            for relay in relays:
                relay.close()


@contextmanager
def hub(nodes: Nodes) -> Iterator[Link]:
    """A connection of our own."""
    fleet = FleetConfig(tuple(nodes.urls), frozenset({Role.WORKER}), replicas=len(nodes.urls))
    with closing(Link(fleet, "judge")) as link:
        assert link.wait(PATIENCE_S)
        yield link


def make_streams(link: Link, replicas: int) -> None:
    """Make the streams once the servers have found each other, as hasty as the workers."""
    streams.ACK_WAIT_S = ACK_WAIT_S  # type: ignore[misc,assignment]
    for _ in range(PATIENCE_S):
        try:
            return ensure_streams(link, replicas, may_make_log=True)
        except FleetError:
            time.sleep(0.5)
    raise AssertionError("no streams")


def bad_days(
    folder: Path,
    seconds: float,
    seed: int,
    frames_a_second: float,
    servers: int = 3,
    every_s: float = EVERY_S,
    kind: type[Fleet] = Fleet,
) -> Verdict:
    """Harm a fleet for so many seconds, then let it be, and compare. every_s: from one harm to the next."""
    chance = Random(seed)
    radio = Radio(Random(seed + 1), GATEWAYS + bool(kind.HOME))
    began = time.monotonic()
    file = folder / "sandbox.db"
    with running_sandbox(file=file) as url, running(folder, radio, url, servers, kind) as fleet:
        start = next_burst = next_count = time.monotonic()
        next_harm = start + 2
        stored = 0
        while (now := time.monotonic()) - start < seconds:
            if now >= next_count:
                next_count = now + COUNT_S
                stored = count_rows(file)
            if now >= next_burst and radio.count - stored < fleet.HELD_BACK_S * frames_a_second:
                until_s = chance.uniform(0, 2 * BURST_S)
                next_burst = now + until_s
                for _ in range(round(until_s * frames_a_second)):
                    radio.send()
            fleet.mend()
            if now >= next_harm:
                next_harm = now + every_s
                fleet.harm(chance)
            time.sleep(0.02)
        fleet.mend(is_all=True)
        fleet.let_be()
        wanted = sent(radio.count)
        found = settle_down(url, file, wanted)
        with hub(fleet.nodes) as link:
            entries = everything(link)
    valid, void = fold_all(entries)
    missing = len(wanted - set(found))
    wrong = disorder(found, valid)
    sys.stderr.writelines(f"{each}\n" for each in wrong)
    doubled = len(found) - len(set(found))
    return Verdict(
        radio.count,
        missing,
        doubled,
        len(wrong),
        twice([*downs_of(valid), *fleet.sent()]),
        sum(entry.down is not None for entry in valid),
        fleet.counts,
        void,
        time.monotonic() - began,
    )


def settle_down(url: str, file: Path, wanted: set[tuple[str, int]]) -> list[tuple[str, int]]:
    """Wait until all has arrived, and a little longer for what arrives twice; return device and count of all rows."""
    deadline, arrived = time.monotonic() + PATIENCE_S, -1
    while time.monotonic() < deadline:
        if (there := count_rows(file)) != arrived:
            deadline, arrived = time.monotonic() + PATIENCE_S, there
            if there >= len(wanted) and wanted <= set(rows(url)):
                break
        time.sleep(1)
    time.sleep(3)
    return rows(url)


def count_rows(file: Path) -> int:
    """Return how many values the server has."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as db:
        return int(db.execute("SELECT count(*) FROM history").fetchone()[0])


def rows(url: str) -> list[tuple[str, int]]:
    """Return what the server has, sensor by sensor in the order of arrival."""
    admin, found = Admin(url), []
    for device in admin.get("/devices"):
        lorawan = is_lorawan(int(str(device["id"])[1:]))
        for value, _ in admin.rows(str(device["id"]), SENSORS[lorawan]):
            found.append((str(device["id"]), round(float(value) * (100 if lorawan else 1))))  # type: ignore[arg-type]
    return found


def everything(link: Link) -> list[Logged]:
    """Return the whole log."""
    log, entries = NatsLog(link), list[Logged]()
    for _ in range(PATIENCE_S):
        try:
            while more := log.read("log.", entries[-1].position if entries else 0):
                entries += more
            return [each for each in entries if each.subject != turns.SUBJECT]
        except LogUnavailable:
            time.sleep(1)
    raise AssertionError("the log is not read")


def fold_all(entries: list[Logged]) -> tuple[list[Entry], int]:
    """Return the valid entries in order, and how many are void."""
    folds: dict[str, Fold] = {}
    decoded = [(folds.setdefault(each.subject, Fold()), decode(each.data)) for each in entries]
    valid = [entry for fold, entry in decoded if fold.take(entry)]
    return valid, len(entries) - len(valid)


def disorder(found: list[tuple[str, int]], valid: list[Entry]) -> list[str]:
    """Return which readings arrived after one that is behind them in the log and in time.

    What a gateway hears while it stands still has a later time; of two readings that wait, the older by its time goes.
    """
    place: dict[tuple[str, int], tuple[int, Accepted]] = {}
    for at, entry in enumerate(valid):
        if entry.up:
            value = next((row.value for row in entry.up.readings), 0)
            count = round(value * 100) if is_lorawan(int(entry.up.device[1:])) else value
            place.setdefault((entry.up.device, count), (at, entry.up))
    wrong = []
    for device in {each for each, _ in found}:
        counts = [count for each, count in found if each == device]
        for first, second in pairwise(counts):
            if second < first and (device, first) in place and (device, second) in place:
                (at, up), (before, up_before) = place[device, first], place[device, second]
                ahead_us = up_before.frame.time_us - up.frame.time_us
                if before < at and ahead_us <= 0:
                    wrong.append(
                        f"{device}: {second} arrived after {first}, which is {at - before} entries and {-ahead_us} µs "
                        f"behind it: {up_before.heard_by}, late={up_before.is_late}; {up.heard_by}, late={up.is_late}"
                    )
    return wrong


def downs_of(valid: list[Entry]) -> Iterator[SentDown]:
    """Yield what valid entries send."""
    return ((each.up.device, each.down.fcnt, each.down.phy_payload) for each in valid if each.up and each.down)


def twice(downs: Iterable[SentDown]) -> int:
    """Return how many values of FCntDown of a device are used for another text."""
    texts: dict[tuple[str, int], set[bytes]] = {}
    for device, fcnt, phy_payload in downs:
        texts.setdefault((device, fcnt), set()).add(phy_payload)
    return sum(len(each) - 1 for each in texts.values())
