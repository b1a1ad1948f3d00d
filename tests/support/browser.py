"""A real headless Chromium, from Debian's packages chromium and chromium-driver.

Selenium's drivers take half a second to import: only who opens a browser does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from selenium.common.exceptions import StaleElementReferenceException

from tests.support.programs import program

if TYPE_CHECKING:
    from selenium.webdriver import Chrome
    from selenium.webdriver.support.ui import WebDriverWait

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def waiting(chromium: Chrome) -> WebDriverWait[Chrome]:
    """A wait for what must come to be; the page may draw itself anew while it is looked at."""
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(chromium, 120, ignored_exceptions=[StaleElementReferenceException])


@contextmanager
def browser(width: int, height: int) -> Iterator[Chrome]:
    """A browser window of this size; a phone when it is narrow."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    chromium, driver = program("chromium"), program("chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    found = webdriver.Chrome(options=options, service=Service(driver))
    try:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        found.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        yield found
    finally:
        found.quit()
