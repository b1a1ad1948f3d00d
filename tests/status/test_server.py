"""The status page as it is served: who may see it, what it costs, metrics and health."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest
import requests
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from lora_post.errors import Problem
from lora_post.metrics import Metrics
from lora_post.model import Reading
from lora_post.observed.run_state import DestinationState, Disk, InputState, RunState
from lora_post.observed.site_state import SiteState
from lora_post.secret import Secret
from lora_post.status.access import AccessRule, Credentials
from lora_post.status.app import MAX_STREAMS, create_app
from lora_post.status.live import BURST_BYTES, BYTES_PER_S, Budget
from lora_post.uplink.model import Refusal
from lora_post.web.serving import base_url, listen, serving
from tests.support.build import NOON_US, device, frame, report
from tests.support.command import counting_packet, free_port, run, started, wait_until, write_site

TOKEN = "a-token-of-this-test"
WELL = RunState(
    gateway="Farm",
    started_us=NOON_US,
    now_us=NOON_US,
    inputs=(InputState("stdin", NOON_US),),
    destinations=(DestinationState("waziup", 3, 0, 0, NOON_US, NOON_US),),
    disk=Disk(1 << 30, 1 << 31, 1 << 20),
    stalled=(),
    troubles={},
)
PATHS = ["/", "/status.json", "/status/page.js", "/status/live", "/metrics", "/healthz", "/readyz"]


@contextmanager
def page(
    site: SiteState | None = None, runtime: RunState = WELL, token: str | None = None, metrics: Metrics | None = None
) -> Iterator[str]:
    """A status server; gives its address."""
    stop = Event()
    gate = AccessRule(Secret(token) if token else None)
    app = create_app(site or SiteState([device()]), metrics or Metrics(), lambda: runtime, gate, stop)
    with listen("127.0.0.1", 0) as listener, serving(app, listener, "status"):
        try:
            yield base_url(listener)
        finally:
            stop.set()


def get(url: str, **headers: str) -> requests.Response:
    return requests.get(url, headers=headers, timeout=20, allow_redirects=False)


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


def test_page_allows_nothing_from_elsewhere_and_nothing_inline() -> None:
    with page() as url:
        for path in ("/", "/status/page.css", "/status/page.js", "/status/plot.js", "/web/look.css", "/web/parts.js"):
            answer = get(url + path)
            assert answer.status_code == 200
            assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self';")
            assert "innerHTML" not in answer.text
            assert "http://" not in answer.text.replace("http://www.w3.org/2000/svg", "")
            assert get(url + path, **{"If-None-Match": answer.headers["ETag"]}).status_code == 304


def test_first_load_is_small() -> None:
    devices = [device(f"device-{number}", address=number) for number in range(50)]
    site = SiteState(devices)
    for of in devices:
        site.hear(report(*(Reading(f"sensor_{number}", number * 1.37, "°C") for number in range(5)), of=of))
    with page(site) as url:
        size = 0
        for path in (
            "/",
            "/status/page.css",
            "/status/page.js",
            "/status/plot.js",
            "/web/look.css",
            "/web/parts.js",
            "/status.json",
        ):
            answer = requests.get(url + path, stream=True, timeout=20, headers={"Accept-Encoding": "gzip"})
            size += len(answer.raw.read()) + sum(len(key) + len(value) + 4 for key, value in answer.headers.items())
    assert size < 100_000


def test_open_page_is_told_what_changes_within_its_budget() -> None:
    site = SiteState([device()])
    with page(site) as url, requests.get(f"{url}/status/live?since=0", stream=True, timeout=20) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        site.hear(report(Reading("t", 20.5, "°C")))
        line = next(line for line in stream.iter_lines() if line.startswith(b"data: "))
        message = json.loads(line.removeprefix(b"data: "))
        assert message["devices"][0]["sensors"] == [{"name": "t", "value": 20.5, "unit": "°C", "time": NOON_US // 1000}]
        assert message["state"]["gateway"] == "Farm"


def test_too_many_open_pages_are_turned_away() -> None:
    with page() as url:
        streams = [requests.get(f"{url}/status/live", stream=True, timeout=20) for _ in range(MAX_STREAMS)]
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


@pytest.mark.parametrize(
    ("runtime", "health", "ready", "said"),
    [
        (WELL, 200, 200, "ok"),
        (replace(WELL, stalled=("serial",)), 503, 503, "serial is stalled"),
        (replace(WELL, troubles={"spool": Problem("disk full")}), 200, 503, "spool: disk full"),
        (replace(WELL, inputs=(InputState("ttyUSB0", 0, Problem("unplugged")),)), 200, 503, "input ttyUSB0: unplugged"),
        (
            replace(WELL, destinations=(DestinationState("waziup", 1, 0, 0, 1, 0, Problem("no route")),)),
            200,
            503,
            "waziup: no route",
        ),
    ],
)
def test_health_tells_the_truth(runtime: RunState, health: int, ready: int, said: str) -> None:
    with page(runtime=runtime) as url:
        assert get(url + "/healthz").status_code == health
        answer = get(url + "/readyz")
        assert answer.status_code == ready
        assert said in answer.text


def test_metrics_are_prometheus_text_with_bounded_labels() -> None:
    metrics, site = Metrics(), SiteState([device()])
    metrics.count("refused", "mic", 2)
    metrics.count("uplinks", amount=5)
    metrics.count("something internal", "x")
    for seconds in (0.0005, 0.2, 100.0):
        metrics.observe("delivery_duration", seconds, "waziup")
    site.hear(report(Reading("t", 1)))
    site.hear(Refusal(frame(b'"\n\\'), "frame", "x"))
    with page(site, metrics=metrics) as url:
        answer = get(url + "/metrics")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    samples = {(s.name, tuple(s.labels.items())): s.value for family in families.values() for s in family.samples}
    assert samples["lora_post_refused_total", (("check", "mic"),)] == 2
    assert samples["lora_post_uplinks_total", ()] == 5
    assert samples["lora_post_delivery_duration_seconds_bucket", (("destination", "waziup"), ("le", "0.25"))] == 2
    assert samples["lora_post_delivery_duration_seconds_count", (("destination", "waziup"),)] == 3
    assert samples["lora_post_queue_readings", (("destination", "waziup"), ("state", "queued"))] == 3
    assert samples["lora_post_device_last_uplink_timestamp_seconds", (("device", "pond-7"),)] == NOON_US / 1e6
    assert not any("internal" in name for name in families)


def test_running_command_shows_its_page_and_fails_clearly_when_the_port_is_taken(tmp_path: Path) -> None:
    port, address = free_port(), f"127.0.0.1:{free_port()}"
    site = write_site(tmp_path, f"http://127.0.0.1:{port}/api/v2")
    with started("run", "-c", str(site), "--status", address, "-q") as process:
        assert process.stdin is not None
        process.stdin.write(counting_packet(0) + counting_packet(1))
        url = f"http://{address}"
        wait_until(lambda: heard(url) == ["counter-0", "counter-1"], "the page does not show the devices")
        # Nobody listens where the readings are to go.
        wait_until(lambda: "waziup" in get(f"{url}/readyz").text, "it does not say what is missing")
        assert get(f"{url}/readyz").status_code == 503
        assert get(f"{url}/healthz").text == "ok\n"
        second = run("run", "-c", str(site), "--status", address)
        assert second.returncode == 2
        assert f"[status] listen {address}: Address already in use" in second.stderr.decode()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def heard(url: str) -> list[str]:
    try:
        devices = get(f"{url}/status.json").json()["devices"]
    except requests.ConnectionError:
        return []
    return [item["id"] for item in devices if "last" in item]
