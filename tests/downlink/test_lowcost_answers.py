from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lora_post.command import Fate
from lora_post.lowcost.header import Header, parse_header
from lora_post.model import Link
from tests.support.build import device
from tests.support.network_site import US915, Gateway, Site

FRAME = bytes([1, 0x10, 6]) + b"\x05\\!TC/22.5"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path / "spool.db", device("pond-6", link=Link.LOWCOST, address=6, keys=None))
    with closing(site.store):
        yield site


def hear(site: Site, number: int, **words: object) -> str:
    """The device sends its frame of this number."""
    return site.hear(FRAME[:3] + bytes([number]) + FRAME[4:], **words)  # type: ignore[arg-type]


def test_command_goes_a_second_after_the_next_frame_as_it_was_sent(site: Site) -> None:
    number = site.queue("pond-6", b"/@L2#")
    assert hear(site, 1, tmst=2**32 - 1) == "uplink"
    (sent,) = site.gateway.sent
    (window,) = sent.windows
    assert (window.name, window.tmst) == ("RX1", 999_999)
    assert (window.slot.hz, window.slot.rate.sf) == (868_100_000, 7)
    assert parse_header(sent.phy_payload) == Header(6, 0x11, 1, 0) and sent.phy_payload[4:] == b"/@L2#"
    site.tell(sent)
    assert site.command(number).fate is Fate.SENT
    hear(site, 2)
    assert len(site.gateway.sent) == 1


def test_commands_go_one_with_each_frame_and_count(site: Site) -> None:
    for payload in (b"one", b"two"):
        site.queue("pond-6", payload, is_confirmed=True)
    for number in (1, 2, 3):
        hear(site, number)
        site.tell(site.gateway.sent[-1])
    assert [(parse_header(each.phy_payload).seq, each.phy_payload[4:]) for each in site.gateway.sent] == [
        (0, b"one"),
        (1, b"two"),
    ]
    assert site.command(1).fate is site.command(2).fate is Fate.SENT  # nothing is acknowledged


def test_one_that_may_have_been_sent_is_not_sent_again(site: Site) -> None:
    number = site.queue("pond-6", b"toggle")
    hear(site, 1)
    site.tell(site.gateway.sent[0], is_sent=None)
    hear(site, 2)
    assert len(site.gateway.sent) == 1
    assert site.command(number).fate is Fate.SENT and "perhaps sent" in site.command(number).steps[-1].text


def test_one_that_the_gateway_refused_goes_with_the_next_frame(site: Site) -> None:
    site.queue("pond-6", b"toggle")
    hear(site, 1)
    site.tell(site.gateway.sent[0], is_sent=False, why="TOO_LATE")
    hear(site, 2)
    assert [each.phy_payload[3:] for each in site.gateway.sent] == [b"\x00toggle", b"\x01toggle"]


@pytest.mark.parametrize(
    ("words", "asks", "why"),
    [
        ({"tmst": None}, True, "does not tell when the frame came"),
        ({"freq": 915.2}, True, "not of the [network] region"),
        ({}, False, "cannot send"),
    ],
)
def test_frame_that_cannot_be_answered_says_why(words: dict[str, object], asks: bool, why: str, site: Site) -> None:
    if not asks:
        site.gateway = Gateway(asks=False)
        site.start()
    number = site.queue("pond-6", b"x")
    hear(site, 1, **words)
    assert not site.gateway.sent and why in site.command(number).steps[-1].text


def test_long_one_waits_for_a_faster_frame(site: Site) -> None:
    number = site.queue("pond-6", b"x" * 243)
    hear(site, 1)
    assert not site.gateway.sent and "carry" in site.command(number).steps[-1].text


def test_device_of_a_fixed_plan_listens_where_it_has_sent(tmp_path: Path) -> None:
    site = Site(tmp_path / "spool.db", device("pond-6", link=Link.LOWCOST, address=6, keys=None), network=US915)
    with closing(site.store):
        site.queue("pond-6", b"x")
        hear(site, 1, freq=903.08)
        assert site.gateway.sent[0].windows[0].slot.hz == 903_080_000
