"""Who floods the way back, and a disk without room: nobody else loses an answer, and no counter is used twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

from lora_post.downlink.settings import MAX_REFUSED, Known, Settings, answered
from lora_post.downlink.transmit import Downlink, Transmission, Window
from lora_post.errors import SpoolError
from lora_post.inputs.pull_responses import MAX_HOSTS, PullResponses
from lora_post.lorawan.mac_commands import LinkADRAns, LinkADRReq
from lora_post.lorawan.phy_payload import parse_data_frame
from lora_post.lorawan.region import load_region
from lora_post.lorawan.root_keys import RootKeys
from lora_post.metrics import Metrics
from lora_post.model import Frame, RxInfo
from lora_post.spool import strangers
from tests.support.build import NOON_US
from tests.support.forwarder import JoiningDevice
from tests.support.network_site import Site, otaa
from tests.support.seal import ROOT_10, join_request

EU868 = load_region("EU868")
WARM = bytes.fromhex("036700e1")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path / "spool.db", otaa(ROOT_10))
    with closing(site.store):
        yield site


def flood(site: Site, frames: list[bytes]) -> None:
    rx = RxInfo(-60, 8.0, 7, 125.0, "4/5", 868.1)
    site.pipeline.handle([Frame("gw1", site.time_us, phy, rx, tmst=number) for number, phy in enumerate(frames)])


def test_flood_of_join_requests_that_are_forged_or_of_strangers_costs_no_answer(site: Site) -> None:
    end = JoiningDevice(ROOT_10)
    site.join(end)
    forged = [bytes((*request[:-1], request[-1] ^ 1)) for request in map(partial(join_request, ROOT_10), range(1000))]
    others = [join_request(RootKeys(number, ROOT_10.join_eui, bytes(16)), 0) for number in range(1000)]
    flood(site, forged + others)
    assert len(site.gateway.sent) == 1
    assert site.hear(end.uplink(WARM, confirmed=True)) == "uplink"
    site.join(end)
    assert len(site.gateway.sent) == 3
    assert len(strangers.load(site.store)) <= strangers.MAX_SENDERS
    assert not any(each.used > 0.01 for each in site.duty_cycle.used())


def test_flood_of_join_requests_of_a_device_is_bounded_by_the_duty_cycle_and_keeps_its_session(site: Site) -> None:
    end = JoiningDevice(ROOT_10)
    site.join(end)
    assert site.hear(end.uplink(WARM)) == "uplink"
    flood(site, [join_request(ROOT_10, number) for number in range(100, 700)])  # who has its key
    airtime_s = sum(each.windows[0].slot.rate.airtime_s(len(each.phy_payload)) for each in site.gateway.sent)
    assert airtime_s <= 36 + 360
    assert site.hear(end.uplink(WARM)) == "uplink"


@pytest.mark.parametrize("confirmed", [False, True])
def test_disk_without_room_sends_nothing_and_uses_no_counter_twice(confirmed: bool, site: Site) -> None:
    end = JoiningDevice(ROOT_10)
    site.join(end)
    (pages,) = site.store.db.execute("PRAGMA page_count").fetchone()
    site.store.db.execute(f"PRAGMA max_page_count = {pages + 1}")
    uplink = b""
    with pytest.raises(SpoolError):
        for number in range(5000):
            sent = len(site.gateway.sent)
            site.queue("buoy", bytes(50))
            uplink = end.uplink(WARM, confirmed=confirmed)
            site.hear(uplink, tmst=number)
    assert len(site.gateway.sent) == sent
    site.store.db.execute("PRAGMA max_page_count = 1000000")
    assert site.hear(uplink, after_us=0) == "uplink"
    assert site.hear(end.uplink(WARM, confirmed=True)) == "uplink"
    frames = {each.phy_payload for each in site.gateway.sent[1:]}
    assert len({parse_data_frame(each).fcnt16 for each in frames}) == len(frames) > 0


class Port:
    """A port with a packet forwarder at 10.0.0.2 that was heard."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, tuple[str, int]]] = []
        self.told: list[Transmission] = []
        self.responses = PullResponses("udp", lambda data, to: self.sent.append((data, to)), Metrics(), lambda: 1000.0)
        self.ask("10.0.0.2")
        frame = Frame("gw1", NOON_US, b"x", RxInfo(freq_mhz=868.1), tmst=1_000_000)
        self.responses.heard("gw1", [frame], 1000.0, "10.0.0.2")

    def ask(self, host: str) -> None:
        self.responses.asked("gw1", (host, 40000), 2)

    def send(self) -> int:
        window = Window("RX2", 7_000_000, EU868.rx2_slot())
        self.responses.send(Downlink("answer", "gw1", b"answer", (window,), self.told.append))
        return int.from_bytes(self.sent[-1][0][1:3])


def test_stranger_who_asks_in_the_name_of_a_gateway_from_many_addresses_gets_no_answer_of_it() -> None:
    port = Port()
    for number in range(20 * MAX_HOSTS):
        port.ask(f"6.6.{number >> 8}.{number & 255}")
    port.send()
    assert [to for _, to in port.sent] == [("10.0.0.2", 40000)]


def test_flood_of_acknowledgements_by_a_stranger_confirms_nothing() -> None:
    port = Port()
    token = port.send()
    for guess in range(1 << 16):
        port.responses.confirmed("gw1", guess, b"", "6.6.6.6")
    assert port.told == []
    port.responses.confirmed("gw1", token, b"", "10.0.0.2")
    assert port.told == [Transmission("gw1", "RX2", True)]


def test_device_that_refuses_everything_fills_nothing() -> None:
    known = Known(Settings(5, EU868.rx2))
    for number in range(10 * MAX_REFUSED):
        request = LinkADRReq(number % 8, number % 6, number, 1, 0)
        known = replace(known, pending=(request.to_bytes(),))
        known = answered(known, [LinkADRAns(power_ok=False, data_rate_ok=True, channel_mask_ok=True)], EU868)
    assert len(known.refused) == MAX_REFUSED
