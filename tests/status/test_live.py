"""The stream that an open page gets."""

from __future__ import annotations

import json

import requests

from lora_post.model import Reading
from lora_post.observed.site_state import SiteState
from lora_post.status.app import MAX_STREAMS
from lora_post.status.live import BURST_BYTES, BYTES_PER_S, Budget
from tests.support.build import NOON_US, device, report
from tests.support.command import PATIENCE_S
from tests.support.status_page import get, page


def test_open_page_is_told_what_changes_within_its_budget() -> None:
    site = SiteState([device()])
    with page(site) as url, requests.get(f"{url}/status/live?since=0", stream=True, timeout=PATIENCE_S) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        site.hear(report(Reading("t", 20.5, "°C")))
        line = next(line for line in stream.iter_lines() if line.startswith(b"data: "))
        message = json.loads(line.removeprefix(b"data: "))
        assert message["devices"][0]["sensors"] == [{"name": "t", "value": 20.5, "unit": "°C", "time": NOON_US // 1000}]
        assert message["state"]["gateway"] == "Farm"


def test_too_many_open_pages_are_turned_away() -> None:
    with page() as url:
        streams = [requests.get(f"{url}/status/live", stream=True, timeout=PATIENCE_S) for _ in range(MAX_STREAMS)]
        assert {stream.status_code for stream in streams} == {200}
        assert get(f"{url}/status/live").status_code == 503
        for stream in streams:
            stream.close()


def test_budget_holds_over_time_whatever_happens() -> None:
    budget, sent = Budget(0.0), 0
    for second in range(600):
        while budget.allows(second):
            budget.spend(700)
            sent += 700
    assert sent <= BURST_BYTES + 600 * BYTES_PER_S + 700
    assert 60 * BYTES_PER_S < 1000


def test_page_asks_for_everything_again_when_other_devices_are_shown() -> None:
    site = SiteState([device()])
    site.hear(report(Reading("t", 1)))
    with page(site) as url:
        with requests.get(f"{url}/status/live?since=1", stream=True, timeout=PATIENCE_S) as stream:
            site.use([device(), device("new", address=1)])
            assert b"".join(stream.iter_content(1)).count(b"new") == 0  # it has ended
        shown = get(f"{url}/status.json").json()
        assert [item["id"] for item in shown["devices"]] == ["pond-7", "new"]
        with requests.get(f"{url}/status/live?since={shown['v']}", stream=True, timeout=PATIENCE_S) as stream:
            assert next(stream.iter_lines()).startswith(b"data: ")
