"""The sandbox's page and the document that it polls."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from lora_post.sandbox.errors import ErrorAnswer
from lora_post.sandbox.page import MAX_DEVICES, Page, Visit, overview
from lora_post.sandbox.state import State
from tests.support.command import PATIENCE_S
from tests.support.markup import TAKES_MARKUP
from tests.support.sandbox_client import Api, sandbox_api


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with sandbox_api() as api:
        yield api


def test_page_and_its_parts_come_with_a_strict_policy(api: Api) -> None:
    root = api.base.removesuffix("/api/v2")
    kinds = {
        "/": "text/html",
        "/sandbox/page.css": "text/css",
        "/sandbox/page.js": "text/javascript",
        "/web/look.css": "text/css",
        "/web/parts.js": "text/javascript",
    }
    for path, kind in kinds.items():
        answer = api.session.get(root + path, timeout=PATIENCE_S)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, f"{kind};charset=utf-8")
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self';")
    html = api.session.get(root + "/", timeout=PATIENCE_S).text
    assert '<script type="module" src=' in html
    assert "onclick" not in html
    for path in ("/sandbox/page.js", "/web/parts.js"):
        assert not TAKES_MARKUP.search(api.session.get(root + path, timeout=PATIENCE_S).text)
    assert api.session.post(root + "/", timeout=PATIENCE_S).status_code == 405


def test_overview_shows_private_devices_with_labels_and_counts(api: Api) -> None:
    sensor = {"id": "t", "sensor_kind": "AirThermometer", "quantity_kind": "AirTemperature", "unit": "DegreeCelsius"}
    device = api.device(visibility="private", sensors=[sensor])
    for value in (1, 2):
        api.push(device, value, "alice")
    url = api.base.removesuffix("/api/v2") + "/sandbox/overview.json"
    answer = api.session.get(url, timeout=PATIENCE_S)
    [shown] = [item for item in answer.json()["devices"] if item["id"] == device]
    [found] = shown["sensors"]
    assert found.pop("value")["value"] == 2
    labels = {"kind_label": "Air thermometer", "quantity_label": "Air temperature", "unit_label": "°C", "received": 2}
    assert found == sensor | labels
    known = {"If-None-Match": answer.headers["ETag"]}
    assert api.session.get(url, headers=known, timeout=PATIENCE_S).status_code == 304
    api.push(device, 3, "alice")
    assert api.session.get(url, headers=known, timeout=PATIENCE_S).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8008", "127.0.0.1.evil.example", "[", "192.0.2.1"])
def test_the_page_is_not_for_other_sites(api: Api, host: str) -> None:
    url = api.base.removesuffix("/api/v2") + "/sandbox/overview.json"
    assert api.session.get(url, headers={"Host": host}, timeout=PATIENCE_S).status_code in (400, 403)


@pytest.mark.parametrize("client", ["192.0.2.7", "", "::ffff:192.0.2.7"])
@pytest.mark.parametrize("path", ["/", "/sandbox/page.js", "/sandbox/overview.json"])
def test_the_page_is_not_for_other_machines(client: str, path: str) -> None:
    with closing(State()) as state, pytest.raises(ErrorAnswer, match="403"):
        Page(state).answer(Visit("GET", path, client, "localhost:8008", None))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8008", "[::1]:8008", "127.0.0.2"])
def test_the_page_is_for_this_machine_under_all_its_names(host: str) -> None:
    with closing(State()) as state:
        reply = Page(state).answer(Visit("GET", "/", "127.0.0.1", host, None))
    assert reply is not None
    assert reply.status == 200


def test_of_many_devices_the_page_shows_those_that_changed_last() -> None:
    with closing(State()) as state:
        for number in range(MAX_DEVICES + 10):
            state.add_device(f"d{number}", {}, number)
        shown = overview(state)
    assert shown["device_count"] == MAX_DEVICES + 10
    assert [device["id"] for device in shown["devices"]] == [f"d{number}" for number in range(10, MAX_DEVICES + 10)]
