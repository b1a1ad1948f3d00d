"""A server that acts on a request long after everybody has given it up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
from msgspec.structs import replace

from lora_post.model import Reading
from lora_post.spool.facts import Facts
from lora_post.spool.queue import DOUBTS, RUNNING
from tests.support.build import NOON_US, report
from tests.support.lanes import ready_lanes
from tests.support.upload_site import IMPATIENT, Site, end, work
from tests.support.waziup import Fault, Waziup

LATE_S = 1.0
"""How long this uploader believes that a server may be at work on a request."""
STILL_S = 0.8 * LATE_S
"""When the server acts."""


@pytest.fixture
def site(tmp_path: Path, server: Waziup) -> Iterator[Site]:
    here = Site(tmp_path, server.url, replace(IMPATIENT, late_s=LATE_S))
    yield here
    here.close()


def looks(server: Waziup, sensor: str = "") -> list[str]:
    return [line for line in server.days.seen if line.startswith("GET") and line.endswith(f"{sensor}/values")]


def pushes(server: Waziup, sensor: str) -> list[str]:
    return [line for line in server.days.pushes() if f"/sensors/{sensor}/" in line]


def only_waits(site: Site, sensor: str) -> bool:
    """Return whether nothing else is queued; the sensor's own are gone, too, where the server acts before we look."""
    return {lane.name for lane in ready_lanes(site.queue())} <= {sensor}


def act_late(server: Waziup, status: int, sensor: str = "t") -> None:
    server.days.faults.append(Fault(rf"POST .*/{sensor}/values?$", status, late_s=STILL_S, latest_s=LATE_S))


@pytest.mark.parametrize(
    ("status", "count"),
    [
        pytest.param(status, count, marks=[] if (status, count) in ((0, 1), (504, 3)) else [pytest.mark.long])
        for status in (0, 500, 502, 503, 504)
        for count in (1, 3)
    ],
)
def test_batch_that_is_stored_late_is_not_sent_again_and_its_sensor_waits(
    site: Site, server: Waziup, status: int, count: int
) -> None:
    uploader = site.uploader()
    site.put_values("t", *range(count))
    site.put_values("h", 7)
    act_late(server, status)
    work(uploader, lambda: only_waits(site, "t"))
    assert site.queue().counts().queued > 0 or server.values("pond-7", "t")  # it waits, or the server has acted
    site.put(report(Reading("t", 99), time_us=NOON_US + 60_000_000))
    work(uploader)
    assert server.values("pond-7", "t") == [*range(count), 99]


def test_other_sensors_go_on_while_one_waits(site: Site, server: Waziup) -> None:
    site.policy = replace(site.policy, late_s=3600.0)
    uploader = site.uploader()
    site.put_values("t", 1)
    server.days.faults.append(Fault(r"POST .*/t/value$", 0))  # it never acts
    work(uploader, lambda: len(looks(server)) == 1)
    for minute in range(1, 6):
        site.put(report(Reading("h", minute), Reading("t", minute), time_us=NOON_US + minute * 60_000_000))
        work(uploader, lambda: only_waits(site, "t"))
    assert len(looks(server)) == 1
    assert server.values("pond-7", "h") == [1, 2, 3, 4, 5]


def test_batch_that_never_arrived_costs_two_looks_and_then_goes_out(site: Site, server: Waziup) -> None:
    site.put_values("t", 1, 2, 3)
    server.days.faults.append(Fault(r"POST .*/values$", 0))
    passed_s = 0.0
    site.monotonic = lambda: passed_s
    uploader = site.uploader()
    while not uploader.is_idle():
        passed_s += uploader.step()
    assert len(looks(server)) == 2
    assert server.values("pond-7", "t") == [1, 2, 3]


def test_batch_of_which_everything_is_found_waits_no_longer(site: Site, server: Waziup) -> None:
    site.policy = replace(site.policy, late_s=3600.0)
    site.put_values("t", 1, 2, 3)
    server.days.faults.append(Fault(r"POST .*/values$", 0, work_first=True))
    work(site.uploader())
    assert (len(looks(server)), server.values("pond-7", "t")) == (1, [1, 2, 3])


def test_batch_that_is_stored_after_a_kill_is_not_sent_again(site: Site, server: Waziup) -> None:
    site.put_values("t", 1, 2, 3)
    site.put_values("h", 7)
    act_late(server, 0)
    killed = site.uploader()
    work(killed, lambda: bool(server.days.pushes()))
    server.days.seen.clear()
    work(site.uploader())
    assert len(looks(server)) == 2  # one a sensor
    assert (server.values("pond-7", "t"), server.values("pond-7", "h")) == ([1, 2, 3], [7])


def test_what_was_sent_before_the_first_kill_is_in_doubt_after_the_second(site: Site, server: Waziup) -> None:
    site.put_values("t", 1)
    act_late(server, 0)
    work(site.uploader(), lambda: bool(server.days.pushes()))
    site.uploader().step()
    work(site.uploader())
    assert server.values("pond-7", "t") == [1]


def test_process_that_is_killed_before_it_sends_leaves_no_doubt(site: Site, server: Waziup) -> None:
    site.policy = replace(site.policy, late_s=3600.0)
    site.put_values("t", 1)
    site.uploader()
    work(site.uploader())
    assert (looks(server), server.values("pond-7", "t")) == ([], [1])


def test_orderly_stop_leaves_only_the_sensor_in_doubt(site: Site, server: Waziup) -> None:
    site.put_values("t", 1)
    site.put_values("h", 7)
    uploader = site.uploader()
    act_late(server, 0)
    work(uploader, lambda: only_waits(site, "t"))
    site.put(report(Reading("h", 8), time_us=NOON_US + 60_000_000))
    end(uploader)
    server.days.seen.clear()
    restarted = site.uploader()
    work(restarted, lambda: only_waits(site, "t"))
    assert looks(server, "h") == []
    work(restarted)
    assert server.values("pond-7", "t") == [1]
    end(restarted)
    assert not {RUNNING, DOUBTS} & Facts(site.store, "waziup").recall().keys()


def test_waiting_goes_on_over_restarts_and_does_not_begin_anew(site: Site, server: Waziup) -> None:
    """Commands that end after a minute, one after the other, must come to the end of it."""
    site.policy = replace(site.policy, late_s=120.0)
    now = 1000.0
    site.monotonic = lambda: now
    site.put_values("t", 1)
    server.days.faults.append(Fault(r"POST .*/value$", 0))
    uploader = site.uploader()
    work(uploader, lambda: bool(server.days.pushes()))
    for _ in range(3):
        end(uploader)
        now += 45
        uploader = site.uploader()
        uploader.step()
    now += 1
    work(uploader)
    assert server.values("pond-7", "t") == [1]


def test_waiting_begins_anew_after_a_reboot(site: Site, server: Waziup, monkeypatch: pytest.MonkeyPatch) -> None:
    site.policy = replace(site.policy, late_s=120.0)
    now = 1000.0
    site.monotonic = lambda: now
    site.put_values("t", 1)
    server.days.faults.append(Fault(r"POST .*/value$", 0))
    uploader = site.uploader()
    work(uploader, lambda: bool(server.days.pushes()))
    end(uploader)
    monkeypatch.setattr("lora_post.upload.uploader.boot_id", lambda: "another boot")
    now = 5000.0
    uploader = site.uploader()
    assert uploader.step() > 0
    assert len(pushes(server, "t")) == 1
    now += 121
    work(uploader)
    assert server.values("pond-7", "t") == [1]


def test_trouble_in_making_a_sensor_ready_leaves_no_reading_in_doubt(site: Site, server: Waziup) -> None:
    site.policy = replace(site.policy, late_s=3600.0)
    site.put_values("t", 1)
    server.days.faults += [Fault(r"GET /devices/pond-7$", 500), Fault(r"POST /devices$", 0)]
    work(site.uploader())
    assert (looks(server), server.values("pond-7", "t")) == ([], [1])


def test_readings_that_come_in_among_those_in_doubt_go_out_once(site: Site, server: Waziup) -> None:
    site.put_values("t", 0, 1, 2)
    act_late(server, 0)
    uploader = site.uploader()
    work(uploader, lambda: bool(server.days.pushes()))
    site.put(report(Reading("t", 0.5), time_us=NOON_US + 500_000))
    work(uploader)
    # As a rule behind them; a busy machine may have come too late to be a late server.
    assert server.values("pond-7", "t") in ([0, 1, 2, 0.5], [0, 0.5, 1, 2])


def test_stop_waits_for_nothing_that_is_only_in_doubt(site: Site, server: Waziup) -> None:
    site.policy = replace(site.policy, late_s=3600.0)
    site.put_values("t", 1)
    server.days.faults.append(Fault(r"POST .*/value$", 0))  # it never acts
    uploader = site.uploader()
    work(uploader, lambda: bool(looks(server)))
    stop, wake = Event(), Event()
    stop.set()
    wake.set()
    uploader.run(stop, wake)
    assert DOUBTS in Facts(site.store, "waziup").recall()
