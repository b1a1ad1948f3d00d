"""What a page is told: everything once, then what has changed."""

from __future__ import annotations

from msgspec.structs import replace

from lora_post.model import Reading
from lora_post.observed.day import POINTS, STEP_US
from lora_post.observed.page_model import PageNews
from lora_post.observed.site_state import SiteState
from lora_post.status.overview import MAX_PLOTS, news, whole
from lora_post.uplink.model import Refusal, Report, Uplink
from tests.support.build import NOON_US, device, frame, report
from tests.support.status_page import WELL


def test_news_are_what_changed_and_nothing_else() -> None:
    site = SiteState([device(), device("other", address=0x26011BDB)])
    site.hear(report(Reading("t", 1)))
    seen = news(site, 0, 0)
    assert [item.id for item in seen.devices] == ["pond-7"]
    assert seen.refused is None
    assert news(site, seen.v, 0) == PageNews(seen.v)
    site.hear(Refusal(frame(b"\x40"), "frame", "too short"))
    assert [item.check for item in news(site, seen.v, 0).refused or ()] == ["frame"]


def test_farm_of_fifty_devices_with_days_fits_into_one_load() -> None:
    devices = [device(f"device-{number}", address=number) for number in range(50)]
    site = SiteState(devices)
    for step in range(POINTS):
        for number, of in enumerate(devices):
            readings = [Reading(f"sensor_{sensor}", 20 + (step * number) % 17 / 10, "°C") for sensor in range(5)]
            uplink = Uplink(frame(time_us=NOON_US + step * STEP_US), of, step, 1, b"\x01", True)
            site.hear(Report(uplink, tuple(readings)))
    runtime = replace(WELL, now_us=NOON_US + POINTS * STEP_US)
    days = [sensor.day or [] for item in whole(site, runtime).devices for sensor in item.sensors]
    assert sum(map(len, days)) == 250 * POINTS


def test_many_sensors_come_without_their_days() -> None:
    site = SiteState([device("a"), device("b", address=1)])
    for of in ("a", "b"):
        site.hear(report(*(Reading(f"s{number}", 1.5) for number in range(200)), of=device(of)))
    assert MAX_PLOTS < 2 * 200
    assert {sensor.day for item in whole(site, WELL).devices for sensor in item.sensors} == {None}
    assert site.day("a", "s3", NOON_US) is not None
    assert site.day("a", "unknown", NOON_US) is None
    assert site.day("unknown", "s3", NOON_US) is None
