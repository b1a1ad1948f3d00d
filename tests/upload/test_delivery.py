"""Spool and uploader, with the Waziup sink against a real server: order, doubt, trouble, hold and schedule."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from functools import partial
from itertools import pairwise
from pathlib import Path
from threading import Event
from typing import ClassVar

import pytest
from msgspec.structs import replace

from lora_post.clocks.scale import now_us
from lora_post.config.upload import UploadRules, Window
from lora_post.model import Reading
from lora_post.net.http_client import Answer
from lora_post.sinks.waziup.client import WaziupClient
from lora_post.sinks.waziup.sink import LOOKS_BACK
from lora_post.spool.lanes import parked
from lora_post.spool.queue import Queue
from lora_post.spool.tallies import tallies
from lora_post.spool.upkeep import release
from tests.support.build import NOON_US, device, report
from tests.support.command import PATIENCE_S, wait_until
from tests.support.lanes import ready_lanes
from tests.support.upload_site import ATTENTIVE, IMPATIENT, Site, end, running, work
from tests.support.waziup import CuttingProxy, Fault, Waziup


def test_backlog_goes_out_in_batches_in_order(site: Site, server: Waziup) -> None:
    site.put_values("t", *range(250))
    site.put_values("h", *range(30))
    work(site.uploader())
    assert server.values("pond-7", "t") == list(range(250))
    assert server.values("pond-7", "h") == list(range(30))
    assert len(server.days.pushes()) == 4


def test_parked_readings_go_out_once_they_are_released(site: Site, server: Waziup) -> None:
    server.call("POST", "/devices", user="alice", json={"id": "pond-7"})
    site.put_values("t", 1, 2)
    uploader = site.uploader()
    work(uploader)
    server.call("DELETE", "/devices/pond-7")
    assert release(site.store, None, None) == 2
    work(uploader)
    assert server.values("pond-7", "t") == [1, 2]


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
def test_passing_trouble_is_retried_and_nothing_doubled(site: Site, server: Waziup, status: int) -> None:
    server.days.faults.append(Fault(r"POST .*/values$", status, times=3))
    site.put_values("t", 1, 2, 3)
    work(site.uploader())
    assert server.values("pond-7", "t") == [1, 2, 3]


@pytest.mark.usefixtures("no_waiting")
def test_values_stored_before_a_500_are_not_sent_again(site: Site, server: Waziup) -> None:
    server.days.faults.append(Fault(r"POST .*/values$", 500, times=2, work_first=True))
    site.put_values("t", *range(150))
    work(site.uploader())
    assert server.values("pond-7", "t") == list(range(150))


@pytest.mark.usefixtures("no_waiting")
def test_sensor_that_was_parked_in_doubt_before_a_kill_is_asked_about_when_it_is_released(
    site: Site, server: Waziup
) -> None:
    server.days.faults.append(Fault(r"POST .*/values$", 500, work_first=True))
    server.days.faults.append(Fault(r"GET .*/values$", 403, times=4))
    site.put_values("t", 1, 2, 3)
    work(site.uploader())
    assert len(parked(site.store)) == 1
    after_the_kill = site.uploader()
    release(site.store, None, None)
    work(after_the_kill)
    assert server.values("pond-7", "t") == [1, 2, 3]


@pytest.mark.usefixtures("no_waiting")
def test_parked_sensor_is_tried_again_by_itself_after_a_day(site: Site, server: Waziup) -> None:
    """Somebody else has deleted the device of that name meanwhile."""
    server.call("POST", "/devices", user="alice", json={"id": "pond-7", "visibility": "private"})
    site.put_values("t", 1, 2)
    work(site.uploader())
    assert len(parked(site.store)) == 1
    server.call("DELETE", "/devices/pond-7", user="alice")
    work(site.uploader())
    assert len(parked(site.store)) == 1
    with site.store.transaction() as db:
        db.execute("UPDATE lane SET parked_us = parked_us - ?", (int(site.policy.parked_for_s * 1e6),))
    uploader = site.uploader()
    uploader.step()
    work(uploader)
    assert server.values("pond-7", "t") == [1, 2]


@pytest.mark.usefixtures("no_waiting")
def test_sensor_that_is_parked_in_doubt_is_asked_about_when_it_is_released(site: Site, server: Waziup) -> None:
    """A server that does not believe our token for a while, right after a confirmation was lost."""
    server.days.faults.append(Fault(r"POST .*/values$", 500, work_first=True))
    server.days.faults.append(Fault(r"GET .*/values$", 403, times=4))
    site.put_values("t", 1, 2, 3)
    uploader = site.uploader()
    work(uploader)
    assert [held.readings for held in parked(site.store)] == [3]
    release(site.store, None, None)
    work(uploader)
    assert server.values("pond-7", "t") == [1, 2, 3]


def test_values_whose_confirmation_was_lost_are_not_sent_again(tmp_path: Path, server: Waziup) -> None:
    proxy = CuttingProxy(server.url)
    site = Site(tmp_path, proxy.url, IMPATIENT)
    try:
        site.put_values("t", 1)
        uploader = site.uploader()
        work(uploader)
        for index in range(2, 6):
            proxy.answers_to_take = 1
            site.put(report(Reading("t", index), time_us=NOON_US + index * 60_000_000))
            work(uploader)
        assert server.values("pond-7", "t") == [1, 2, 3, 4, 5]
    finally:
        site.close()
        proxy.close()


@pytest.mark.usefixtures("no_waiting")
def test_after_a_kill_the_server_is_asked_before_anything_is_sent_again(site: Site, server: Waziup) -> None:
    site.policy = replace(site.policy, share_write_for_s=1e9)
    site.put_values("t", 1, 2, 3)
    killed = site.uploader()
    work(killed, lambda: bool(server.days.pushes()))
    assert len(ready_lanes(site.queue())) == 1
    work(site.uploader())
    assert server.values("pond-7", "t") == [1, 2, 3]


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("older", [0, 40])
def test_confirmed_batches_that_a_kill_left_in_the_queue_are_not_sent_again(
    site: Site, server: Waziup, older: int
) -> None:
    site.policy = replace(site.policy, share_write_for_s=1e9)
    site.put_values("t", *range(470))
    killed = site.uploader()
    work(killed, lambda: len(server.days.pushes()) == 4)
    assert site.queue().counts().queued == 470
    for index in range(older):
        site.put(report(Reading("t", 1000 + index), time_us=NOON_US - 86_400_000_000 + index))
    work(site.uploader())
    values = server.values("pond-7", "t")
    assert values == [*range(400), *range(1000, 1000 + older), *range(400, 470)]


def test_no_more_is_confirmed_and_queued_than_can_be_found_again(site: Site, server: Waziup) -> None:
    site.policy = replace(site.policy, share_write_for_s=1e9)
    site.put_values("t", *range(1200))
    uploader = site.uploader()
    for sent in range(1, 12):
        work(uploader, lambda sent=sent: len(server.days.pushes()) == sent)  # type: ignore[misc]
        settled = 1200 - site.queue().counts().queued
        assert sent * 100 - settled <= LOOKS_BACK - site.policy.max_batch
    work(uploader)
    assert server.values("pond-7", "t") == list(range(1200))


def test_requests_of_a_moment_share_one_write(site: Site, server: Waziup) -> None:
    site.policy = replace(site.policy, share_write_for_s=1e9)

    class Counting(Queue):
        writes: ClassVar[list[int]] = []

        def settle(self, times_us: Mapping[int, Iterable[int]], *more: int | None) -> None:
            super().settle(times_us, *more)
            self.writes.append(len(times_us))

    uploader = site.uploader(queue=Counting(site.store, "waziup"))
    site.put(report(Reading("t", 1), Reading("h", 2), Reading("p", 3)))
    work(uploader, lambda: len(server.days.pushes()) == 3)
    assert site.metrics.total("delivered") == 0
    work(uploader)
    assert Counting.writes == [3]
    assert site.metrics.total("delivered") == 3


def test_frames_that_follow_each_other_share_one_write_while_the_loop_runs(site: Site, server: Waziup) -> None:
    site.policy = replace(site.policy, share_write_for_s=1e9, idle_s=0.05)
    uploader = site.uploader()
    with running(uploader):
        for number in range(1, 4):
            site.put(report(Reading("t", number), time_us=NOON_US + number * 1_000_000))
            wait_until(partial(has_arrived, server, number), "it is not sent")
        assert site.metrics.total("delivered") == 0
    assert site.metrics.total("delivered") == 3  # what is confirmed leaves the queue at the end
    assert server.values("pond-7", "t") == [1, 2, 3]


def has_arrived(server: Waziup, number: int) -> bool:
    return len(server.days.pushes()) == number


@pytest.mark.usefixtures("no_waiting")
def test_spool_that_cannot_be_written_leaves_both_batches_in_doubt(site: Site, server: Waziup) -> None:
    """The first is confirmed but queued, of the second nothing is known."""
    site.policy = replace(site.policy, share_write_for_s=1e9)
    site.put_values("t", *range(150))
    uploader = site.uploader()
    work(uploader, lambda: len(server.days.pushes()) == 1)
    server.days.faults.append(Fault(r"POST .*/values$", 500, work_first=True))
    site.store.db.execute("PRAGMA query_only=ON")
    while uploader.step() == 0 or len(server.days.pushes()) < 2:
        pass
    Event().wait(uploader.step())
    uploader.step()
    assert site.queue().counts().queued == 150
    site.store.db.execute("PRAGMA query_only=OFF")
    work(uploader)
    assert server.values("pond-7", "t") == list(range(150))


def test_nothing_is_sent_or_asked_while_confirmed_readings_cannot_leave_the_queue(
    site: Site, server: Waziup, caplog: pytest.LogCaptureFixture
) -> None:
    site.policy = replace(IMPATIENT, share_write_for_s=0.0)
    site.put_values("t", *range(150))
    uploader = site.uploader()
    work(uploader, lambda: len(server.days.pushes()) == 1)
    site.store.db.execute("PRAGMA query_only=ON")
    seen = len(server.days.seen)
    for _ in range(20):
        Event().wait(uploader.step())
    assert len(server.days.seen) == seen
    assert len([message for message in caplog.messages if "readonly" in message]) == 1
    site.store.db.execute("PRAGMA query_only=OFF")
    work(uploader)
    assert server.values("pond-7", "t") == list(range(150))


def test_retry_after_is_honoured(site: Site, server: Waziup) -> None:
    server.days.faults.append(Fault(r"POST .*/value$", 429, headers=[(b"retry-after", b"1234")]))
    site.put_values("t", 1)
    uploader = site.uploader()
    while not server.days.pushes():
        uploader.step()
    assert 1200 < uploader.step() <= 1234


@pytest.mark.usefixtures("no_waiting")
def test_one_refused_value_steps_aside_and_the_others_arrive_once(site: Site, server: Waziup) -> None:
    site.put_values("t", *range(40))
    uploader = site.uploader()
    too_long = report(Reading("t", "x" * 1_100_000), time_us=NOON_US + 16_500_000)
    site.put(too_long)
    work(uploader)
    assert server.values("pond-7", "t") == list(range(40))
    (held,) = parked(site.store)
    assert (held.readings, "(status 413)" in str(held.why)) == (1, True)


@pytest.mark.usefixtures("no_waiting")
def test_sensor_whose_every_value_is_refused_is_parked_after_a_few(site: Site, server: Waziup) -> None:
    server.days.faults.append(Fault(r"POST .*/t/values?$", 400, times=1000, body=b"Error from Orion: no"))
    site.put_values("t", *range(300))
    site.put_values("h", 1)
    work(site.uploader())
    assert server.values("pond-7", "h") == [1]
    assert sum(held.readings for held in parked(site.store)) == 300
    assert len(server.days.pushes()) < 15


def test_server_that_is_away_costs_nothing_but_time(tmp_path: Path) -> None:
    site = Site(tmp_path, "http://127.0.0.1:9/api/v2")
    site.put_values("t", 1)
    uploader = site.uploader()
    assert uploader.step() == 0.0
    assert 0 < uploader.step() <= 1.0
    assert "refused" in str(uploader.last_error)
    assert not uploader.is_idle()
    site.close()


def test_two_processes_on_one_spool_do_not_send_everything_twice(site: Site, server: Waziup) -> None:
    other = Site(site.path.parent, server.url, IMPATIENT)
    first, second = site.uploader(), other.uploader()
    site.put_values("t", *range(5))
    assert second.step() > 0
    assert server.days.seen == []
    work(first)
    site.store.close()
    other.put_values("h", 7)
    work(second)
    assert server.values("pond-7", "t") == list(range(5))
    assert server.values("pond-7", "h") == [7]
    other.close()


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("older", [0, 40, 300])
def test_readings_under_way_at_a_kill_are_found_behind_older_ones(site: Site, server: Waziup, older: int) -> None:
    """A capture of last week is replayed after the power cut."""
    site.policy = replace(site.policy, share_write_for_s=1e9)
    site.put_values("t", *range(130))
    killed = site.uploader()
    work(killed, lambda: bool(server.days.pushes()))
    for index in range(older):
        site.put(report(Reading("t", 1000 + index), time_us=NOON_US - 86_400_000_000 + index))
    work(site.uploader())
    values = server.values("pond-7", "t")
    assert sorted(values) == [*range(130), *range(1000, 1000 + older)]  # type: ignore[type-var]


@pytest.mark.usefixtures("no_waiting")
def test_defect_over_one_sensor_parks_it_and_does_not_hold_up_the_others(
    site: Site, server: Waziup, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(WaziupClient):
        def post_values(self, device_id: str, *arguments: object) -> Answer:
            assert device_id != "pond-7", "one that nobody thought of"
            return super().post_values(device_id, *arguments)  # type: ignore[arg-type]

    site.put_values("t", *range(5))
    site.put_values("t", 3, device_id="pond-8")
    site.put_values("t", 4, device_id="pond-9")
    with running(site.uploader(client=Broken(server.url))):
        deadline = time.monotonic() + PATIENCE_S
        while not parked(site.store) and time.monotonic() < deadline:
            Event().wait(0.02)
    assert server.values("pond-9", "t") == [4]
    assert "a defect" in caplog.text
    (held,) = parked(site.store)
    assert (held.device, held.readings) == ("pond-7", 5)
    assert "one that nobody thought of" in str(held.why)


def test_damaged_row_of_the_queue_does_not_hold_up_its_neighbours(
    site: Site, server: Waziup, caplog: pytest.LogCaptureFixture
) -> None:
    site.put_values("t", *range(6))
    rows = (
        (NOON_US + 1, b"2\xb7.2"),
        (NOON_US + 2, "text"),
        (NOON_US + 0.5, b"1"),
        (-(10**17), b"1"),
        (1 << 60, b"1"),
    )
    with site.store.transaction() as db:
        db.executemany("INSERT INTO reading VALUES (1, ?, ?)", rows)
    work(site.uploader())
    assert server.values("pond-7", "t") == list(range(6))
    assert caplog.text.count("is damaged and is dropped") == 5
    assert tallies(site.store.db)["damaged"] == 5


@pytest.mark.usefixtures("no_waiting")
def test_defect_on_the_way_back_leaves_a_doubt(site: Site, server: Waziup) -> None:
    class Broken(WaziupClient):
        is_broken = True

        def post_values(self, *arguments: object) -> Answer:
            answer = super().post_values(*arguments)  # type: ignore[arg-type]
            broken, self.is_broken = self.is_broken, False
            assert not broken
            return answer

    site.put_values("t", 1)
    uploader = site.uploader(client=Broken(server.url))
    with pytest.raises(AssertionError):
        work(uploader)
    work(uploader)
    assert server.values("pond-7", "t") == [1]


def test_sensor_that_cannot_be_pushed_is_tried_less_and_less_often(site: Site, server: Waziup) -> None:
    """Although the server answers each time when it is asked what it has."""
    site.policy = replace(ATTENTIVE, ask_after_s=0.0, late_s=0.0, late_per_reading_s=0.0)
    now, pushed_at = 0.0, []
    site.monotonic = lambda: now
    server.days.faults.append(Fault(r"POST .*/value$", 500, times=5))
    site.put_values("t", 1)
    uploader = site.uploader()
    while not uploader.is_idle():
        before = len(server.days.pushes())
        wait_s = uploader.step()
        pushed_at += [now] * (len(server.days.pushes()) - before)
        now += wait_s
    gaps = [later - earlier for earlier, later in pairwise(pushed_at)]
    assert all(2**n / 2 <= gap <= 2**n for n, gap in enumerate(gaps))
    assert len(gaps) == 5
    assert server.values("pond-7", "t") == [1]


@pytest.mark.usefixtures("no_waiting")
def test_outage_is_said_once_whatever_sensor_it_is_noticed_for(
    site: Site, server: Waziup, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("t", "h", "p"):
        site.put_values(name, 1)
    server.days.faults.append(Fault(r"/values?\b", 503, times=6))
    work(site.uploader())
    assert sum("waiting to send" in message for message in caplog.messages) == 1


def test_device_with_many_sensors_does_not_hold_up_the_others(site: Site, server: Waziup) -> None:
    """Anybody can invent sensors for a device that sends text without a MIC."""
    site.put(report(*[Reading(f"s{index}", index) for index in range(30)]))
    site.put_values("t", 1, device_id="pond-8")
    site.put_values("t", 2, device_id="pond-9")
    work(site.uploader())
    turns = [line.split("/")[2] for line in server.days.pushes()]
    assert sorted(turns[:3]) == ["pond-7", "pond-8", "pond-9"]
    assert turns.count("pond-7") == 30


def test_server_that_hangs_over_one_sensor_holds_up_that_sensor_alone(
    site: Site, server: Waziup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lora_post.net.bounded_session.READ_TIMEOUT_S", 2.0)
    monkeypatch.setattr("lora_post.net.http_client.READ_TIMEOUT_S", 2.0)
    site.policy = replace(ATTENTIVE, rest_after_trouble=1000.0)
    uploader = site.uploader()
    site.put_values("good", 0)
    work(uploader)
    server.days.hanging = r"/sensors/bad/value"
    for index in range(1, 30):
        site.put(report(Reading("bad", index), Reading("good", index), time_us=NOON_US + index * 60_000_000))
        while len(server.values("pond-7", "good")) <= index:
            assert uploader.step() < 0.5  # no pause but the sensor's own
    assert sum("bad" in line for line in server.days.seen) == 1
    server.days.hanging = ""
    site.monotonic = lambda: time.monotonic() + 10_000.0
    work(uploader)
    assert server.values("pond-7", "bad") == list(range(1, 30))


def test_two_sensors_in_a_row_that_get_no_answer_are_trouble_with_the_server(site: Site, server: Waziup) -> None:
    server.days.faults.append(Fault(r"POST .*/value$", 503, times=2))
    for name in ("a", "b", "c"):
        site.put_values(name, 1)
    uploader = site.uploader()
    while len(server.days.pushes()) < 2:
        assert uploader.step() == 0.0
    assert uploader.step() > 0.0
    assert len(server.days.pushes()) == 2


def test_fresh_reading_goes_out_in_the_midst_of_a_backlog(site: Site, server: Waziup) -> None:
    for name in ("a", "b", "c"):
        site.put_values(name, *range(250))
    uploader = site.uploader()
    work(uploader, lambda: len(server.days.pushes()) == 2)
    site.put(report(Reading("t", 21.5), time_us=now_us(), of=device("pond-8")))
    work(uploader)
    assert server.values("pond-8", "t") == [21.5]
    assert "/devices/pond-8/" in server.days.pushes()[2]
    assert server.values("pond-7", "a") == list(range(250))


def test_held_readings_share_a_request_for_each_sensor(site: Site, server: Waziup) -> None:
    start_us = now_us()
    site.rules = UploadRules(hold_s=600.0)
    site.clock = lambda: start_us / 1e6
    uploader = site.uploader()
    for minute in range(11):
        readings = (Reading("t", minute), Reading("h", minute))
        site.put(report(*readings, time_us=start_us + minute * 60_000_000))
        site.clock = lambda minute=minute: start_us / 1e6 + minute * 60  # type: ignore[misc]
        assert uploader.step() > 0
    assert server.days.pushes() == []
    site.clock = lambda: start_us / 1e6 + 611
    work(uploader)
    assert server.days.pushes() == ["POST /devices/pond-7/sensors/t/values", "POST /devices/pond-7/sensors/h/values"]
    assert server.values("pond-7", "t") == list(range(11))


def test_full_batch_is_not_held(site: Site, server: Waziup) -> None:
    start_us = now_us()
    site.rules = UploadRules(hold_s=600.0)
    uploader = site.uploader()
    for index in range(100):
        site.put(report(Reading("t", index), time_us=start_us + index))
    work(uploader)
    assert server.values("pond-7", "t") == list(range(100))


def test_held_readings_stay_in_the_spool_at_a_stop_and_go_out_later(site: Site, server: Waziup) -> None:
    site.rules = UploadRules(hold_s=600.0)
    site.put(report(Reading("t", 1), time_us=now_us()))
    uploader = site.uploader()
    with running(uploader):
        pass
    assert server.days.pushes() == []
    site.rules = UploadRules()
    work(site.uploader())
    assert server.values("pond-7", "t") == [1]


def test_nothing_at_all_is_sent_while_the_schedule_forbids_it(site: Site, server: Waziup) -> None:
    noon = time.mktime((2026, 3, 1, 12, 0, 0, 0, 0, -1))
    site.rules = UploadRules((Window(22 * 3600, 6 * 3600),))
    site.clock = lambda: noon
    site.put_values("t", 1)
    uploader = site.uploader()
    assert uploader.step() > 0
    assert uploader.is_closed()
    assert uploader.held == "[upload] schedule: it is not the time to send"
    assert server.days.seen == []
    site.clock = lambda: noon + 10 * 3600
    work(uploader)
    assert server.values("pond-7", "t") == [1]
    assert not uploader.is_closed()
    assert uploader.held == ""


def test_uploader_says_each_time_round_that_it_gets_on_and_how_long_it_only_waits(site: Site) -> None:
    stop, wake = Event(), Event()
    told: list[float] = []

    def alive(wait_s: float) -> None:
        told.append(wait_s)
        wake.set()  # at once
        if len(told) > 20:
            stop.set()

    site.uploader().run(stop, wake, alive)
    assert told[0] == 0.0
    assert max(told) > 0.0


def test_bytes_of_a_day_are_not_exceeded_and_the_rest_goes_out_the_next_day(tmp_path: Path, server: Waziup) -> None:
    meter = CuttingProxy(server.url)
    site = Site(tmp_path, meter.url)
    noon = time.mktime((2026, 3, 1, 12, 0, 0, 0, 0, -1))
    site.rules = UploadRules(max_bytes_per_day=70_000)
    site.clock = lambda: noon
    site.put_values("t", *range(1200))
    uploader = site.uploader()
    while not uploader.is_closed():
        uploader.step()
    sent = len(server.values("pond-7", "t"))
    assert 0 < sent < 1200
    assert 30_000 < meter.bytes <= 70_000
    end(uploader)
    restarted = site.uploader()
    assert restarted.step() > 0
    end(restarted)
    assert len(server.values("pond-7", "t")) == sent
    for day in range(1, 10):
        site.clock = lambda day=day: noon + day * 86_400  # type: ignore[misc]
        again = site.uploader()
        while not again.is_closed() and not again.is_idle():
            again.step()
        end(again)
    assert server.values("pond-7", "t") == list(range(1200))
    site.close()
    meter.close()
