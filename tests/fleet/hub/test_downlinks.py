"""An uplink is answered through the gateway that heard it: request, reply, and bytes that are in the log before."""

from __future__ import annotations

from base64 import b64decode
from contextlib import closing, suppress
from itertools import count
from pathlib import Path

import pytest
from msgspec.structs import replace

from lora_post.command import Fate
from lora_post.config.fleet import FleetConfig, Role
from lora_post.downlink.duty_cycle import DutyCycle
from lora_post.downlink.transmit import Downlink, Station, Transmission
from lora_post.downlink.windows import windows_after
from lora_post.fleet.hub.downlinks import Request, RequestFate, WayBack, decode_reply, encode
from lora_post.fleet.hub.link import Link
from lora_post.fleet.log.entry import decode
from lora_post.fleet.log.nats_log import NatsLog
from lora_post.fleet.log.streams import ensure_streams
from lora_post.fleet.uploader import turns
from lora_post.lorawan.phy_payload import MType, parse_data_frame
from lora_post.lorawan.region import load_region
from lora_post.model import Frame, RxInfo
from lora_post.spool import downlinks
from lora_post.spool.spool_file import SpoolFile
from lora_post.times import WallUs
from tests.support.command import PATIENCE_S, run, started, wait_until
from tests.support.forwarder import EUI, Forwarder, JoiningDevice, answer_to_one_of
from tests.support.nats_servers import nats_servers
from tests.support.ports import free_port
from tests.support.seal import ROOT_10

REGION = load_region("EU868")
RX = RxInfo(-60.0, 8.5, 7, 125.0, "4/5", 868.1)


HEARD = Frame(EUI, WallUs(0), b"", RX, tmst=1_000_000)


class Way:
    """An input that can send by one packet forwarder."""

    is_awaited = False

    def __init__(self) -> None:
        self.sent: list[Downlink] = []

    @property
    def transmitter(self) -> Way:
        return self

    def station(self, gateway: str) -> Station | None:
        return Station(False) if gateway == EUI else None

    def send(self, downlink: Downlink) -> None:
        self.sent.append(downlink)


def test_gateway_sends_what_it_is_asked_to_once_and_says_why_not() -> None:
    way = Way()
    back = WayBack(DutyCycle(REGION), [object(), way])
    windows = windows_after(HEARD, REGION, 1)
    request = Request("a", EUI, b"x" * 20, windows)
    assert [decode_reply(back.hear(encode(request))).why for _ in range(2)] == ["", ""]
    assert [(each.gateway, each.windows) for each in way.sent] == [(EUI, windows)]
    assert "cannot send" in decode_reply(back.hear(encode(replace(request, id="b", station="another")))).why
    assert decode_reply(back.hear(b"\xff")).why == "it cannot be read"
    for number in range(2000):
        why = decode_reply(back.hear(encode(replace(request, id=str(number))))).why
    assert "as long as it may" in why


def test_gateway_tells_of_what_was_not_sent_without_being_asked_to() -> None:
    """TX_ACK may say so long after the window."""
    way, fates = Way(), list[RequestFate]()
    back = WayBack(DutyCycle(REGION), [way])
    back.tell = fates.append
    windows = windows_after(HEARD, REGION, 1)
    for is_told in (False, True):
        back.hear(encode(Request(str(is_told), EUI, b"x" * 20, windows, is_told)))
    for downlink in way.sent:
        for window, is_sent in (("RX1", False), ("RX2", True)):
            downlink.tell(Transmission(EUI, window, is_sent))
    assert [(each.id, each.transmission.is_sent) for each in fates] == [
        ("False", False),
        ("True", False),
        ("True", True),
    ]


def write(folder: Path, name: str, servers: list[str], role: str, more: str) -> Path:
    path = folder / f"{name}.toml"
    path.write_text(
        f'[gateway]\nid = "{name}"\n[spool]\npath = "{name}.db"\n[network]\nregion = "EU868"\n'
        f'[fleet]\nservers = ["{servers[0]}"]\nrole = {role}\nreplicas = 1\n{more}'
    )
    path.chmod(0o600)
    return path


@pytest.mark.long
def test_device_joins_is_acknowledged_and_gets_a_command_through_a_gateway(tmp_path: Path) -> None:
    port = free_port()
    device = (
        f'[json_lines]\npath = "out.jsonl"\n'
        f'[[device]]\nid = "buoy"\ndev_eui = "{ROOT_10.dev_eui:016x}"\njoin_eui = "{ROOT_10.join_eui:016x}"\n'
        f'app_key = "{ROOT_10.secrets[0].hex()}"\ndecoder = "cayenne-lpp"\n'
    )
    with nats_servers(tmp_path) as nodes:
        north = write(tmp_path, "north", nodes.urls, '"gateway"', f'[[input]]\nurl = "udp://127.0.0.1:{port}"\n')
        desk = write(tmp_path, "desk", nodes.urls, '["worker", "uploader"]', device)
        fleet = FleetConfig(tuple(nodes.urls), frozenset({Role.WORKER}), replicas=1)
        with (
            closing(Link(fleet, "look")) as link,
            started("run", "-q", "-c", str(desk)),
            started("run", "-q", "-c", str(north)),
            Forwarder(port) as forwarder,
        ):
            assert link.wait(PATIENCE_S)
            ensure_streams(link, 1, may_make_log=True)
            forwarder.ask()
            end, times = JoiningDevice(ROOT_10), count(1)
            end.hear(answer_to_one_of(forwarder, times, end.request))
            data = answer_to_one_of(forwarder, times, lambda: end.uplink(b"", confirmed=True))["data"]
            assert parse_data_frame(b64decode(data)).fctrl & 0x20  # ACK
            send = ("downlink", "send", "buoy", "--port", "10", "--payload", "01ff", "-c", str(desk))
            wait_until(lambda: run(*send).returncode == 0, "the uploader does not read that it has joined")
            with closing(SpoolFile(tmp_path / "desk.db")) as spool_file:
                while (command := downlinks.find(spool_file, 1)) and command.fate is not Fate.SENT:
                    with suppress(AssertionError):
                        data = answer_to_one_of(forwarder, times, lambda: end.uplink(b"x"), 1)["data"]
            found = parse_data_frame(b64decode(data))
            assert (found.mtype, found.fport) == (MType.UNCONFIRMED_DOWN, 10)
            assert command is not None
            status = run("fleet", "status", "--devices", "-c", str(desk))
            assert (status.returncode, b"buoy" in status.stdout, b"hears 1 device, 1 alone" in status.stdout) == (
                0,
                True,
                True,
            ), status
            logged = NatsLog(link).read("log.", 0)
            entries = [decode(each.data) for each in logged if each.subject != turns.SUBJECT]
        texts: dict[int, set[bytes]] = {}
        for down in (entry.down for entry in entries if entry.down):
            texts.setdefault(down.fcnt, set()).add(down.phy_payload)
        assert list(texts) == list(range(len(texts)))  # whether its window was met or not
        assert all(len(each) == 1 for each in texts.values())
