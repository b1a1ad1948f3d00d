from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support.browser import browser

if TYPE_CHECKING:
    from selenium.webdriver import Chrome


@pytest.fixture(scope="session")
def one_phone() -> Iterator[Chrome]:
    with browser(390, 844) as found:
        yield found


@pytest.fixture
def phone(one_phone: Chrome) -> Chrome:
    """A browser as narrow as a phone, without cookies and without what earlier pages wrote to its log."""
    one_phone.execute_cdp_cmd("Network.clearBrowserCookies", {})
    one_phone.get("about:blank")
    one_phone.get_log("browser")
    return one_phone
