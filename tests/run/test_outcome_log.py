from __future__ import annotations

import logging
from collections import Counter

import pytest

from lora_post.model import Noise, NoiseReason, Reading
from lora_post.run.outcome_log import MAX_LINES, OutcomeLog, RecordedLog
from lora_post.uplink.model import Refusal
from tests.support.build import device, frame, report


class Minutes:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Minutes:
    return Minutes()


@pytest.fixture
def log(clock: Minutes, caplog: pytest.LogCaptureFixture) -> OutcomeLog:
    caplog.set_level(logging.INFO)
    return OutcomeLog(clock)


def stranger(number: int) -> Refusal:
    return Refusal(frame(), "unknown-device", f"no device has DevAddr {number:08x}")


def test_cause_is_said_once_a_minute(log: OutcomeLog, clock: Minutes, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(180):
        log(stranger(1))
        clock.now += 1
    assert caplog.messages == ["refused check=unknown-device: no device has DevAddr 00000001"] * 3


def test_flood_of_refused_frames_writes_a_bounded_number_of_lines_and_counts_the_rest(
    log: OutcomeLog, clock: Minutes, caplog: pytest.LogCaptureFixture
) -> None:
    minutes, a_minute = 3, 60_000
    for number in range(minutes * a_minute + 1):
        clock.now = 1000 + number * 60 / a_minute
        log(stranger(number))
    assert len(caplog.messages) == minutes * (MAX_LINES + 1) + 1
    assert caplog.messages.count(f"unknown-device: {a_minute - MAX_LINES} more were not logged") == minutes


def test_repeat_is_no_warning(log: OutcomeLog, caplog: pytest.LogCaptureFixture) -> None:
    log(Refusal(frame(), "repeat", "pond: FCnt 7 again with the same bytes"))
    log(Refusal(frame(), "replay", "pond: FCnt 3 after 7"))
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING"]


def test_flood_of_one_kind_silences_no_other(log: OutcomeLog, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(5000):
        log(stranger(number))
    log(Refusal(frame(), "mic", "no key fits"))
    log(Noise(NoiseReason.CRC, 5, "not a frame"))
    for name in ("pond-7", "pond-8"):
        log(report(of=device(name), problem="WrongLength: 1 byte"))
    said = Counter(message.split(":")[0].split(" fcnt")[0] for message in caplog.messages)
    assert said.pop("refused check=unknown-device") == MAX_LINES
    assert said == {
        "refused check=mic": 1,
        "skipped 5 bytes (crc)": 1,
        "device=pond-7 decoder=cayenne-lpp": 1,
        "uplink device=pond-7": 1,
        "device=pond-8 decoder=cayenne-lpp": 1,
        "uplink device=pond-8": 1,
    }


def test_every_uplink_has_its_line(log: OutcomeLog, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(100):
        log(report(Reading("t", 1.5, "°C")))
    assert caplog.messages == ["uplink device=pond-7 fcnt=1 rssi=-50 t=1.5°C"] * 100


def test_line_of_an_uplink_without_readings_ends_with_what_is_known_of_it(
    log: OutcomeLog, caplog: pytest.LogCaptureFixture
) -> None:
    log(report())
    assert caplog.messages == ["uplink device=pond-7 fcnt=1 rssi=-50"]


def test_recorded_frames_that_were_accepted_before_are_counted_per_device(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    log = RecordedLog()
    for name in ("pond-7", "pond-7", "field-9"):
        log(Refusal(frame(), "replay", f"{name}: FCnt 3 after 7: a replay", name))
    assert caplog.messages == []
    log(stranger(1))
    log.finish()
    assert caplog.messages == [
        "refused check=unknown-device: no device has DevAddr 00000001",
        "left out, since these frames or newer ones were accepted before: pond-7 2, field-9 1",
    ]
