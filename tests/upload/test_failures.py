"""What keeps a destination from taking readings."""

from __future__ import annotations

import pytest

from lora_post.errors import OutcomeUnknown, Problem, SpoolError, Unavailable
from lora_post.metrics import Metrics
from lora_post.spool.model import Lane
from lora_post.upload.failures import Failures
from lora_post.upload.policy import UploadPolicy

A, B = (Lane(number, device, "t", "", "", None) for number, device in ((1, "pond"), (2, "well")))
NOW = 1000.0
LATE = OutcomeUnknown("sending pond/t: status 503")


@pytest.fixture
def failures() -> Failures:
    return Failures("waziup", Metrics(), UploadPolicy())


def test_one_lane_in_trouble_does_not_hold_up_the_others(failures: Failures) -> None:
    failures.of_lane(A, LATE, NOW)
    failures.of_lane(A, LATE, NOW)
    assert failures.until < NOW
    assert failures.last_error == Problem("sending pond/t: status 503")


def test_second_lane_without_a_success_between_is_trouble_with_the_server(failures: Failures) -> None:
    failures.of_lane(A, LATE, NOW)
    failures.answered()
    failures.of_lane(B, LATE, NOW)
    assert failures.until < NOW
    failures.of_lane(A, LATE, NOW)
    assert failures.until > NOW


@pytest.mark.parametrize(("asked_s", "granted_s"), [(120.0, 120.0), (1e9, 3600.0)])
def test_server_that_asks_to_be_left_alone_is_for_an_hour_at_most(
    failures: Failures, asked_s: float, granted_s: float
) -> None:
    failures.of_lane(A, OutcomeUnknown("slow down", asked_s), NOW)
    assert failures.until == NOW + granted_s


def test_each_cause_is_told_once(failures: Failures, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    for lane in (A, B, A):
        failures.of_lane(lane, OutcomeUnknown(f"sending {lane.device}/t: status 503"), NOW)
    failures.of_destination(Unavailable("logging in: no network"), NOW)
    for text in ("disk full", "disk full"):
        failures.of_spool(SpoolError(text), NOW)
    failures.answered()
    failures.answered()
    assert caplog.messages == [
        "waziup: waiting to send: sending pond/t: status 503",
        "waziup: waiting to send: logging in: no network",
        "waziup: waiting to send: disk full",
        "waziup: sending again",
    ]


def test_spool_that_takes_nothing_is_why_nothing_is_sent_until_it_can_be_used(failures: Failures) -> None:
    """The page showed the trouble before it, or none."""
    full = SpoolError("disk full", fix="make room")
    failures.of_destination(Unavailable("logging in: no network"), NOW)
    failures.of_spool(full, NOW)
    assert failures.last_error == full.problem
    failures.spool_works()
    assert (failures.until, failures.last_error) == (0.0, None)


def test_server_that_is_away_meanwhile_stays_the_reason(failures: Failures) -> None:
    failures.of_spool(SpoolError("disk full"), NOW)
    failures.of_destination(Unavailable("logging in: no network"), NOW)
    failures.spool_works()
    assert failures.last_error == Problem("logging in: no network")


def test_pauses_grow_until_the_destination_answers(failures: Failures) -> None:
    for _ in range(10):
        failures.of_destination(LATE, NOW)
    assert 30 <= failures.until - NOW <= 60
    failures.answered()
    assert (failures.until, failures.last_error) == (0.0, None)
