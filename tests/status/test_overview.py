"""What a page is told: everything once, then what has changed."""

from __future__ import annotations

from msgspec import json
from msgspec.structs import replace

from lora_post.model import Reading, RxInfo
from lora_post.observed.page_model import PageNews
from lora_post.observed.site_state import SiteState
from lora_post.status.overview import log, news
from lora_post.uplink.model import Refusal
from tests.support.build import NOON_US, device, frame, report


def test_news_are_what_changed_and_nothing_else() -> None:
    site = SiteState([device(), device("other", address=0x26011BDB)])
    site.hear(report(Reading("t", 1)))
    seen = news(site, 0, 0)
    assert [item.id for item in seen.devices] == ["pond-7"]
    assert seen.refused is None
    assert news(site, seen.v, 0) == PageNews(seen.v)
    site.hear(Refusal(frame(b"\x40"), "frame", "too short"))
    assert [item.check for item in news(site, seen.v, 0).refused or ()] == ["frame"]


def test_log_has_all_that_is_known_of_a_frame() -> None:
    site = SiteState([device()])
    heard = report(Reading("t", 1))
    rx = RxInfo(-97, -3.5, 9)
    uplink = replace(heard.uplink, fcnt=17, fport=85, payload=b"\x01\xab", frame=replace(frame(), rx=rx))
    site.hear(replace(heard, uplink=uplink))
    refused = bytes.fromhex("40da1b012680070002533cc170dfd80198bc5e")
    site.hear(Refusal(frame(refused), "mic", "no key fits"))
    accepted, turned_away = json.decode(json.encode(log(site, 0, 0)))
    time = NOON_US // 1000
    assert accepted == {
        "n": 1,
        "time": time,
        "text": "t 1",
        "device": "pond-7",
        "gateway": "gw1",
        "rssi": -97,
        "snr": -3.5,
        "sf": 9,
        "fcnt": 17,
        "fport": 85,
        "payload": "01ab",
    }
    assert turned_away == {
        "n": 2,
        "time": time,
        "text": "mic: no key fits",
        "address": "26011bda",
        "check": "mic",
        "gateway": "gw1",
        "rssi": -50,
        "snr": 7,
        "fcnt": 7,
        "fport": 2,
        "phy_payload": refused.hex(),
    }
    assert log(site, 2, 0) == []
