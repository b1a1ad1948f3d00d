"""What other gateways hear of a home gateway's device, with real servers and processes."""

from __future__ import annotations

from base64 import b64decode
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from lora_post.config.fleet import FleetConfig, Role
from lora_post.fleet.hub.link import Link
from lora_post.fleet.log.entry import Entry
from lora_post.fleet.log.nats_log import NatsLog
from lora_post.fleet.log.streams import ensure_streams
from lora_post.fleet.log.view import View
from lora_post.lorawan.phy_payload import parse_data_frame
from tests.support.command import PATIENCE_S, started, wait_until
from tests.support.forwarder import Forwarder, JoiningDevice, answer_to_one_of
from tests.support.nats_servers import nats_servers
from tests.support.ports import free_port
from tests.support.seal import ROOT_10

DEVICE = (
    f'[[device]]\nid = "buoy"\ndev_eui = "{ROOT_10.dev_eui:016x}"\njoin_eui = "{ROOT_10.join_eui:016x}"\n'
    f'app_key = "{ROOT_10.secrets[0].hex()}"\ndecoder = "cayenne-lpp"\nhome = "north"\n'
)
WARM = bytes.fromhex("036700e1")


@pytest.mark.long
def test_home_gets_what_it_did_not_hear_and_is_taken_over_when_it_is_away(tmp_path: Path) -> None:
    ports = {"north": free_port(), "south": free_port()}
    with nats_servers(tmp_path) as nodes:
        server = nodes.urls[0]

        def write(name: str, role: str, more: str) -> str:
            path = tmp_path / f"{name}.toml"
            network = '[network]\nregion = "EU868"\n'
            if name in ports:
                more = f'[[input]]\nurl = "udp://127.0.0.1:{ports[name]}"\n{more}'
            path.write_text(
                f'[gateway]\nid = "{name}"\n[spool]\npath = "{name}.db"\n{network}'
                f'[fleet]\nservers = ["{server}"]\nrole = {role}\nreplicas = 1\n{more}'
            )
            path.chmod(0o600)
            return str(path)

        north, south = write("north", '["gateway", "home"]', DEVICE), write("south", '"gateway"', "")
        desk = write(
            "desk", '["worker", "uploader"]', f'takeover_after = "20s"\n[json_lines]\npath = "out.jsonl"\n{DEVICE}'
        )
        fleet = FleetConfig(tuple(nodes.urls), frozenset({Role.WORKER}), replicas=1)
        end, times = JoiningDevice(ROOT_10), count(1)
        with (
            closing(Link(fleet, "look")) as link,
            started("run", "-q", "-c", desk),
            started("run", "-q", "-c", south),
            Forwarder(ports["south"], eui="b827ebfffe445566") as there,
        ):
            assert link.wait(PATIENCE_S)
            ensure_streams(link, 1, may_make_log=True)

            def entries() -> list[Entry]:
                return [read.entry for read in View("log.").catch_up(NatsLog(link)) if read.is_valid]

            def heard_by() -> list[tuple[str, str]]:
                return [
                    (each.gateway, entry.state.owner) for entry in entries() if entry.up for each in entry.up.heard_by
                ]

            there.ask()
            with started("run", "-q", "-c", north), Forwarder(ports["north"]) as here:
                here.ask()
                wait_until(lambda: any(entry.kind == "own" for entry in entries()), "north did not begin")
                end.hear(answer_to_one_of(here, times, end.request))
                wait_until(lambda: any(entry.kind == "join" for entry in entries()), "the join was not mirrored")
                there.push(end.uplink(WARM), 10_000_000 * next(times))
                wait_until(lambda: heard_by() == [("south", "north")], "what south heard did not come to north")
            data = answer_to_one_of(there, times, lambda: end.uplink(WARM, confirmed=True))["data"]
            assert parse_data_frame(b64decode(data)).fctrl & 0x20  # ACK, by a worker
            last = entries()[-1]
            assert (last.state.owner, last.state.is_held, last.epoch) == ("", False, 2)
            with started("run", "-q", "-c", north):
                wait_until(lambda: entries()[-1].state.owner == "north", "north did not take its device back")
