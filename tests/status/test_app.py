"""The page as it is served: what it costs, what it allows, health."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import requests
from msgspec.structs import replace

from lora_post.errors import Problem
from lora_post.model import Reading
from lora_post.observed.run_state import DestinationState, InputState, RunState
from lora_post.observed.site_state import SiteState
from lora_post.status.app import SCRIPTS
from tests.support.build import device, report
from tests.support.command import PATIENCE_S, counting_packet, run, started, wait_until, write_site
from tests.support.markup import TAKES_MARKUP
from tests.support.ports import free_port
from tests.support.status_page import WELL, get, page

PARTS = ["/", "/status/page.css", "/web/look.css", "/web/parts.js", *(f"/status/{name}.js" for name in SCRIPTS)]


def test_page_allows_nothing_from_elsewhere_and_nothing_inline() -> None:
    with page() as url:
        for path in PARTS:
            answer = get(url + path)
            assert answer.status_code == 200
            assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self';")
            assert not TAKES_MARKUP.search(answer.text)
            assert "http://" not in answer.text.replace("http://www.w3.org/2000/svg", "")
            assert get(url + path, **{"If-None-Match": answer.headers["ETag"]}).status_code == 304


@pytest.mark.parametrize(("many", "most"), [(50, 50_000), (5_000, 100_000)])
def test_first_load_is_small(many: int, most: int) -> None:
    devices = [device(f"device-{number}", address=number) for number in range(many)]
    site = SiteState(devices)
    for of in devices:
        site.hear(report(*(Reading(f"sensor_{number}", number * 1.37, "°C") for number in range(5)), of=of))
    with page(site) as url:
        size = 0
        for path in (*PARTS, "/status.json?limit=100"):
            answer = requests.get(url + path, stream=True, timeout=PATIENCE_S, headers={"Accept-Encoding": "gzip"})
            size += len(answer.raw.read()) + sum(len(key) + len(value) + 4 for key, value in answer.headers.items())
    assert size < most


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


def test_running_command_shows_its_page_and_fails_clearly_when_the_port_is_taken(tmp_path: Path) -> None:
    port, address = free_port(), f"127.0.0.1:{free_port()}"
    site = write_site(tmp_path, f"http://127.0.0.1:{port}/api/v2")
    site.write_text(site.read_text() + "[status]\nsensor_values = true\n")
    with started("run", "-c", str(site), "--status", address, "-q") as process:
        assert process.stdin is not None
        process.stdin.write(counting_packet(0) + counting_packet(1))
        url = f"http://{address}"
        wait_until(lambda: heard(url) == ["counter-0", "counter-1"], "the page does not show the devices")
        assert 'lora_post_sensor_value{device="counter-0",sensor="' in get(f"{url}/metrics").text
        # Nobody listens where the readings are to go.
        wait_until(lambda: "waziup" in get(f"{url}/readyz").text, "it does not say what is missing")
        assert get(f"{url}/readyz").status_code == 503
        assert get(f"{url}/healthz").text == "ok\n"
        second = run("run", "-c", str(site), "--status", address)
        assert second.returncode == 2
        assert f"[status] listen {address}: Address already in use; name another port" in second.stderr.decode()
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0


def heard(url: str) -> list[str]:
    try:
        devices = get(f"{url}/status.json").json()["devices"]
    except requests.ConnectionError:
        return []
    return [item["id"] for item in devices if "last" in item]
