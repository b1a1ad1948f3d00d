"""The gateway's own entry: declared, kept alive, and ours; against a real server."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from lora_post.model import Reading
from lora_post.sandbox.endpoint import Settings
from lora_post.sinks.waziup.sink import WaziupSink
from tests.support.build import NOON_US, report
from tests.support.distrusted import Distrusted
from tests.support.programs import program
from tests.support.upload_site import Site, work
from tests.support.waziup import Fault, Waziup, waziup


def beats(server: Waziup) -> list[str]:
    """Return the heartbeats so far, by their names, and forget them."""
    found = [line.rpartition("/")[2] for line in server.days.seen if line.startswith("PUT /gateways/gw1/")]
    server.days.seen.clear()
    return found


def beat_now(sink: WaziupSink) -> None:
    """Send the heartbeat as if an hour had gone by."""
    sink._heartbeat_at = 0.0
    sink.prepare()


def test_heartbeat_of_an_older_server_is_found_and_the_usual_name_is_tried_at_each_start(tmp_path: Path) -> None:
    with waziup(Settings(legacy_health=True)) as server:
        site = Site(tmp_path, server.url)
        for _ in range(2):
            sink = site.sink()
            beat_now(sink)
            assert beats(server) == ["heartbeat", "health"]
            beat_now(sink)
            assert beats(server) == ["health"]
        site.close()


def test_server_that_is_brought_up_to_date_gets_its_heartbeat_by_the_new_name(site: Site, server: Waziup) -> None:
    server.days.faults += [Fault("/heartbeat$", 404, body=b""), Fault("/health$", 204, times=2, body=b"")]
    sink = site.sink()
    for expected in (["heartbeat", "health"], ["health"], ["health", "heartbeat"], ["heartbeat"]):
        beat_now(sink)
        assert beats(server) == expected


@pytest.mark.parametrize("body", [b"", b"Not Found", b"{}"])
@pytest.mark.parametrize("status", [404, 405])
def test_heartbeat_without_a_route_falls_back_whatever_the_answer_says(
    site: Site, server: Waziup, status: int, body: bytes
) -> None:
    server.days.faults += [
        Fault("/heartbeat$", status, times=9, body=body),
        Fault("/health$", 204, times=9, body=b""),
    ]
    sink = site.sink()
    beat_now(sink)
    assert beats(server) == ["heartbeat", "health"]
    beat_now(sink)
    assert beats(server) == ["health"]


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("request_", ["^POST /gateways$", "/heartbeat$"])
@pytest.mark.parametrize("status", [429, 500, 503])
def test_gateway_is_declared_again_after_trouble_and_readings_go_on(
    site: Site, server: Waziup, request_: str, status: int
) -> None:
    server.days.faults.append(Fault(request_, status))
    site.put_values("t", 1)
    uploader = site.uploader()
    work(uploader)
    assert server.values("pond-7", "t") == [1]
    assert uploader.last_error is None
    work(uploader, lambda: len([line for line in server.days.seen if re.search(request_, line)]) == 2)
    assert server.get("/gateways/gw1")["owner"] == "demo"  # type: ignore[index]


def test_gateway_comes_back_with_its_devices_after_the_server_has_lost_them(site: Site, server: Waziup) -> None:
    uploader = site.uploader()
    site.put_values("t", 1)
    work(uploader)
    for path in ("/devices/pond-7", "/gateways/gw1"):
        assert server.call("DELETE", path).status_code == 204
    site.put(report(Reading("t", 2), time_us=NOON_US + 60_000_000))
    work(uploader)
    uploader.step()
    assert server.values("pond-7", "t") == [2]
    assert server.get("/gateways/gw1")["owner"] == "demo"  # type: ignore[index]


def test_gateway_of_somebody_else_does_not_hold_up_values(
    site: Site, server: Waziup, caplog: pytest.LogCaptureFixture
) -> None:
    server.call("POST", "/gateways", user="alice", json={"id": "gw1"})
    site.put_values("t", 1)
    work(site.uploader())
    assert server.values("pond-7", "t") == [1]
    assert "gateway gw1 belongs to alice, not to demo" in caplog.text


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("step", ["POST /gateways", "GET /gateways/gw1", "PUT /gateways/gw1/owner"])
@pytest.mark.parametrize("is_done", [True, False], ids=["done", "not done"])
@pytest.mark.parametrize("is_killed", [True, pytest.param(False, marks=pytest.mark.long)], ids=["killed", "goes on"])
def test_gateway_that_the_server_gave_to_guest_is_taken_over_wherever_it_was_cut_off(
    site: Site, server: Waziup, step: str, *, is_done: bool, is_killed: bool
) -> None:
    """The answer to one of the steps is lost; lora-post goes on, or is killed right then."""
    cut = Fault(f"^{step}$", 0, work_first=is_done)
    site.put_values("t", 1)
    uploader = site.uploader(client=Distrusted(server, cut))
    work(uploader, lambda: not cut.times)
    if is_killed:
        uploader = site.uploader()
    work(uploader)
    assert server.values("pond-7", "t") == [1]

    def is_ours() -> bool:
        answer = server.call("GET", "/gateways/gw1")
        return answer.status_code == 200 and answer.json()["owner"] == "demo"

    work(uploader, is_ours)


def test_gateway_that_was_guests_before_is_not_taken_and_the_command_that_takes_it_is_told(
    site: Site, server: Waziup, caplog: pytest.LogCaptureFixture
) -> None:
    for visibility in ("public", "private"):
        server.call("POST", "/gateways", user="guest", json={"id": "gw1", "visibility": visibility})
        sink = site.sink()
        beat_now(sink)
        assert server.get("/gateways/gw1")["owner"] == "guest"  # type: ignore[index]
        program("curl")
        (command,) = re.findall(r"take it over: (curl .*)\)?$", caplog.messages[-1])
        assert subprocess.run(["sh", "-c", f"{command} -s"], check=False).returncode == 0
        assert server.get("/gateways/gw1")["owner"] == "demo"  # type: ignore[index]
        beat_now(sink)
        assert server.days.seen[-1] == "PUT /gateways/gw1/heartbeat"
        server.call("DELETE", "/gateways/gw1")
        caplog.clear()


@pytest.mark.usefixtures("no_waiting")
def test_gateway_is_declared_as_soon_as_the_server_is_there(site: Site, server: Waziup) -> None:
    server.days.faults.append(Fault(r"POST /auth/token$", 503, times=3))
    site.put_values("t", 1)
    work(site.uploader())
    assert "PUT /gateways/gw1/heartbeat" in server.days.seen
