"""Sensors that others write to as well: what of ours has arrived is found among what they sent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from lora_post.clocks.scale import now_us
from lora_post.sandbox.server import running_sandbox
from lora_post.sinks.waziup import sink as waziup_sink
from lora_post.spool.lanes import parked
from lora_post.spool.queue import Queue
from tests.support.upload_site import IMPATIENT, USERS, Site, work
from tests.support.waziup import BadDays, CuttingProxy, Fault, Waziup

OTHERS = 700
"""Values of somebody else: more than a batch of ours and a page."""


@pytest.fixture
def site(tmp_path: Path, server: Waziup) -> Iterator[Site]:
    here = Site(tmp_path, server.url, IMPATIENT)
    yield here
    here.close()


def others_write(server: Waziup, count: int = OTHERS) -> None:
    body = [{"value": -1 - n, "timestamp": f"2026-02-01T00:00:{n / 1000:06.3f}Z"} for n in range(count)]
    path = "/devices/pond-7/sensors/t/values"
    assert server.call("POST", path, user="demo", json=body).status_code == 204


def ours(server: Waziup) -> list[object]:
    return [value for value in server.values("pond-7", "t") if value >= 0]  # type: ignore[operator]


@pytest.mark.parametrize("status", [0, 500, 504], ids=["cut", "500", "504"])
def test_batch_is_found_behind_what_another_writer_sent_since(site: Site, server: Waziup, status: int) -> None:
    uploader = site.uploader()
    site.put_values("t", 0)
    work(uploader)
    site.put_values("t", *range(101), device_id="pond-7")
    server.days.faults.append(Fault(r"POST .*/values$", status, work_first=True))
    work(uploader, lambda: len(server.days.pushes()) >= 2)
    others_write(server)
    work(uploader)
    assert ours(server) == [0, *range(101)]


def test_readings_under_way_at_a_kill_are_found_behind_what_another_writer_sent_since(
    site: Site, server: Waziup
) -> None:
    site.policy = replace(site.policy, share_write_for_s=1e9)
    site.put_values("t", *range(300))
    killed = site.uploader()
    work(killed, lambda: len(server.days.pushes()) == 3)
    assert site.queue().counts().queued == 300
    others_write(server)
    work(site.uploader())
    assert ours(server) == list(range(300))


def test_look_goes_no_further_back_than_our_own_first_attempt(tmp_path: Path) -> None:
    """Months of history are not read for one cut connection."""
    ago_us, days = 3_600_000_000, BadDays()
    with running_sandbox(USERS, clock=lambda: now_us() - ago_us, faults=days) as url:
        server, meter = Waziup(url, days), CuttingProxy(url)
        site = Site(tmp_path, meter.url, IMPATIENT)
        uploader = site.uploader()
        site.put_values("t", 0)
        work(uploader)
        others_write(server, 5000)
        ago_us = 0
        before = meter.bytes
        site.put_values("t", 1)
        server.days.faults.append(Fault(r"POST .*/value$", 0))
        work(uploader)
        assert ours(server) == [0, 1]
        assert meter.bytes - before < 10_000
        site.close()
        meter.close()


def test_two_gateways_that_drain_the_same_sensors_double_nothing(tmp_path: Path, server: Waziup) -> None:
    """On public devices that exist, where nobody's gateway is known; each has readings of its own."""
    body = {"id": "pond-7", "visibility": "public", "sensors": [{"id": "t"}, {"id": "h"}]}
    assert server.call("POST", "/devices", user="alice", json=body).status_code == 204
    sites, counts = [], (260, 215)
    for index, count in enumerate(counts):
        (tmp_path / str(index)).mkdir()
        one = Site(tmp_path / str(index), server.url, IMPATIENT)
        for name in ("t", "h"):
            one.put_values(name, *(1000 * index + n for n in range(count)))
        sites.append(one)
    uploaders = [one.uploader(None, provision=False) for one in sites]
    for turn in range(100):
        if turn % 3 == 0:
            server.days.faults.append(Fault(r"POST .*/values?$", 0, work_first=turn % 2 == 0))
        for uploader in uploaders:
            uploader.step()
    for uploader in uploaders:
        work(uploader)
    for name in ("t", "h"):
        got = server.values("pond-7", name)
        for index, count in enumerate(counts):
            mine = [value for value in got if value // 1000 == index]  # type: ignore[operator]
            assert mine == [1000 * index + n for n in range(count)]
    for one in sites:
        one.close()


def test_sensor_that_others_flood_is_parked_and_not_guessed_about(
    site: Site, server: Waziup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waziup_sink, "MAX_ROWS", 500)
    site.put_values("t", 0)
    uploader = site.uploader()
    work(uploader)
    site.put_values("t", 1, 2)
    server.days.faults.append(Fault(r"POST .*/values$", 0))
    work(uploader, lambda: len(server.days.pushes()) == 2)
    others_write(server)
    work(uploader)
    (held,) = parked(site.store)
    assert "has got more than 500 values from others" in str(held.why)
    assert Queue(site.store, "waziup").counts().parked == 2
