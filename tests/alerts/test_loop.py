"""An outage is told once, over restarts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from threading import Event, Thread

import pytest
from msgspec.structs import replace

from lora_post.alerts.book import CLEAR_AFTER_US
from lora_post.alerts.loop import LOOK_EVERY_S, AlertLoop
from lora_post.alerts.senders import Webhook
from lora_post.config.alerts import WebhookConfig
from lora_post.errors import Problem, SpoolError
from lora_post.observed.carried import Quiet
from lora_post.observed.run_state import Disk, InputState, RunState
from lora_post.observed.site_state import SiteState
from lora_post.spool.facts import Facts
from lora_post.spool.spool_file import SpoolFile
from tests.support.alerts import HOUR_US, LIMITS, WELL, webhook
from tests.support.build import NOON_US, device
from tests.support.command import wait_until


@pytest.fixture
def spool_file(tmp_path: Path) -> Iterator[SpoolFile]:
    with closing(SpoolFile(tmp_path / "spool.db")) as spool_file:
        yield spool_file


def restarted(spool_file: SpoolFile, look: Callable[[], RunState], url: str) -> AlertLoop:
    sender = Webhook(WebhookConfig(url, None))
    return AlertLoop(SiteState([]), look, [sender], Facts(spool_file, "alerts"))


def test_watch_tells_of_an_outage_once_and_of_its_end_once_also_across_a_restart(spool_file: SpoolFile) -> None:
    state = replace(WELL, disk=Disk(1 << 20, 1 << 31, 0))

    def look() -> RunState:
        return state

    with webhook() as (url, got):
        for _ in range(3):  # restarts
            alerts = restarted(spool_file, look, url)
            for step in range(10):
                state = replace(state, now_us=state.now_us + int(LOOK_EVERY_S * 1e6))
                alerts.step(step * LOOK_EVERY_S)
            assert list(alerts.raised) == ["disk"]
            assert alerts.raised["disk"].fix.startswith("delete what is not needed")
        state = replace(state, disk=WELL.disk)
        for step in range(30):
            state = replace(state, now_us=state.now_us + int(LOOK_EVERY_S * 1e6))
            alerts.step(1000 + step * LOOK_EVERY_S)
        assert alerts.raised == {}
    assert [(len(message["raised"]), len(message["cleared"])) for message, _ in got] == [(1, 0), (0, 1)]


def test_alerts_of_version_0_1_0_are_still_raised(spool_file: SpoolFile) -> None:
    kept = [{"key": "disk", "text": "disk full; make room", "raised_us": NOON_US, "cleared_us": 0}]
    Facts(spool_file, "alerts").remember("raised", json.dumps(kept))
    alerts = restarted(spool_file, lambda: WELL, "http://127.0.0.1:1")
    assert alerts.raised == {"disk": Problem("disk full; make room")}


def test_watch_waits_longer_each_time_a_message_cannot_be_sent(spool_file: SpoolFile) -> None:
    state = replace(WELL, disk=Disk(1 << 20, 1 << 31, 0))

    def look() -> RunState:
        return state

    with webhook(503) as (url, got):
        alerts = restarted(spool_file, look, url)
        for second in range(0, 3600, 30):
            state = replace(state, now_us=WELL.now_us + second * 1_000_000)
            alerts.step(second)
    assert 5 < len(got) < 20


def test_what_was_not_told_before_a_restart_is_told_after_it_with_the_right_times(spool_file: SpoolFile) -> None:
    state = replace(WELL, disk=Disk(1 << 20, 1 << 31, 0))

    def look() -> RunState:
        return state

    with webhook(503) as (url, _):
        alerts = restarted(spool_file, look, url)
        for minute in range(3):
            state = replace(state, now_us=WELL.now_us + minute * 60_000_000)
            alerts.step(minute * 60)
    day_us = 24 * HOUR_US
    # It starts in 1970, and the wall clock is set.
    state = replace(state, started_us=HOUR_US, now_us=2 * HOUR_US, ahead_us=WELL.now_us + day_us)
    with webhook() as (url, got):
        restarted(spool_file, look, url).step(0)
    [(message, _)] = got
    assert [alert["key"] for alert in message["raised"]] == ["disk"]
    assert message["raised"][0]["raised"] == "2026-03-01T13:00:00Z"


def test_alerts_go_on_when_a_look_fails_and_end_in_order(
    spool_file: SpoolFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lora_post.alerts.loop.LOOK_EVERY_S", 0.01)
    looks: list[int] = []

    def look() -> RunState:
        looks.append(1)
        if len(looks) > 1:
            raise SpoolError("spool: unable to open database file")
        return WELL

    alerts, stop = restarted(spool_file, look, "http://127.0.0.1:1"), Event()
    thread = Thread(target=alerts.run, args=(stop,))
    thread.start()
    wait_until(lambda: len(looks) > 4, "the alerts have ended")
    stop.set()
    thread.join()  # an exception of the thread fails the test


class Rows:
    """What is written of alerts, as rows of the spool, and what was written since the last look."""

    def __init__(self, spool_file: SpoolFile) -> None:
        self._spool_file = spool_file
        self._before = self._all()

    def _all(self) -> set[tuple[str, str]]:
        return set(self._spool_file.rows("SELECT what, value FROM known WHERE server = 'alerts'"))

    def new(self) -> set[str]:
        before, self._before = self._before, self._all()
        return {what for what, _ in self._before ^ before} - {"carried"}


def test_alert_that_comes_and_goes_is_written_without_those_that_stand(spool_file: SpoolFile) -> None:
    field = [device(f"field-{number}", address=number) for number in range(20)]
    state = replace(WELL, now_us=WELL.started_us + LIMITS.silent_us + 1)
    state = replace(state, inputs=(InputState("stdin", state.now_us),))

    def look() -> RunState:
        return state

    nobody = Webhook(WebhookConfig("http://127.0.0.1:1", None))
    alerts = AlertLoop(SiteState(field), look, [nobody], Facts(spool_file, "alerts"))
    rows = Rows(spool_file)
    alerts.step(0)
    assert len(alerts.raised) == 20
    assert len(rows.new()) == 60  # raised, to be told, how long it has been silent
    state = replace(state, disk=Disk(1 << 20, 1 << 31, 0))
    alerts.step(1)
    assert rows.new() == {"raised disk", "news webhook disk"}
    again = AlertLoop(SiteState(field), look, [], Facts(spool_file, "alerts"))
    assert again.raised == alerts.raised
    state = replace(state, disk=WELL.disk, now_us=state.now_us + CLEAR_AFTER_US)
    alerts.step(2)
    state = replace(state, now_us=state.now_us + CLEAR_AFTER_US)
    alerts.step(3)
    assert rows.new() == {"raised disk", "news webhook disk"}
    assert "disk" not in alerts.raised


def test_more_than_a_thousand_alerts_are_all_raised(spool_file: SpoolFile) -> None:
    field = [device(f"field-{number}", address=number) for number in range(1500)]
    state = replace(WELL, now_us=WELL.started_us + LIMITS.silent_us + 1)
    state = replace(state, inputs=(InputState("stdin", state.now_us),))
    alerts = AlertLoop(SiteState(field), lambda: state, [], Facts(spool_file, "alerts"))
    alerts.step(0)
    assert len(alerts.raised) == 1500
    assert len(AlertLoop(SiteState(field), lambda: state, [], Facts(spool_file, "alerts")).raised) == 1500


def test_spool_that_takes_nothing_is_told_once_and_written_once_it_does(
    spool_file: SpoolFile, caplog: pytest.LogCaptureFixture
) -> None:
    """A full disk was told at each look, every half minute."""
    low = replace(WELL, disk=Disk(1 << 20, 1 << 31, 0))
    alert_loop = AlertLoop(SiteState([]), lambda: low, [], Facts(spool_file, "alerts"))
    spool_file.db.execute("PRAGMA query_only = ON")
    for second in range(5):
        alert_loop.step(float(second))
    assert [each for each in caplog.messages if "readonly" in each] == [
        f"cannot write down the alerts: spool {spool_file.path}: attempt to write a readonly database; "
        "see that the disk is not full and can be written"
    ]
    spool_file.db.execute("PRAGMA query_only = OFF")
    alert_loop.step(5.0)
    assert AlertLoop(SiteState([]), lambda: low, [], Facts(spool_file, "alerts")).raised == alert_loop.raised != {}


def test_devices_that_are_gone_and_what_earlier_versions_wrote_is_put_in_order(spool_file: SpoolFile) -> None:
    facts = Facts(spool_file, "alerts")
    kept = [{"key": "disk", "text": "disk full", "raised_us": NOON_US, "cleared_us": 0}]
    facts.remember("raised", json.dumps(kept))
    facts.remember("carried", json.dumps({"devices": {"pond-7": [5 * HOUR_US, HOUR_US], "gone": [1, 1]}}))
    alerts = AlertLoop(SiteState([device()]), lambda: WELL, [], facts)
    assert alerts.complete(WELL).before.quiet("pond-7") == Quiet(5 * HOUR_US, HOUR_US)
    alerts.step(0)
    stored = Facts(spool_file, "alerts").recall()
    assert stored.keys() == {"carried", "device pond-7", "raised disk", "raised silent:pond-7"}
    again = AlertLoop(SiteState([device()]), lambda: WELL, [], Facts(spool_file, "alerts"))
    listened_us = WELL.now_us - WELL.started_us
    assert again.complete(WELL).before.quiet("pond-7") == Quiet(5 * HOUR_US + listened_us, HOUR_US)
