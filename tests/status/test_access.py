"""Who may see the page."""

from __future__ import annotations

import pytest

from lora_post.status.access import AccessRule, Credentials
from tests.support.status_page import TOKEN, get, page

PATHS = ["/", "/status.json", "/status/page.js", "/status/live", "/metrics", "/healthz", "/readyz", "/login"]
PATHS += ["/status/log.json", "/status/trends.json?hours=24"]


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "192.0.2.1:8080", ""])
def test_on_loopback_other_sites_see_nothing(host: str) -> None:
    assert not AccessRule(None).admits(Credentials(host))


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_shown_under_a_foreign_name(path: str) -> None:
    with page() as url:
        assert get(url + path, Host="evil.example").status_code == 403


@pytest.mark.parametrize("path", PATHS)
def test_with_a_token_nothing_is_shown_without_it(path: str) -> None:
    with page(token=TOKEN) as url:
        assert get(url + path).status_code == 403
        assert get(url + path, Authorization="Bearer wrong").status_code == 403


def test_token_is_taken_from_the_address_once_and_kept_as_a_cookie() -> None:
    with page(token=TOKEN) as url:
        answer = get(f"{url}/?token={TOKEN}")
        assert (answer.status_code, answer.headers["Location"]) == (303, "/")
        cookie = answer.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert TOKEN not in cookie
        assert get(url + "/", Cookie=cookie.partition(";")[0]).status_code == 200
        assert get(url + "/status.json", Authorization=f"Bearer {TOKEN}").status_code == 200


def test_browser_without_the_token_gets_the_page_that_asks_for_it_and_a_cookie_for_the_token() -> None:
    with page(token=TOKEN) as url:
        asked = get(url + "/", Accept="text/html,*/*")
        assert (asked.status_code, "<h1>This page needs its token</h1>" in asked.text) == (403, True)
        for part in ("/status/token.js", "/status/page.css", "/web/look.css", "/web/parts.js"):
            assert get(url + part).status_code == 200
        assert get(url + "/login", Authorization="Bearer wrong").status_code == 403
        answer = get(url + "/login", Authorization=f"Bearer {TOKEN}")
        assert (answer.status_code, TOKEN in answer.headers["Set-Cookie"]) == (204, False)
    with page() as url:
        assert "<h1>" not in get(url + "/", Host="evil.example", Accept="text/html").text  # there is none to ask for
