"""Alerts: what is wrong, when it is told, and to whom."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from lora_post.alerts.book import CLEAR_AFTER_US, Alert, AlertBook
from lora_post.alerts.carried import Carried, carry
from lora_post.alerts.loop import LOOK_EVERY_S, AlertLoop
from lora_post.alerts.message import as_json, body, subject
from lora_post.alerts.outbox import GATHER_US, Digest, Outbox
from lora_post.alerts.rules import SOON_US, Condition, conditions, span_text
from lora_post.alerts.senders import Email, Webhook
from lora_post.config.alerts import AlertLimits, EmailConfig, WebhookConfig
from lora_post.errors import Problem, Unavailable
from lora_post.model import Reading
from lora_post.observed.run_state import DestinationState, Disk, InputState, RunState
from lora_post.observed.site_state import SiteState
from lora_post.secret import Secret
from lora_post.spool.facts import Facts
from lora_post.spool.spool_file import SpoolFile
from tests.support.build import NOON_US, device, report
from tests.support.command import free_port

HOUR_US = 3_600_000_000
LIMITS = AlertLimits(3 * HOUR_US, 24 * HOUR_US, 24 * HOUR_US, 15, 2.5)
WELL = RunState(
    gateway="Farm",
    started_us=NOON_US,
    now_us=NOON_US + HOUR_US,
    inputs=(InputState("stdin", NOON_US + HOUR_US),),
    destinations=(DestinationState("waziup", 0, 0, 0, 0, 0),),
    disk=Disk(1 << 30, 1 << 31, 1 << 20),
    stalled=(),
    troubles={},
)
LATER = replace(WELL, now_us=NOON_US + 30 * HOUR_US)
RAISED = Alert("disk", "only 5 MB of the disk are free", NOON_US, 0)
CLEARED = replace(RAISED, cleared_us=NOON_US + 3 * HOUR_US)


def keys(runtime: RunState, site: SiteState | None = None, raised: tuple[str, ...] = ()) -> list[str]:
    devices = (site or SiteState([])).devices()
    return [condition.key for condition in conditions(runtime, devices, LIMITS, raised)]


@pytest.mark.parametrize(
    ("runtime", "expected"),
    [
        (WELL, []),
        (replace(WELL, inputs=(InputState("ttyUSB0", NOON_US, Problem("unplugged")),)), ["input:ttyUSB0"]),
        (LATER, ["no-frame"]),
        (replace(LATER, inputs=()), []),
        (replace(LATER, inputs=(InputState("stdin", LATER.now_us - 1),)), []),
        (
            replace(LATER, inputs=(), destinations=(DestinationState("waziup", 5, 0, 0, 1, 0),)),
            ["no-upload:waziup"],
        ),
        (replace(WELL, destinations=(DestinationState("waziup", 5, 0, 0, 1, 0, Problem("no route")),)), []),
        (replace(WELL, destinations=(DestinationState("waziup", 0, 2, 0, 0, 0),)), ["parked:waziup"]),
        (
            replace(WELL, stalled=("serial",), troubles={"spool": Problem("disk full")}),
            ["stalled:serial", "trouble:spool"],
        ),
        (replace(WELL, disk=Disk(1 << 20, 1 << 31, 0)), ["disk"]),
    ],
)
def test_rules_name_what_is_wrong(runtime: RunState, expected: list[str]) -> None:
    assert keys(runtime) == expected


def test_device_is_silent_after_four_times_its_usual_distance_or_a_day() -> None:
    site = SiteState([device(), device("never", address=1)])
    for step in range(4):
        site.hear(report(Reading("t", 1), time_us=NOON_US + step * HOUR_US))
    last_us = NOON_US + 3 * HOUR_US
    inputs = (InputState("stdin", NOON_US + 100 * HOUR_US),)
    at = replace(WELL, inputs=inputs, now_us=last_us + 4 * HOUR_US)
    assert keys(at, site) == []
    assert keys(replace(at, now_us=at.now_us + 1), site) == ["silent:pond-7"]
    assert keys(replace(at, now_us=NOON_US + 25 * HOUR_US), site) == ["silent:pond-7", "silent:never"]


def test_silence_goes_on_over_restarts_and_only_listening_counts() -> None:
    site = SiteState([device()])
    for step in range(4):
        site.hear(report(Reading("t", 1), time_us=NOON_US + step * HOUR_US))
    ended = replace(WELL, now_us=NOON_US + 6 * HOUR_US, inputs=(InputState("stdin", NOON_US + 6 * HOUR_US),))
    carried = carry(ended, site.devices(), Carried())
    # Switched off for a month; three of the four hours have been listened for already.
    start_us = NOON_US + 720 * HOUR_US
    later, fresh = replace(WELL, started_us=start_us), SiteState([device()]).devices()
    for hours, expected in ((0.9, []), (1.1, ["silent:pond-7"])):
        now_us = start_us + int(hours * HOUR_US)
        at = replace(later, now_us=now_us, inputs=(InputState("stdin", now_us),))
        assert [found.key for found in conditions(at, fresh, LIMITS, (), carried)] == expected


def test_no_upload_and_no_frame_go_on_over_restarts() -> None:
    waiting = replace(LATER, destinations=(DestinationState("waziup", 5, 0, 0, 1, 0),))
    carried = carry(waiting, [], Carried())
    again = replace(waiting, started_us=LATER.now_us, now_us=LATER.now_us + 1, inputs=(InputState("stdin", 0),))
    assert [found.key for found in conditions(again, [], LIMITS, (), carried)] == ["no-frame", "no-upload:waziup"]
    assert keys(again) == []


def test_what_the_schedule_keeps_back_is_no_outage_but_ends_none_either() -> None:
    inputs = (InputState("stdin", LATER.now_us),)
    held = replace(
        LATER, inputs=inputs, destinations=(DestinationState("waziup", 5, 0, 0, 1, 0, None, "[upload] schedule"),)
    )
    assert keys(held) == []
    assert keys(held, raised=("no-upload:waziup",)) == ["no-upload:waziup"]


def test_while_no_input_works_nobody_is_silent() -> None:
    site = SiteState([device()])
    site.hear(report(Reading("t", 1)))
    broken = replace(LATER, inputs=(InputState("ttyUSB0", NOON_US, Problem("unplugged")),), deaf_us=LATER.now_us)
    assert keys(broken, site) == ["input:ttyUSB0"]
    assert keys(broken, site, raised=("silent:pond-7", "no-frame")) == ["input:ttyUSB0", "no-frame", "silent:pond-7"]


def test_low_battery_of_a_device_that_was_not_heard_since_the_restart_is_still_low() -> None:
    assert keys(WELL, SiteState([device()]), raised=("battery:pond-7",)) == ["battery:pond-7"]


@pytest.mark.parametrize(
    ("value", "unit", "raised", "is_low"),
    [
        (14, "%", (), True),
        (15, "%", (), False),
        (16, "%", ("battery:pond-7",), True),
        (17, "%", ("battery:pond-7",), False),
        (2.4, "V", (), True),
        (3.3, "V", (), False),
        (1, "", (), False),
    ],
)
def test_battery_is_low_below_the_limit_and_well_a_tenth_above(
    value: float, unit: str, raised: tuple[str, ...], is_low: bool
) -> None:
    site = SiteState([device()])
    site.hear(report(Reading("battery", value, unit)))
    assert keys(WELL, site, raised) == (["battery:pond-7"] if is_low else [])


def test_limits_of_zero_switch_rules_off() -> None:
    off = AlertLimits(0, 0, 0, 0, 0)
    site = SiteState([device()])
    site.hear(report(Reading("battery", 1, "%")))
    runtime = replace(LATER, destinations=(DestinationState("waziup", 5, 0, 0, 1, 0),))
    assert list(conditions(runtime, site.devices(), off, ())) == []


def test_alert_is_raised_once_it_persists_and_cleared_once_it_stays_away() -> None:
    book, trouble = AlertBook(), Condition("input:x", Problem("x is unplugged", "plug it in"), SOON_US)
    assert book.look([trouble], 0) == []
    assert book.look([], 1) == []  # back before anybody was told
    assert book.look([trouble], 2) == []
    [alert] = book.look([trouble], 2 + SOON_US)
    assert book.look([trouble], 3 + SOON_US) == []
    for step in range(3):  # flickers
        assert book.look([], 10 + SOON_US + step) == []
        assert book.look([trouble], 11 + SOON_US + step) == []
    gone_us = 20 + SOON_US
    assert book.look([], gone_us) == []
    assert book.look([], gone_us + CLEAR_AFTER_US) == [replace(alert, cleared_us=gone_us + CLEAR_AFTER_US)]
    assert book.raised == {}


@given(st.lists(st.tuples(st.sets(st.sampled_from("abc")), st.integers(1, 2 * SOON_US)), max_size=40))
def test_every_alert_is_raised_and_cleared_in_turn(steps: list[tuple[set[str], int]]) -> None:
    book, now_us = AlertBook(), 0
    raised: set[str] = set()
    for present, passes_us in steps:
        now_us += passes_us
        for alert in book.look([Condition(key, Problem(key), SOON_US) for key in sorted(present)], now_us):
            if alert.cleared_us:
                raised.remove(alert.key)
            else:
                assert alert.key not in raised
                raised.add(alert.key)
    assert raised == set(book.raised)


def test_what_to_do_is_in_the_message_while_it_is_to_be_done() -> None:
    alert = replace(RAISED, fix="delete what is not needed")
    assert subject("Farm", Digest((alert,), (), ())) == "Farm: only 5 MB of the disk are free"
    since = "only 5 MB of the disk are free (since 2026-03-01 12:00:00 UTC)"
    fix = "  fix: delete what is not needed"
    assert body("Farm", Digest((alert,), (), ())) == f"Gateway Farm\n\nNeeds attention:\n- {since}\n{fix}\n"
    assert body("Farm", Digest((), (), (alert,))) == f"Gateway Farm\n\nNot solved yet:\n- {since}\n{fix}\n"
    assert as_json("Farm", Digest((alert,), (), ()))["raised"][0]["fix"] == "delete what is not needed"
    assert "fix" not in body("Farm", Digest((), (replace(CLEARED, fix=alert.fix),), ()))


def test_changes_are_gathered_into_one_message() -> None:
    outbox = Outbox()
    for second in range(50):
        outbox.put([Alert(f"silent:{second}", f"device {second} is silent", second, 0)], second * 1_000_000)
        assert outbox.digest({}, second * 1_000_000) is None
    digest = outbox.digest({"disk": RAISED}, GATHER_US)
    assert digest is not None
    assert (len(digest.raised), digest.cleared, digest.standing) == (50, (), (RAISED,))
    assert subject("Farm", digest) == "Farm: 51 things need attention"
    outbox.told()
    assert outbox.digest({}, 10 * GATHER_US) is None


def test_alert_that_came_and_went_while_nothing_could_be_sent_is_told_of_once() -> None:
    outbox = Outbox()
    for _ in range(100):
        outbox.put([RAISED], NOON_US)
        outbox.put([CLEARED], NOON_US)
    digest = outbox.digest({}, NOON_US + GATHER_US)
    assert digest == Digest((), (CLEARED,), ())
    assert subject("Farm", digest) == "Farm: everything is solved"
    text = "only 5 MB of the disk are free (2026-03-01 12:00:00 UTC, for 3 h)"
    assert body("Farm", digest) == f"Gateway Farm\n\nSolved:\n- {text}\n"


@pytest.mark.parametrize(("minutes", "text"), [(5, "5 min"), (119, "119 min"), (120, "2 h"), (2880, "2 d")])
def test_spans_read_as_people_say_them(minutes: int, text: str) -> None:
    assert span_text(minutes * 60_000_000) == text


@pytest.fixture
def spool_file(tmp_path: Path) -> Iterator[SpoolFile]:
    with closing(SpoolFile(tmp_path / "spool.db")) as spool_file:
        yield spool_file


def restarted(spool_file: SpoolFile, look: Callable[[], RunState], url: str) -> AlertLoop:
    sender = Webhook(WebhookConfig(url, None))
    return AlertLoop(SiteState([]), look, LIMITS, [sender], Facts(spool_file, "alerts"))


@contextmanager
def webhook(status: int = 200) -> Iterator[tuple[str, list[tuple[dict[str, Any], str]]]]:
    """A real HTTP server that answers every POST like this; gives its address and what it got."""
    got: list[tuple[dict[str, Any], str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((json.loads(data), self.headers.get("Authorization", "")))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/hook/5ec2e7", got
        finally:
            server.shutdown()
            thread.join()


def test_webhook_gets_the_digest_with_its_token() -> None:
    with webhook() as (url, got):
        Webhook(WebhookConfig(url, Secret("t0ken"))).send("Farm", Digest((RAISED,), (CLEARED,), ()))
    [(message, authorization)] = got
    assert authorization == "Bearer t0ken"
    assert message["raised"] == [{"key": "disk", "text": RAISED.text, "raised": "2026-03-01T12:00:00Z"}]
    assert message["cleared"][0]["cleared"] == "2026-03-01T15:00:00Z"
    assert message["text"].startswith("Farm: only 5 MB of the disk are free")


@pytest.mark.parametrize("status", [500, 404])
def test_webhook_that_refuses_is_tried_again_and_its_address_is_not_told(status: int) -> None:
    with webhook(status) as (url, _), pytest.raises(Unavailable, match=f"the answer was {status}"):
        Webhook(WebhookConfig(url, None)).send("Farm", Digest((RAISED,), (), ()))
    with pytest.raises(Unavailable) as caught:
        Webhook(WebhookConfig(url, None)).send("Farm", Digest((RAISED,), (), ()))
    assert "5ec2e7" not in str(caught.value)


class Mailbox:
    """A real mail server's end."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []

    async def handle_DATA(self, server: object, session: object, envelope: Any) -> str:  # noqa: N802 - the library's
        self.mails.append(envelope.content)
        return "250 OK"


def test_mail_says_what_is_wrong_in_subject_and_text() -> None:
    mailbox = Mailbox()
    port = free_port()
    server = Controller(mailbox, hostname="127.0.0.1", port=port)
    server.start()
    try:
        email = Email(EmailConfig("me@example.org", "gw@example.org", "127.0.0.1", port, False, "", None))
        hostile = replace(RAISED, text="Pönd\r\nBcc: all@example.org")
        email.send("Farm", Digest((hostile,), (), ()))
    finally:
        server.stop()
    [mail] = mailbox.mails
    message = message_from_bytes(mail, policy=policy.default)
    assert message["Subject"] == "Farm: Pönd Bcc: all@example.org"
    assert (message["To"], message["Bcc"]) == ("me@example.org", None)
    assert "Needs attention:" in message.get_content()


def test_mail_server_that_is_not_there_is_no_crash() -> None:
    with pytest.raises(Unavailable, match=r"e-mail by 127\.0\.0\.1"):
        Email(EmailConfig("a@b", "a@b", "127.0.0.1", 1, False, "", None)).send("Farm", Digest((RAISED,), (), ()))


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
