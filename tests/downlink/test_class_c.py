"""Devices that listen always, from the queue to what is sent, with a real spool."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from lora_post.command import Fate
from lora_post.downlink.class_c import ACKNOWLEDGED_WITHIN_S, AFTER_UPLINK_S, BETWEEN_S
from lora_post.downlink.commands import MAX_TRIES
from lora_post.inputs.pull_responses import txpk
from lora_post.lorawan.phy_payload import parse_data_frame
from lora_post.lorawan.root_keys import RootKeys
from lora_post.model import DeviceClass
from tests.support.build import device
from tests.support.forwarder import JoiningDevice
from tests.support.network_site import Site, otaa
from tests.support.seal import ROOT_10, ROOT_11
from tests.support.uplinks import ACK, up


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path / "spool.db", device(device_class=DeviceClass.C))
    yield site
    site.store.close()


def test_command_goes_at_once_in_rx2(site: Site) -> None:
    site.hear(up(0))
    site.wait(AFTER_UPLINK_S)
    number = site.queue()
    site.wait(0.5)
    (downlink,) = site.gateway.sent
    told = json.loads(msgspec.json.encode(txpk(downlink.phy_payload, downlink.windows[0])))
    assert told["imme"] is True and "tmst" not in told
    assert (told["freq"], told["datr"], told["powe"]) == (869.525, "SF12BW125", 27)
    site.tell(downlink, window="RX2, class C")
    command = site.command(number)
    assert (command.fate, command.steps[-1].text) == (Fate.SENT, "sent by gateway gw1 in RX2, class C")


def test_before_the_first_uplink_nothing_goes(site: Site) -> None:
    site.queue()
    site.wait(60)
    assert site.gateway.sent == []
    site.hear(up(0))  # with its answer
    assert [each.windows[0].name for each in site.gateway.sent] == ["RX1"]


def test_device_is_left_alone_after_an_uplink_and_between_two(site: Site) -> None:
    site.hear(up(0))
    for payload in (b"1", b"2"):
        site.queue(payload=payload)
    site.wait(AFTER_UPLINK_S - 0.5)
    assert site.gateway.sent == []
    site.wait(0.5)
    site.tell(site.gateway.sent[-1])
    site.wait(BETWEEN_S - 0.5)
    assert len(site.gateway.sent) == 1
    site.wait(0.5)
    site.tell(site.gateway.sent[-1])
    assert len(site.gateway.sent) == 2
    assert [parse_data_frame(each.phy_payload).fctrl & 0x10 for each in site.gateway.sent] == [0x10, 0]


def test_one_confirmed_command_is_under_way_and_repeated_with_the_same_bytes(site: Site) -> None:
    site.hear(up(0))
    first, second = site.queue(is_confirmed=True), site.queue(payload=b"x")
    site.wait(60)
    site.tell(site.gateway.sent[-1])
    site.wait(ACKNOWLEDGED_WITHIN_S - 1)
    assert len(site.gateway.sent) == 1  # the other one waits, too
    site.hear(up(1, flags=ACK), after_us=1)
    assert site.command(first).fate is Fate.ACKNOWLEDGED
    assert [each.windows[0].name for each in site.gateway.sent] == ["RX2, class C", "RX1"]
    site.tell(site.gateway.sent[-1])
    assert site.command(second).fate is Fate.SENT


def test_command_that_is_never_acknowledged_is_given_up(site: Site) -> None:
    site.hear(up(0))
    number = site.queue(is_confirmed=True)
    for _ in range(MAX_TRIES + 2):
        site.wait(60)
        if site.gateway.sent and site.command(number).is_open:
            site.tell(site.gateway.sent[-1])
    assert len(site.gateway.sent) == MAX_TRIES
    assert len({each.phy_payload for each in site.gateway.sent}) == 1
    assert site.command(number).fate is Fate.NOT_ACKNOWLEDGED


@pytest.mark.parametrize("root", [ROOT_10, ROOT_11], ids=["1.0", "1.1"])
def test_device_that_joins_again_is_sent_to_after_its_first_uplink(root: RootKeys, tmp_path: Path) -> None:
    site, end = Site(tmp_path / "spool.db", otaa(root, device_class=DeviceClass.C)), JoiningDevice(root)
    site.join(end)
    site.hear(end.uplink(b"x"))
    site.join(end)
    number, count = site.queue("buoy"), len(site.gateway.sent)
    site.wait(60)
    assert len(site.gateway.sent) == count
    site.hear(end.uplink(b"x"))
    assert len(site.gateway.sent) == count + 1
    assert end.accept and parse_data_frame(site.gateway.sent[-1].phy_payload).dev_addr == end.accept.dev_addr
    site.tell(site.gateway.sent[-1])
    site.queue("buoy")
    site.wait(60)
    assert len(site.gateway.sent) == count + 2 and site.command(number).fate is Fate.SENT
    site.store.close()


def test_device_that_goes_to_class_a_is_sent_to_after_its_uplinks(site: Site) -> None:
    site.hear(up(0, fopts=b"\x20\x00"))
    count = len(site.gateway.sent)
    site.queue()
    site.wait(60)
    assert len(site.gateway.sent) == count
    site.hear(up(1, fopts=b"\x20\x02"))
    site.tell(site.gateway.sent[-1])
    site.queue()
    site.wait(60)
    assert site.gateway.sent[-1].windows[0].tmst is None


def test_device_of_class_a_that_says_otherwise_is_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    site = Site(tmp_path / "spool.db", device())
    for fcnt in range(2):
        site.hear(up(fcnt, fopts=b"\x20\x02"))
    count = len(site.gateway.sent)
    site.queue()
    site.wait(60)
    assert len(site.gateway.sent) == count
    hint = 'pond-7 says that it listens always: class = "C" in its [[device]] sends to it at once'
    assert [each for each in caplog.messages if "listens" in each] == [hint]
    site.store.close()


def test_what_is_too_long_for_rx2_is_told_and_goes_with_an_uplink(site: Site) -> None:
    site.hear(up(0))
    number = site.queue(payload=bytes(60))
    site.wait(60)
    assert site.gateway.sent == []
    assert site.command(number).steps[-1].text == (
        "not sent: 60 bytes, MAC commands included, and SF12BW125 in RX2, class C carry 51"
    )
    site.hear(up(1))
    assert len(site.gateway.sent) == 1


def test_gateway_that_cannot_send_any_more_is_told_of(site: Site) -> None:
    site.hear(up(0))
    site.gateway.now = None
    number = site.queue()
    site.wait(60)
    assert site.command(number).steps[-1].text == "not sent: gateway gw1, which heard the device, cannot send"
