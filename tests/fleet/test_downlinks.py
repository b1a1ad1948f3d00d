"""An uplink is answered through the gateway that heard it: request, reply, and bytes that are in the log before."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from lora_post.config.fleet import FleetConfig, Role
from lora_post.downlink.duty_cycle import DutyCycle
from lora_post.downlink.transmit import Downlink, Station
from lora_post.downlink.windows import windows_after
from lora_post.fleet.downlinks import Request, WayBack, answer_to, decode_reply, encode
from lora_post.fleet.entry import decode
from lora_post.fleet.link import Link
from lora_post.fleet.nats_log import NatsLog
from lora_post.fleet.streams import ensure_streams
from lora_post.lorawan.downlinks import Content, seal_downlink
from lora_post.lorawan.phy_payload import MType, parse_data_frame
from lora_post.lorawan.region import load_region
from lora_post.model import Device, Frame, RxInfo
from lora_post.model import Link as Header
from lora_post.times import WallUs
from lora_post.uplink.model import Uplink
from lora_post.uplink.unlock import seal_lorawan
from tests.support.command import PATIENCE_S, dev_addr, free_udp_port, keys, started
from tests.support.forwarder import EUI, Forwarder, JoiningDevice
from tests.support.nats_servers import nats_servers
from tests.support.seal import ROOT_10

REGION = load_region("EU868")
POND = Device("pond", "pond", Header.LORAWAN, dev_addr(1), "cayenne-lpp", keys(1))
RX = RxInfo(-60.0, 8.5, 7, 125.0, "4/5", 868.1)


def confirmed(fcnt: int) -> bytes:
    payload = bytes((1, 2, 0, 5))
    return seal_lorawan(keys(1), dev_addr(1), fcnt, 2, payload, mtype=MType.CONFIRMED_UP)


def uplink(phy_payload: bytes, fcnt: int, rx: RxInfo = RX) -> Uplink:
    return Uplink(Frame(EUI, WallUs(0), phy_payload, rx, tmst=1_000_000), POND, fcnt, 2, b"", True)


def test_what_wants_an_answer() -> None:
    answer = answer_to(uplink(confirmed(7), 7), 40, REGION)
    assert answer == seal_downlink(keys(1), dev_addr(1), 40, Content(acked_fcnt=7))
    plain = seal_lorawan(keys(1), dev_addr(1), 7, 2, b"x")
    assert answer_to(uplink(plain, 7), 40, REGION) is None
    assert answer_to(uplink(confirmed(7), 7, replace(RX, freq_mhz=None)), 40, REGION) is None


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
    windows = windows_after(uplink(confirmed(7), 7).frame, REGION, 1)
    request = Request("a", EUI, b"x" * 20, windows)
    assert [decode_reply(back.hear(encode(request))).why for _ in range(2)] == ["", ""]
    assert [(each.gateway, each.windows) for each in way.sent] == [(EUI, windows)]
    assert "cannot send" in decode_reply(back.hear(encode(replace(request, id="b", station="another")))).why
    assert decode_reply(back.hear(b"\xff")).why == "it cannot be read"
    for number in range(2000):
        why = decode_reply(back.hear(encode(replace(request, id=str(number))))).why
    assert "as long as it may" in why


def write(folder: Path, name: str, servers: list[str], role: str, more: str) -> Path:
    path = folder / f"{name}.toml"
    path.write_text(
        f'[gateway]\nid = "{name}"\n[spool]\npath = "{name}.db"\n[network]\nregion = "EU868"\n'
        f'[fleet]\nservers = ["{servers[0]}"]\nrole = "{role}"\nreplicas = 1\n{more}'
    )
    path.chmod(0o600)
    return path


@pytest.mark.long
def test_device_joins_and_is_acknowledged_through_a_gateway(tmp_path: Path) -> None:
    port = free_udp_port()
    app_key = ROOT_10.secrets[0].hex()
    device = (
        f'[[device]]\nid = "buoy"\ndev_eui = "{ROOT_10.dev_eui:016x}"\njoin_eui = "{ROOT_10.join_eui:016x}"\n'
        f'app_key = "{app_key}"\ndecoder = "cayenne-lpp"\n'
    )
    with nats_servers(tmp_path) as nodes:
        north = write(tmp_path, "north", nodes.urls, "gateway", f'[[input]]\nurl = "udp://127.0.0.1:{port}"\n')
        desk = write(tmp_path, "desk", nodes.urls, "worker", device)
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
            end = JoiningDevice(ROOT_10)
            end.hear(answer_to_one_of(forwarder, end.request))
            data = b64decode(answer_to_one_of(forwarder, lambda: end.uplink(b"", confirmed=True))["data"])
            assert parse_data_frame(data).mtype is MType.UNCONFIRMED_DOWN
            assert parse_data_frame(data).fctrl & 0x20  # ACK
            entries = [decode(each.data) for each in NatsLog(link).read("log.", 0)]
        taken = [entry.down.fcnt for entry in entries if entry.down]
        assert taken == list(range(len(taken)))  # each value of FCntDown once, whether its window was met or not
        assert data in [entry.down.phy_payload for entry in entries if entry.down]


def answer_to_one_of(forwarder: Forwarder, frame: Callable[[], bytes]) -> dict[str, Any]:
    """Send frames until one is answered; return its txpk. A busy machine misses windows."""
    for number in range(PATIENCE_S // 8):
        forwarder.push(frame(), 10_000_000 * (number + 1))
        forwarder.socket.settimeout(8)
        try:
            return forwarder.pull_resp()
        except TimeoutError:
            forwarder.ask()
    raise AssertionError("no answer")
