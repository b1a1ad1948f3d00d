"""A home gateway with real servers and processes: cut off from the hub, killed there, and back."""

from __future__ import annotations

import json
import time
from base64 import b64decode
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from lora_post.config.fleet import FleetConfig, Role
from lora_post.fleet.hub.link import Link
from lora_post.fleet.log.entry import Entry
from lora_post.fleet.log.nats_log import NatsLog
from lora_post.fleet.log.sqlite_log import SqliteLog
from lora_post.fleet.log.streams import ensure_streams
from lora_post.fleet.log.view import View
from lora_post.lorawan.phy_payload import parse_data_frame
from tests.support.command import PATIENCE_S, run, started
from tests.support.forwarder import Forwarder, JoiningDevice, answer_to_one_of
from tests.support.nats_servers import nats_servers
from tests.support.ports import free_port
from tests.support.relay import Relay
from tests.support.seal import ROOT_10

DEVICE = (
    f'[[device]]\nid = "buoy"\ndev_eui = "{ROOT_10.dev_eui:016x}"\njoin_eui = "{ROOT_10.join_eui:016x}"\n'
    f'app_key = "{ROOT_10.secrets[0].hex()}"\ndecoder = "cayenne-lpp"\nhome = "north"\n'
)


def write(folder: Path, name: str, server: str, role: str, more: str) -> Path:
    path = folder / f"{name}.toml"
    path.write_text(
        f'[gateway]\nid = "{name}"\n[spool]\npath = "{name}.db"\n[network]\nregion = "EU868"\n'
        f'[fleet]\nservers = ["{server}"]\nrole = {role}\nreplicas = 1\n{more}{DEVICE}'
    )
    path.chmod(0o600)
    return path


def wait_for(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def knows_that_it_decides(log: Path) -> bool:
    with closing(SqliteLog(log)) as own:
        return bool(own.read("log.", 0))


def warm(tenths: int) -> bytes:
    return b"\3\x67" + tenths.to_bytes(2)


@pytest.mark.long
def test_home_gateway_goes_on_alone_and_each_value_arrives_once(tmp_path: Path) -> None:
    port = free_port()
    out = tmp_path / "out.jsonl"
    with nats_servers(tmp_path) as nodes, closing(Relay(nodes.ports[0])) as relay:
        url = f"nats://127.0.0.1:{relay.port}"
        north = write(tmp_path, "north", url, '["gateway", "home"]', f'[[input]]\nurl = "udp://127.0.0.1:{port}"\n')
        desk = write(tmp_path, "desk", nodes.urls[0], '["worker", "uploader"]', f'[json_lines]\npath = "{out}"\n')
        fleet = FleetConfig(tuple(nodes.urls), frozenset({Role.WORKER}), replicas=1)
        with (
            closing(Link(fleet, "look")) as link,
            started("run", "-q", "-c", str(desk)),
            Forwarder(port) as forwarder,
        ):
            assert link.wait(PATIENCE_S)
            ensure_streams(link, 1, may_make_log=True)

            def entries() -> list[Entry]:
                return [read.entry for read in View("log.").catch_up(NatsLog(link)) if read.is_valid]

            def owner() -> str:
                return entries()[-1].state.owner if entries() else ""

            def values() -> list[float]:
                return [json.loads(line)["value"] for line in out.read_text().splitlines()]

            times = count(1)
            tenths: list[int] = []

            def uplink() -> bytes:
                tenths.append(100 + len(tenths))
                return end.uplink(warm(tenths[-1]), confirmed=True)

            end = JoiningDevice(ROOT_10)
            with started("run", "-q", "-c", str(north)):
                wait_for(lambda: owner() == "north" and knows_that_it_decides(tmp_path / "north.home.db"))
                relay.cut()
                forwarder.ask()
                end.hear(answer_to_one_of(forwarder, times, end.request))
                reset = run("devices", "reset-nonces", "buoy", "--yes", "-c", str(north))
                assert (reset.returncode, b"whatever its DevNonce is" in reset.stdout) == (0, True), reset
                end = JoiningDevice(ROOT_10)  # it has lost its memory
                end.hear(answer_to_one_of(forwarder, times, end.request))
                data = answer_to_one_of(forwarder, times, uplink)["data"]
                assert parse_data_frame(b64decode(data)).fctrl & 0x20  # ACK
                sent = run("downlink", "send", "buoy", "--port", "10", "--payload", "01ff", "-c", str(north))
                assert sent.returncode == 0, sent
                while parse_data_frame(b64decode(data)).fport != 10:
                    data = answer_to_one_of(forwarder, times, uplink)["data"]
            assert [entry.kind for entry in entries()] == ["own"]
            with started("run", "-q", "-c", str(north)):  # it was killed, and has no link yet
                forwarder.ask()
                answer_to_one_of(forwarder, times, uplink)
                relay.mend()
                wait_for(lambda: len({entry.up.fcnt for entry in entries() if entry.up}) == len(tenths))
                took = run("fleet", "take-over", "buoy", "-c", str(desk))
                assert (took.returncode, b"epoch 2" in took.stdout) == (0, True), took
                answer_to_one_of(forwarder, times, uplink)  # by the worker, through the same gateway
                assert owner() == ""
                back = run("fleet", "give-back", "buoy", "-c", str(desk))
                assert back.returncode == 0, back
                wait_for(lambda: owner() == "north")
                answer_to_one_of(forwarder, times, uplink)
                wait_for(lambda: len({entry.up.fcnt for entry in entries() if entry.up}) == len(tenths))
            found = entries()
            wait_for(lambda: len(values()) >= len(tenths))
        assert Counter(values()) == Counter(each / 10 for each in tenths)
        texts: dict[int, set[bytes]] = {}
        for down in (entry.down for entry in found if entry.down):
            texts.setdefault(down.fcnt, set()).add(down.phy_payload)
        assert all(len(each) == 1 for each in texts.values())
        assert max(texts) >= 1024  # what the home gateway may have used was left out
