"""What a page is told: everything once, then what has changed."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import json
from msgspec.structs import replace

from lora_post.model import Device, Reading, RxInfo
from lora_post.observed.page_model import Page, PageNews
from lora_post.observed.site_state import SiteState
from lora_post.status.overview import Wanted, log, news, whole
from lora_post.uplink.model import Refusal
from tests.support.alerts import WELL
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


def pages(site: SiteState, wanted: Wanted) -> Iterator[Page]:
    found = whole(site, WELL, wanted)
    yield found
    while found.next:
        found = whole(site, WELL, replace(wanted, first=found.next))
        yield found


def ids(found: Page) -> list[str]:
    return [item.id for item in found.devices]


def test_pages_have_every_device_once_and_those_in_trouble_come_first_too() -> None:
    site = SiteState([device(f"field-{number}", address=number) for number in range(25)])
    for _ in range(3):
        site.hear(report(problem="too short", of=site_device(20)))
    first, *others = pages(site, Wanted(10))
    assert (first.total, first.heard, first.news) == (25, 1, False)
    assert ids(first) == [*(f"field-{number}" for number in range(10)), "field-20"]
    assert [name for each in others for name in ids(each)] == [f"field-{number}" for number in range(10, 25)]
    assert [each.next for each in (first, *others)] == [10, 20, 0]
    assert len(whole(site, WELL).devices) == 25


def site_device(number: int) -> Device:
    return device(f"field-{number}", address=number)


def test_who_knows_a_version_of_this_run_is_told_what_has_changed() -> None:
    field = [site_device(number) for number in range(5)]
    site = SiteState(field)
    before = whole(site, WELL, Wanted(3))
    site.hear(report(Reading("t", 1), of=field[4]))
    again = Wanted(3, since=before.v, run=before.state.started)
    told = whole(site, WELL, again)
    assert (told.news, ids(told), told.next) == (True, ["field-4"], 0)
    assert (told.state, told.verdict.kind) == (before.state, "wait")
    assert ids(whole(site, WELL, replace(again, run=again.run - 1))) == ids(before)  # another run
    assert ids(whole(site, WELL, replace(again, since=told.v + 1))) == ids(before)
    for of in field[:4]:
        site.hear(report(Reading("t", 1), of=of))
    assert not whole(site, WELL, again).news  # more than a page
    site.use(field[:2])
    assert ids(whole(site, WELL, again)) == ["field-0", "field-1"]
