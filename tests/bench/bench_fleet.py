"""What a fleet costs: uplinks a second by one and two workers, the way back, bytes on a gateway's link.

python -m tests.bench fleet [rate|latency|bytes] [--frames N] [--servers N]

Elapsed time is that of this machine with all that runs on it; CPU time is that of each process alone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from paho.mqtt.client import CallbackAPIVersion, Client

from lora_post.config.fleet import FleetConfig, Role
from lora_post.fleet.hub.downlinks import RequestReply, encode
from lora_post.fleet.hub.link import Link
from lora_post.fleet.hub.raw import Raw, hand_in
from lora_post.fleet.hub.subjects import address_of, raw_subject
from lora_post.fleet.hub_files import write_fleet
from lora_post.fleet.log import hub_state
from lora_post.fleet.log.streams import LOG, RAW, ensure_streams
from lora_post.lorawan.phy_payload import MType
from lora_post.model import Frame, RxInfo
from lora_post.times import WallUs
from lora_post.uplink.unlock import seal_lorawan
from tests.support.broker import mosquitto
from tests.support.command import COMMAND, dev_addr, keys, started
from tests.support.fleet_site import free_hub, server
from tests.support.nats_servers import Nodes, nats_servers
from tests.support.ports import free_port
from tests.support.relay import Relay
from tests.support.tls import certificate

DEVICES = 64
FEW = 4
RX = RxInfo(-60.0, 8.5, 7, 125.0, "4/5", 868.1)
START_US = 1_790_000_000_000_000
SLOW = """
function decodeUplink(input) {
  var sum = 0;
  for (var i = 0; i < 60000; i++) sum += i % 7;
  return { data: { level: input.bytes[2] * 256 + input.bytes[3], sum: sum } };
}
"""
EVERY_S = 0.5


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("what", choices=("rate", "latency", "bytes"))
    options.add_argument("--frames", type=int, default=6000)
    options.add_argument("--servers", type=int, default=1, help="nats-servers of the hub")
    chosen = options.parse_args()
    if chosen.what == "rate":
        for decoder in ("cayenne-lpp", "slow"):
            rates(chosen.frames if decoder == "cayenne-lpp" else chosen.frames // 4, decoder, chosen.servers)
    elif chosen.what == "latency":
        latency(chosen.frames, chosen.servers)
    else:
        link_bytes(chosen.frames)


def data(number: int, mtype: MType = MType.UNCONFIRMED_UP, among: int = DEVICES) -> bytes:
    index, fcnt = number % among, number // among
    return seal_lorawan(keys(index), dev_addr(index), fcnt, 2, bytes((1, 2)) + fcnt.to_bytes(2), mtype=mtype)


def devices(decoder: str) -> str:
    return "".join(
        f'[[device]]\nid = "d{index}"\ndev_addr = "{dev_addr(index):08x}"\ndecoder = "{decoder}"\n'
        f'nwk_skey = "{bytes([index]).hex() * 16}"\napp_skey = "{bytes([index + 128]).hex() * 16}"\n'
        for index in range(DEVICES)
    )


def write(folder: Path, name: str, more: str, decoder: str) -> Path:
    (folder / "decoders").mkdir(exist_ok=True)
    (folder / "decoders" / "slow.js").write_text(SLOW)
    path = folder / f"{name}.toml"
    decoders = '[decoders]\nfolder = "decoders"\n' if decoder == "slow" else ""
    path.write_text(f'[gateway]\nid = "{name}"\n[spool]\npath = "{name}.db"\n{decoders}{more}{devices(decoder)}')
    path.chmod(0o600)
    return path


def rates(frames: int, decoder: str, servers: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        elapsed, cpu = alone(Path(folder), frames, decoder)
        say(f"{decoder}, one process without a fleet", frames, elapsed, {"run": cpu})
    for workers in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            elapsed, used = fleet(Path(folder), frames, decoder, workers, servers)
            say(f"{decoder}, {workers} worker{'s' * (workers > 1)}", frames, elapsed, used)


def say(what: str, frames: int, elapsed_s: float, cpu_s: dict[str, float]) -> None:
    parts = ", ".join(f"{name} {used / frames * 1e3:.2f}" for name, used in cpu_s.items())
    sys.stdout.write(f"{what}: {frames / elapsed_s:.0f} uplinks/s; ms of CPU for each: {parts}\n")
    sys.stdout.flush()


def alone(folder: Path, frames: int, decoder: str) -> tuple[float, float]:
    """Give a run everything by a pipe, to a file; return elapsed and CPU time until its end, s."""
    more = '[json_lines]\npath = "out.jsonl"\n[[input]]\nurl = "stdin:"\nformat = "rxpk"\n'
    path = write(folder, "alone", more, decoder)
    lines = b"".join(rxpk(data(number), START_US + number * 1000) for number in range(frames))
    began = time.perf_counter()
    with started("run", "-q", "-c", str(path)) as process:
        process.communicate(lines)
        used = os.times()
    arrived = len((folder / "out.jsonl").read_text().splitlines())
    assert arrived >= frames, (arrived, frames)
    return time.perf_counter() - began, used.children_user + used.children_system - base_children(used)


_CHILDREN: list[float] = [0.0]


def base_children(used: os.times_result) -> float:
    """The CPU time of children that ended before."""
    before, _CHILDREN[0] = _CHILDREN[0], used.children_user + used.children_system
    return before


def rxpk(phy_payload: bytes, tmst: int) -> bytes:
    item = {"tmst": tmst % 2**32, "freq": 868.1, "stat": 1, "modu": "LORA", "datr": "SF7BW125", "codr": "4/5"}
    item |= {"rssi": -60, "lsnr": 8.5, "size": len(phy_payload), "data": b64encode(phy_payload).decode()}
    return json.dumps({"rxpk": [item]}).encode() + b"\n"


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


@contextmanager
def hub(nodes: Nodes, name: str = "bench") -> Iterator[Link]:
    fleet = FleetConfig(tuple(nodes.urls), frozenset({Role.WORKER}), replicas=nodes.replicas)
    with closing(Link(fleet, name)) as link:
        assert link.wait(60)
        ready(link, nodes.replicas)
        yield link


def ready(link: Link, replicas: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            return ensure_streams(link, replicas, may_make_log=True)
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def worker_toml(nodes: Nodes, more: str = "") -> str:
    urls = ", ".join(f'"{url}"' for url in nodes.urls)
    return f'[fleet]\nservers = [{urls}]\nrole = "worker"\nreplicas = {nodes.replicas}\n{more}'


def fleet(folder: Path, frames: int, decoder: str, workers: int, servers: int) -> tuple[float, dict[str, float]]:
    """Have workers accept frames that are at the hub; return elapsed time and the CPU time of workers and hub, s."""
    with nats_servers(folder, servers) as nodes, hub(nodes) as link, ExitStack() as stack:
        paths = [write(folder, f"w{number}", worker_toml(nodes), decoder) for number in range(workers)]
        processes = [stack.enter_context(started("run", "-q", "-c", str(path))) for path in paths]
        wait_for_shares(link, workers)
        pids = [process.pid for process in processes]
        before = [cpu_s(pid) for pid in pids], sum(cpu_s(each.pid) for each in nodes.processes if each)
        began = time.perf_counter()
        publish(link, frames)
        while messages(link, RAW) or messages(link, LOG) < frames:
            time.sleep(0.05)
        elapsed = time.perf_counter() - began
        void = messages(link, LOG) - frames
        used = {f"worker {number + 1}": cpu_s(pid) - before[0][number] for number, pid in enumerate(pids)}
        used["hub"] = sum(cpu_s(each.pid) for each in nodes.processes if each) - before[1]
        memory = ", ".join(f"{resident_mb(each.pid):.0f}" for each in nodes.processes if each)
        sys.stdout.write(f"  memory: hub {memory} MB, worker {resident_mb(pids[0]):.0f} MB; void entries: {void}\n")
        return elapsed, used


def wait_for_shares(link: Link, workers: int) -> None:
    while True:
        held = [each.data for each in hub_state.read_state(link, "lease.*")]
        if len(held) == 16 and len(set(held)) == workers and b"" not in held:
            break
        time.sleep(0.2)
    time.sleep(2)


def messages(link: Link, stream: str) -> int:
    return int(link.call(link.client.jetstream().stream_info(stream)).state.messages)


def publish(link: Link, frames: int) -> None:
    async def some(numbers: Sequence[int]) -> None:
        stream = link.client.jetstream()
        await asyncio.gather(*(one(stream, number) for number in numbers))

    async def one(stream, number: int) -> None:  # type: ignore[no-untyped-def]
        frame = Frame("gw", WallUs(START_US + number * 1000), data(number), RX)
        await stream.publish(*handed(frame, number, kept=True), timeout=60)

    for first in range(0, frames, 256):
        link.call(some(range(first, min(first + 256, frames))), 120)


def handed(frame: Frame, number: int, *, kept: bool) -> tuple[str, bytes]:
    """Return what a gateway publishes, and where."""
    part, address = address_of(frame)
    raw = Raw.of(frame, number, "gw", kept=kept, age_us=None if kept else 0)
    return raw_subject(part, [address], "gw"), hand_in("0f1e2d3c", [raw])


def latency(frames: int, servers: int) -> None:
    """Tell how long it takes from a confirmed uplink at a gateway to the request to acknowledge it, 5 a second."""
    with tempfile.TemporaryDirectory() as name, nats_servers(Path(name), servers) as nodes, hub(nodes) as link:
        path = write(Path(name), "w", worker_toml(nodes, '[network]\nregion = "EU868"\n'), "cayenne-lpp")
        with started("run", "-q", "-c", str(path)), closing(gateway_link(nodes)) as gateway:
            assert gateway.wait(60)
            wait_for_shares(link, 1)
            asked: list[float] = []

            def hear(request: bytes) -> bytes:
                asked.append(time.perf_counter())
                return encode(RequestReply())

            gateway.reply("down.gw", hear)
            took = []
            for number in range(frames):
                phy_payload = data(number, MType.CONFIRMED_UP, FEW)
                frame = Frame("gw", WallUs(time.time_ns() // 1000), phy_payload, RX, tmst=number * 200_000)
                began, count = time.perf_counter(), len(asked)
                gateway.call(gateway.inbox.store(*handed(frame, number, kept=False), 5.0))
                while len(asked) == count and time.perf_counter() - began < 10:
                    time.sleep(0.001)
                if len(asked) > count and number >= FEW:  # then it is known which gateways hear the device
                    took.append(asked[count] - began)
                time.sleep(max(0.0, 0.2 - (time.perf_counter() - began)))
    took.sort()
    p50, p99 = statistics.median(took), took[int(len(took) * 0.99) - 1]
    sys.stdout.write(
        f"{servers} server(s): frame at the gateway -> request to answer it there, {len(took)} of {frames - FEW}: "
        f"p50 {p50 * 1e3:.0f} ms, p99 {p99 * 1e3:.0f} ms, longest {took[-1] * 1e3:.0f} ms; "
        "200 ms more where several gateways hear a device\n"
    )


def gateway_link(nodes: Nodes) -> Link:
    return Link(FleetConfig(tuple(nodes.urls), frozenset({Role.GATEWAY})), "gw")


def link_bytes(frames: int) -> None:
    """Tell the bytes on a gateway's link by TLS, both ways, at the socket."""
    with tempfile.TemporaryDirectory() as name:
        idle, busy, seconds = by_fleet(Path(name), frames)
    each = (busy - idle * seconds) / frames
    sys.stdout.write(
        f"fleet, TLS: {busy / frames:.0f} bytes for each of {frames} frames every {EVERY_S} s, "
        f"{each:.0f} without what an idle link costs ({idle * 86400 / 1e6:.1f} MB a day)\n"
    )
    with tempfile.TemporaryDirectory() as name:
        busy = by_mqtt(Path(name), frames)
    sys.stdout.write(f"MQTT with JSON (rxpk), QoS 1, TLS: {busy / frames:.0f} bytes for each\n")


def by_fleet(folder: Path, frames: int) -> tuple[float, int, float]:
    place = free_hub()
    write_fleet(folder, [place], ["gw"], ["desk"])
    relay = Relay(place.port)
    toml = folder / "gateways" / "gw" / "lora-post.toml"
    text = toml.read_text().replace(f":{place.port}", f":{relay.port}")
    head = text[: text.index("# Where its frames")]
    toml.write_text(f'{head}[spool]\npath = "spool.db"\n[[input]]\nurl = "stdin:"\nformat = "rxpk"\n')
    desk = folder / "workers" / "desk" / "lora-post.toml"
    roles = desk.read_text().replace('role = ["worker"]', 'role = ["worker", "uploader"]')
    desk.write_text(f'{roles}\n[spool]\npath = "spool.db"\n[json_lines]\npath = "out.jsonl"\n{devices("cayenne-lpp")}')
    with server(folder / "hub" / "1"), started("run", "-q", "-c", str(desk)):
        process = subprocess.Popen([COMMAND, "run", "-q", "-c", str(toml)], stdin=subprocess.PIPE)
        assert process.stdin is not None
        try:
            out = folder / "workers" / "desk" / "out.jsonl"
            put(process, 0)
            while not out.exists() or not out.read_text():
                time.sleep(0.5)
            time.sleep(20)
            before = relay.passed
            time.sleep(60)
            idle = (relay.passed - before) / 60
            before, began = relay.passed, time.perf_counter()
            for number in range(1, frames + 1):
                put(process, number)
                time.sleep(EVERY_S)
            while len(out.read_text().splitlines()) < frames:
                time.sleep(0.5)
            time.sleep(10)
            return idle, relay.passed - before, time.perf_counter() - began
        finally:
            process.kill()
            process.wait()
            relay.close()


def put(process: subprocess.Popen[bytes], number: int) -> None:
    assert process.stdin is not None
    process.stdin.write(rxpk(data(number), time.time_ns() // 1000))
    process.stdin.flush()


def by_mqtt(folder: Path, frames: int) -> int:
    pem, port = certificate(folder), free_port()
    settings = f"allow_anonymous true\ncafile {pem}\ncertfile {pem}\nkeyfile {pem}\n"
    with mosquitto(folder, port, settings):
        relay = Relay(port)
        client = Client(CallbackAPIVersion.VERSION2, client_id="gw")
        client.tls_set_context(ssl.create_default_context(cafile=str(pem)))
        client.connect("127.0.0.1", relay.port)
        client.loop_start()
        time.sleep(3)
        before = relay.passed
        for number in range(frames):
            message = rxpk(data(number), time.time_ns() // 1000)
            client.publish("gateway/b827ebfffe112233/event/up", message, qos=1).wait_for_publish(30)
            time.sleep(EVERY_S)
        time.sleep(2)
        passed = relay.passed - before
        client.disconnect()
        client.loop_stop()
        relay.close()
        return passed


if __name__ == "__main__":
    main()
