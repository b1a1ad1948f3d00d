"""The status page in a real browser: one test of all its views is quick, those of each view are long."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from msgspec.structs import replace
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from lora_post.clocks.scale import now_us
from lora_post.command import Command, Fate, Moment
from lora_post.downlink.duty_cycle import AirTime
from lora_post.errors import Problem
from lora_post.lorawan.region import SubBand
from lora_post.model import Reading, RxInfo
from lora_post.observed.site_state import SiteState
from lora_post.run.live import load_trends
from lora_post.sandbox.server import running_sandbox
from lora_post.spool.spool_file import SpoolFile
from lora_post.spool.trend_book import TrendBook
from lora_post.spool.trends import SHORT_S
from lora_post.uplink.model import Refusal
from tests.support.alerts import LIMITS
from tests.support.axe import complaints
from tests.support.browser import waiting
from tests.support.build import NOON_US, device, frame, report
from tests.support.command import (
    DEVICES,
    counting_packet,
    started,
    wait_until,
    write_site,
)
from tests.support.ports import free_port
from tests.support.status_page import TOKEN, WELL, get, page

if TYPE_CHECKING:
    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement

HOSTILE = "<img src=x onerror=document.title='owned'>"
QUARTER_US = SHORT_S * 1_000_000
DAY_US = 86_400_000_000


def at(chromium: Chrome, css: str) -> WebElement:
    return chromium.find_element(By.CSS_SELECTOR, css)


def text(chromium: Chrome, css: str) -> str:
    """The text there; the page may draw it anew meanwhile."""
    found: tuple[str] = waiting(chromium).until(lambda b: (at(b, css).text,))
    return found[0]


def words(chromium: Chrome, css: str) -> str:
    """The words there, whatever stands on a line of its own."""
    return " ".join(text(chromium, css).split())


def headline(chromium: Chrome) -> str:
    return text(chromium, "#verdict-text")


def width(chromium: Chrome) -> int:
    return int(chromium.execute_script("return document.documentElement.scrollWidth"))


def lines(chromium: Chrome, css: str) -> int:
    """How many lines these elements take."""
    tops = "return new Set([...document.querySelectorAll(arguments[0])].map((e) => e.offsetTop)).size"
    return int(chromium.execute_script(tops, css))


@contextmanager
def phone_of(chromium: Chrome, wide: int) -> Iterator[None]:
    """The phone as if it were so wide."""
    metrics = {"width": wide, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    yield
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics | {"width": 390})


def opened(chromium: Chrome, url: str) -> None:
    chromium.get(url)
    waiting(chromium).until(lambda b: text(b, "#link") == "live")


def names(chromium: Chrome) -> list[str]:
    return [row.text for row in chromium.find_elements(By.CSS_SELECTOR, "#devices .name")]


def farm(count: int = 60) -> SiteState:
    """Devices that were all heard; of each tenth one something is wrong."""
    devices = [device(f"d{number:02}", name=f"Device {number}", address=number) for number in range(count)]
    site = SiteState(devices)
    for number, of in enumerate(devices):
        battery = Reading("battery", 2.1 if number == 30 else 3.3)
        problem = "WrongLength: 3 bytes" if number == 50 else None
        late_us = 3 * DAY_US if number == 40 else 0
        readings = (Reading("temperature", 20 + number / 10, "°C"), Reading("humidity", 50, "%"), battery)
        site.hear(report(*([] if problem else readings), of=of, problem=problem, time_us=NOON_US - late_us))
    return site


@contextmanager
def farm_page(folder: Path, site: SiteState | None = None) -> Iterator[str]:
    """The page of a farm whose first device has sent for two days, with a gap of a few hours."""
    path = folder / "spool.db"
    with closing(SpoolFile(path)) as spool_file, spool_file.transaction() as db:
        book = TrendBook()
        for step in range(192, 0, -1):
            if not 20 < step < 40:
                book.hear([report(Reading("temperature", step), time_us=NOON_US - step * QUARTER_US, of=device("d00"))])
        book.saved()
        book.save(db, is_last=True)
    runtime = replace(WELL, limits=LIMITS)
    with page(site or farm(), runtime, load_trends=partial(load_trends, path)) as url:
        yield url


@pytest.mark.long
def test_of_many_devices_the_first_come_at_once_and_the_others_when_they_are_looked_for(
    phone: Chrome, tmp_path: Path
) -> None:
    with farm_page(tmp_path, farm(700)) as url:
        opened(phone, url)
        assert text(phone, "#device-count") == "700 of 700"
        assert text(phone, "#shown") == "100 of 700 devices"
        at(phone, "#more").click()
        waiting(phone).until(lambda b: text(b, "#shown") == "600 of 700 devices")
        assert len(names(phone)) == 400
        at(phone, "#search").send_keys("Device 690")
        waiting(phone).until(lambda b: text(b, "#shown") == "1 of 700 devices")
        assert names(phone) == ["Device 690"]
        opened(phone, f"{url}#/device/d650")
        phone.refresh()
        waiting(phone).until(lambda b: text(b, "#view-device h2") == "Device 650")


@pytest.mark.long
def test_sixty_devices_on_a_phone_are_found_by_trouble_search_filter_and_order(phone: Chrome, tmp_path: Path) -> None:
    from selenium.webdriver.support.ui import Select

    with farm_page(tmp_path) as url:
        opened(phone, url)
        assert headline(phone) == "3 devices need attention"
        assert names(phone)[:4] == ["Device 50", "Device 40", "Device 30", "Device 0"]
        first = text(phone, "#devices li")
        assert "1 frame not decoded: WrongLength: 3 bytes" in first
        assert "battery at 2.1 V (unit by its range)" in text(phone, "#devices li:nth-child(3)")
        assert "temperature 23 °C" in words(phone, "#devices li:nth-child(3)")
        height = phone.execute_script("return document.getElementById('devices').scrollHeight")
        assert (width(phone) <= 390, height / 60 < 60) == (True, True)
        at(phone, "#search").send_keys("device 1")
        assert names(phone)[:3] == ["Device 1", "Device 10", "Device 11"]
        assert text(phone, "#shown") == "15 of 60 devices"
        at(phone, "#search").clear()
        at(phone, "#search").send_keys(" ")
        for which, shows, first in (
            ("filter", "low battery", ["Device 30"]),
            ("filter", "all", ["Device 50", "Device 40"]),
            ("sort", "name", ["Device 0", "Device 1"]),
            ("sort", "lowest battery", ["Device 30", "Device 0"]),
        ):
            Select(at(phone, f"#{which}")).select_by_visible_text(shows)
            waiting(phone).until(lambda b, first=first: names(b)[:2] == first)


def test_page_updates_and_takes_nothing_for_markup(phone: Chrome) -> None:
    site = SiteState([device(name=HOSTILE), device("silent", address=1)])
    about = (Reading("firmware", "1.2"), Reading(HOSTILE, HOSTILE * 20))
    site.hear(replace(report(Reading(HOSTILE, HOSTILE), Reading("temperature", 23.5, "°C")), metadata=about))
    command = f"lora-post spool reset-counter {'pond-7' * 40}"
    site.hear(Refusal(frame(b"\x40" + bytes(12)), "mic", HOSTILE, fix=f"<b>fix</b>: `{command}`"))
    noon = Moment(NOON_US, "", 0)
    commands = (Command("pond-7", 9, HOSTILE.encode(), noon, 12, gateway=HOSTILE).ended(noon, Fate.REFUSED, HOSTILE),)
    air_time = (AirTime(HOSTILE, SubBand(868_000_000, 868_600_000, 0.01, 14), 0.97, 90.0),)
    with page(site, replace(WELL, commands=commands, air_time=air_time)) as url:
        opened(phone, url)
        assert headline(phone) == "Running; 1 of 2 devices not heard yet"
        assert text(phone, "#device-count") == "1 of 2"
        assert HOSTILE in names(phone)
        site.hear(report(Reading("temperature", 99.5, "°C"), time_us=NOON_US + 1))
        waiting(phone).until(lambda b: "99.5" in text(b, "#devices"))
        for route, shows in (("device/pond-7", HOSTILE), ("log", HOSTILE), ("refused", HOSTILE), ("gateway", "stdin")):
            phone.get(f"{url}/#/{route}")
            waiting(phone).until(lambda b, shows=shows: shows in text(b, "main"))
            assert width(phone) <= 390
        gateway = text(phone, "#parts")
        assert f"12 for pond-7: refused, {HOSTILE}" in gateway and f"gateway {HOSTILE} has used 97 %" in gateway
        assert not phone.find_elements(By.CSS_SELECTOR, "img")
        phone.get(f"{url}/#/refused")
        waiting(phone).until(lambda b: text(b, "#refused .fix") == f"fix: <b>fix</b>: {command}")
        assert not phone.find_elements(By.CSS_SELECTOR, "img, #refused b")
        phone.get(f"{url}/#/device/pond-7")
        summary = ".metadata summary"
        waiting(phone).until(lambda b: at(b, summary).is_displayed() and at(b, summary).click() is None)
        site.hear(report(Reading("temperature", 98.5, "°C"), time_us=NOON_US + 2))
        waiting(phone).until(lambda b: "98.5" in text(b, "#device-facts"))
        assert "firmware: 1.2" in text(phone, ".metadata")
        assert f"refused, {HOSTILE}" in text(phone, "#device-facts")
        assert width(phone) <= 390
        assert phone.title != "owned"
        assert phone.get_log("browser") == []


@pytest.mark.long
def test_device_has_a_page_with_its_values_and_plots_that_outlive_a_restart(phone: Chrome, tmp_path: Path) -> None:
    with farm_page(tmp_path) as url:
        opened(phone, url)
        at(phone, "#search").send_keys("d00", Keys.TAB, Keys.TAB, Keys.TAB, Keys.ENTER)
        waiting(phone).until(lambda b: b.find_elements(By.CSS_SELECTOR, "#plots svg"))
        assert phone.title == "! Farm – Device 0"
        focus = phone.switch_to.active_element
        assert (focus.tag_name, focus.text) == ("h2", "Device 0")
        assert text(phone, ".sensors tbody tr").startswith("temperature 20 °C")
        day = "temperature: 1 to 96 °C"
        waiting(phone).until(lambda b: at(b, "#plots svg[role=img]").get_attribute("aria-label") == day)
        path = waiting(phone).until(drawn_line)
        assert (path.count("M"), 70 < path.count("L") < 80) == (2, True)  # silence is a gap
        assert text(phone, "#plots .scale").split() == ["96", "48.5", "1"]
        assert len(phone.find_elements(By.CSS_SELECTOR, "#plots figure:first-child .axis span")) == 5
        titles = ["temperature", "humidity", "battery", "Signal (RSSI)", "Signal (SNR)", "Frames missed"]
        waiting(phone).until(lambda b: [each.text for each in b.find_elements(By.CSS_SELECTOR, "#plots h3")] == titles)
        at(phone, "#hours label:nth-of-type(2)").click()
        week = "temperature: 4.5 to 188.5 °C"
        waiting(phone).until(lambda b: at(b, "#plots svg").get_attribute("aria-label") == week)
        for wide in (360, 412):
            with phone_of(phone, wide):
                assert (lines(phone, "nav a"), lines(phone, "#hours label"), width(phone) <= wide) == (1, 1, True)
        assert width(phone) <= 390
        phone.back()
        waiting(phone).until(lambda b: at(b, "#devices").is_displayed())


@pytest.mark.long
def test_device_that_sends_every_hour_is_a_line(phone: Chrome, tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    with closing(SpoolFile(path)) as spool_file, spool_file.transaction() as db:
        book = TrendBook()
        book.hear([report(Reading("t", step), time_us=NOON_US - step * QUARTER_US) for step in range(92, 0, -4)])
        book.saved()
        book.save(db, is_last=True)
    site = SiteState([device()])
    site.hear(report(Reading("t", 1)))
    with page(site, load_trends=partial(load_trends, path)) as url:
        opened(phone, f"{url}/#/device/pond-7")
        drawn = waiting(phone).until(drawn_line)
    assert (drawn.count("M"), drawn.count("L")) == (1, 23)


def drawn_line(chromium: Chrome) -> str:
    """The path of the first plot, empty while there is none; the page may draw it anew meanwhile."""
    lines = chromium.find_elements(By.CSS_SELECTOR, "#plots path.line")
    return lines[0].get_attribute("d") or "" if lines else ""


@pytest.mark.long
def test_log_says_how_each_frame_was_heard_and_is_filtered_and_saved(phone: Chrome) -> None:
    site = SiteState([device(name="=Pond"), device("weather", address=1)])
    for number in range(40):
        heard = report(Reading("t", number), of=device(("pond-7", "weather")[number % 2]))
        rx = RxInfo(-97, -3.5, 9)
        uplink = replace(heard.uplink, fcnt=number, fport=85, payload=b"\x01\xab", frame=replace(frame(), rx=rx))
        site.hear(replace(heard, uplink=uplink))
    site.hear(Refusal(frame(b"\x40\x01\x5c\x0b\x26" + bytes(8)), "mic", '=cmd|"x"'))
    with page(site) as url:
        opened(phone, f"{url}/#/log")
        waiting(phone).until(lambda b: text(b, "#log-count") == "41 frames")
        lines = phone.find_elements(By.CSS_SELECTOR, "#log li")
        assert len(lines) == 30
        assert '260b5c01 mic: =cmd|"x"' in lines[0].text
        for part in ("t 39", "-97 dBm, SNR -3.5 dB, SF9 · FCnt 39 · FPort 85 · gw1", "01ab"):
            assert part in lines[1].text
        at(phone, "#log-more").click()
        assert len(phone.find_elements(By.CSS_SELECTOR, "#log li")) == 41
        site.hear(report(Reading("t", 99)))
        waiting(phone).until(lambda b: "t 99" in text(b, "#log li"))
        at(phone, "#log-search").send_keys("weather")
        assert text(phone, "#log-count") == "20 of 42 frames"
        at(phone, "#log-search").clear()
        at(phone, "#log-search").send_keys("x")
        assert len(phone.find_elements(By.CSS_SELECTOR, "#log li")) == 1
        saved = phone.execute_async_script("import('/status/log.js').then((log) => arguments[0](log.csv()))")
        head, row = csv.reader(StringIO(saved))
        told = dict(zip(head, row, strict=True))
        assert (told["address"], told["check"], told["text"]) == ("260b5c01", "mic", 'mic: =cmd|"x"')
        assert width(phone) <= 390


@pytest.mark.long
def test_what_is_wrong_comes_with_what_to_do_as_text_to_copy(phone: Chrome) -> None:
    site = SiteState([device()])
    site.hear(report(Reading("t", float("nan"))))
    command = f"lora-post spool reset-counter {'pond-7' * 40}"
    alerts = {"x": Problem(f"{HOSTILE} is stuck", f"`{command}` helps"), "y": Problem("deaf", "is it plugged in?")}
    with page(site, replace(WELL, alerts=alerts)) as url:
        opened(phone, url)
        assert headline(phone) == "Needs attention"
        assert "t ?" in words(phone, "#devices")
        problem, guess = phone.find_elements(By.CSS_SELECTOR, "#problems li")
        assert problem.text == f"{HOSTILE} is stuck\nfix: {command} helps"
        assert guess.text == "deaf\ncheck: is it plugged in?"
        fix, check = (
            each.find_element(By.TAG_NAME, "span").value_of_css_property("color") for each in (problem, guess)
        )
        assert fix != check
        problem.find_element(By.CSS_SELECTOR, ".fix code").click()
        site.hear(report(Reading("t", 5)))
        waiting(phone).until(lambda b: "t 5" in words(b, "#devices"))
        assert phone.execute_script("return String(getSelection())") == command
        assert width(phone) <= 390


def icon(chromium: Chrome) -> str | None:
    return at(chromium, "#icon").get_attribute("href")


def is_up(url: str) -> bool:
    try:
        return get(url).status_code == 200
    except requests.ConnectionError:
        return False


@pytest.mark.long
def test_page_of_a_process_that_dies_says_so_at_once_and_that_it_lives_again(phone: Chrome, tmp_path: Path) -> None:
    port = free_port()
    with running_sandbox() as server:
        arguments = ("run", "-c", str(write_site(tmp_path, server)), "--status", f"127.0.0.1:{port}", "-q")
        url, wait = f"http://127.0.0.1:{port}/", waiting(phone)
        with started(*arguments) as process:
            assert process.stdin is not None
            process.stdin.write(b"".join(counting_packet(number, start_us=now_us()) for number in range(DEVICES)))
            wait_until(lambda: is_up(url), "no page")
            phone.get(url)
            wait.until(lambda b: headline(b) == "Everything works")
            assert phone.title == "✓ gw1"
            good = icon(phone)
            process.kill()
            wait.until(lambda b: "does not answer" in headline(b))
            assert headline(phone).startswith("lora-post does not answer since ")
            assert phone.title == "✗ gw1 does not answer"
            assert at(phone, "#verdict").get_attribute("class") == "verdict lost"
            assert icon(phone) != good
            assert complaints(phone) == []
        with started(*arguments):
            wait.until(lambda b: text(b, "#link") == "live")
            assert "does not answer" not in headline(phone) + phone.title


@pytest.mark.long
def test_silent_connection_is_a_dead_one(phone: Chrome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lora_post.status.live.ALIVE_EVERY_S", 10_000)
    with page() as url:
        opened(phone, url)
        phone.execute_script("""
            new MutationObserver(() => { window.seen = document.title.includes("does not answer") || window.seen; })
                .observe(document.querySelector("title"), { childList: true });
            const now = Date.now;
            Date.now = () => now() + 80000;
        """)
        waiting(phone).until(lambda b: b.execute_script("return window.seen"))


@pytest.mark.long
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_can_be_used_by_those_who_do_not_see_it(phone: Chrome, tmp_path: Path, scheme: str) -> None:
    phone.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    site = farm()
    site.hear(Refusal(frame(b"\x40\x01\x5c\x0b\x26" + bytes(8)), "unknown-device", "no device", fix="add `dev_addr`"))
    with farm_page(tmp_path, site) as url:
        opened(phone, url)
        assert complaints(phone) == []
        for route, shows in (
            ("device/d00", "#plots svg"),
            ("device/d50", ".signs"),
            ("log", "#log li"),
            ("refused", "#refused li"),
            ("gateway", "#parts article"),
        ):
            phone.get(f"{url}/#/{route}")
            waiting(phone).until(lambda b, shows=shows: at(b, shows).is_displayed())
            assert complaints(phone) == [], route
    with page(token=TOKEN) as url:
        phone.get(url)
        assert complaints(phone) == []
    phone.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.mark.long
def test_downlinks_are_told_with_the_device_and_with_the_gateway(phone: Chrome) -> None:
    noon = Moment(NOON_US, "", 0)
    given = Command("pond-7", 9, b"\x01", noon, 12)
    commands = (given.ended(noon, Fate.EXPIRED), replace(given, id=13).with_step(noon, f"not sent: {HOSTILE}"))
    air_time = (AirTime(HOSTILE, SubBand(868_000_000, 868_600_000, 0.01, 14), 0.97, 90.0),)
    with page(runtime=replace(WELL, commands=commands, air_time=air_time)) as url:
        opened(phone, f"{url}/#/gateway")
        waiting(phone).until(lambda b: "has used 97 % of its air time at 868–868.6 MHz; more at " in text(b, "#parts"))
        waiting(phone).until(lambda b: "13 for pond-7: queued, not sent: <img" in text(b, "#parts"))
        assert "12 for pond-7: expired, " in text(phone, "#parts")
        phone.get(f"{url}/#/device/pond-7")
        waiting(phone).until(lambda b: "Downlink 13" in text(b, "#device-facts"))
        assert "queued, not sent: <img" in text(phone, "#device-facts")
        assert phone.title != "owned" and width(phone) <= 390


@pytest.mark.long
def test_browser_without_the_token_is_asked_for_it(phone: Chrome) -> None:
    with page(token=TOKEN) as url:
        phone.get(url)
        focus = phone.switch_to.active_element
        assert focus.get_attribute("id") == "token"
        focus.send_keys("wrong", Keys.ENTER)
        waiting(phone).until(lambda b: text(b, "#answer") == "That is not the token.")
        focus.clear()
        focus.send_keys(TOKEN, Keys.ENTER)
        waiting(phone).until(lambda b: b.find_elements(By.ID, "link") and text(b, "#link") == "live")
        assert phone.current_url == f"{url}/"
