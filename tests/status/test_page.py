"""The status page in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests
from msgspec.structs import replace
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from lora_post.clocks.scale import now_us
from lora_post.errors import Problem
from lora_post.model import Reading
from lora_post.observed.day import STEP_US
from lora_post.observed.site_state import SiteState
from lora_post.uplink.model import Refusal
from tests.support.browser import browser, waiting
from tests.support.build import NOON_US, device, frame, report
from tests.support.command import (
    DEVICES,
    counting_packet,
    free_port,
    sandbox_process,
    started,
    wait_until,
    write_site,
)
from tests.support.status_page import WELL, get, page

HOSTILE = "<img src=x onerror=document.title='owned'>"


def test_page_shows_plots_and_updates_and_takes_nothing_for_markup() -> None:
    site = SiteState([device(name=HOSTILE), device("silent", address=1)])
    for step in range(8):
        site.hear(report(Reading("temperature", 20 + step / 2, "°C"), time_us=NOON_US - step * STEP_US))
    about = (Reading("firmware", "1.2"), Reading(HOSTILE, HOSTILE * 20))
    site.hear(replace(report(Reading(HOSTILE, HOSTILE), time_us=NOON_US), metadata=about))
    command = f"lora-post spool reset-counter {'pond-7' * 40}"
    site.hear(Refusal(frame(b"\x40" + bytes(12)), "mic", HOSTILE, fix=f"<b>fix</b>: `{command}`"))
    with page(site) as url, browser(390, 844) as chromium:
        wait = waiting(chromium)
        chromium.get(url)
        wait.until(lambda b: b.find_element(By.ID, "verdict-text").text == "Running; 1 of 2 devices not heard yet")
        assert chromium.find_element(By.ID, "device-count").text == "1 of 2"
        assert chromium.find_elements(By.CSS_SELECTOR, ".sensor svg path")
        assert HOSTILE in chromium.find_element(By.ID, "devices").text
        assert chromium.find_element(By.CSS_SELECTOR, "#refused .fix").text == f"fix: <b>fix</b>: {command}"
        assert not chromium.find_elements(By.CSS_SELECTOR, "img, b")
        # Nothing is wider than a phone.
        width = chromium.execute_script("return document.documentElement.scrollWidth")
        assert width <= 390

        chromium.find_element(By.CSS_SELECTOR, "button.sensor").click()
        wait.until(lambda b: b.find_element(By.ID, "plot-range").is_displayed())
        assert chromium.find_element(By.ID, "plot-range").text == "20 to 23.5 °C"
        assert chromium.find_elements(By.CSS_SELECTOR, "#plot-area path")
        chromium.find_element(By.CSS_SELECTOR, "#plot .close").click()

        chromium.find_element(By.CSS_SELECTOR, ".metadata summary").click()
        site.hear(report(Reading("temperature", 99.5, "°C"), time_us=NOON_US + 1))
        wait.until(lambda b: "99.5" in b.find_element(By.ID, "devices").text)
        assert "firmware: 1.2" in chromium.find_element(By.CSS_SELECTOR, ".metadata").text
        assert chromium.execute_script("return document.documentElement.scrollWidth") <= 390
        assert "owned" not in chromium.title
        assert chromium.get_log("browser") == []


def test_device_that_sends_every_hour_is_a_line_and_silence_is_a_gap() -> None:
    site = SiteState([device()])
    for step in (*range(0, 40, 4), *range(72, 96, 4)):
        site.hear(report(Reading("t", step), time_us=NOON_US - step * STEP_US))
    with page(site) as url, browser(390, 844) as chromium:
        chromium.get(url)
        waiting(chromium).until(lambda b: b.find_elements(By.CSS_SELECTOR, ".sensor svg path"))
        path = chromium.find_element(By.CSS_SELECTOR, ".sensor svg path").get_attribute("d") or ""
    assert path.count("M") == 2
    assert path.count("L") == 10 + 6 - 2


def test_what_is_wrong_comes_with_what_to_do_as_text_to_copy() -> None:
    site = SiteState([device()])
    site.hear(report(Reading("t", float("nan"))))
    command = f"lora-post spool reset-counter {'pond-7' * 40}"
    broken = replace(WELL, alerts={"x": Problem(f"{HOSTILE} is stuck", f"`{command}` helps")})
    with page(site, broken) as url, browser(390, 844) as chromium:
        chromium.get(url)
        wait = waiting(chromium)
        wait.until(lambda b: b.find_element(By.ID, "verdict-text").text == "Needs attention")
        assert chromium.find_element(By.CSS_SELECTOR, ".sensor .value").text == "?"
        problem = chromium.find_element(By.CSS_SELECTOR, "#problems li")
        assert problem.text == f"{HOSTILE} is stuck\nfix: {command} helps"
        code = problem.find_element(By.CSS_SELECTOR, ".fix code")
        code.click()
        site.hear(report(Reading("t", 5)))
        wait.until(lambda b: b.find_element(By.CSS_SELECTOR, ".sensor .value").text == "5")
        assert chromium.execute_script("return String(getSelection())") == command
        assert chromium.execute_script("return document.documentElement.scrollWidth") <= 390


def test_page_of_a_process_that_dies_says_so_at_once_and_that_it_lives_again(tmp_path: Path) -> None:
    port = free_port()
    with sandbox_process(free_port()) as server, browser(390, 844) as chromium:
        arguments = ("run", "-c", str(write_site(tmp_path, server)), "--status", f"127.0.0.1:{port}", "-q")
        url, wait = f"http://127.0.0.1:{port}/", waiting(chromium)
        with started(*arguments) as process:
            assert process.stdin is not None
            process.stdin.write(b"".join(counting_packet(number, start_us=now_us()) for number in range(DEVICES)))
            wait_until(lambda: is_up(url), "no page")
            chromium.get(url)
            wait.until(lambda b: b.find_element(By.ID, "verdict-text").text == "Everything works")
            assert chromium.title == "✓ gw1"
            good = icon(chromium)
            process.kill()
            wait.until(lambda b: "does not answer" in headline(b))
            assert headline(chromium).startswith("lora-post does not answer since ")
            assert chromium.title == "✗ gw1 does not answer"
            assert chromium.find_element(By.ID, "verdict").get_attribute("class") == "verdict bad"
            assert icon(chromium) != good
        with started(*arguments):
            wait.until(lambda b: b.find_element(By.ID, "link").text == "live")
            assert "does not answer" not in headline(chromium) + chromium.title


def test_silent_connection_is_a_dead_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lora_post.status.live.ALIVE_EVERY_S", 10_000)
    with page() as url, browser(390, 844) as chromium:
        chromium.get(url)
        waiting(chromium).until(lambda b: b.find_element(By.ID, "link").text == "live")
        chromium.execute_script("""
            new MutationObserver(() => { window.seen = document.title.includes("does not answer") || window.seen; })
                .observe(document.querySelector("title"), { childList: true });
            const now = Date.now;
            Date.now = () => now() + 80000;
        """)
        waiting(chromium).until(lambda b: b.execute_script("return window.seen"))


def headline(chromium: Chrome) -> str:
    return chromium.find_element(By.ID, "verdict-text").text


def icon(chromium: Chrome) -> str | None:
    return chromium.find_element(By.ID, "icon").get_attribute("href")


def is_up(url: str) -> bool:
    try:
        return get(url).status_code == 200
    except requests.ConnectionError:
        return False
