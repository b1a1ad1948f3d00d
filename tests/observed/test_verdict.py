"""What the status page and `lora-post watch` answer to: does it work?"""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from lora_post.errors import Fault, Problem
from lora_post.observed.run_state import DestinationState, InputState, RunState
from lora_post.observed.verdict import faults, judge, obstacles
from tests.support.status_page import WELL


@pytest.mark.parametrize(
    ("runtime", "kind", "says"),
    [
        (WELL, "good", ()),
        (replace(WELL, alerts={"a": Problem("disk is full", "make room")}), "bad", ("disk is full; make room",)),
        (replace(WELL, stalled=("serial",)), "bad", ("serial is stalled; restart lora-post",)),
        (replace(WELL, troubles={"spool": Problem("no space")}), "bad", ("spool: no space",)),
        (replace(WELL, troubles={"clock": Problem("not set")}), "wait", ("clock: not set",)),
        (replace(WELL, inputs=(InputState("tty", 0, Problem("unplugged")),)), "bad", ("input tty: unplugged",)),
        (
            replace(
                WELL,
                destinations=(DestinationState("w", 0, 0, 0, 0, 0, Problem("no way")),),
                troubles={"spool": Problem("no space")},
            ),
            "bad",
            ("spool: no space", "w: no way"),
        ),
        (
            replace(WELL, destinations=(DestinationState("w", 0, 0, 0, 0, 0, Problem("no way")),)),
            "wait",
            ("w: no way",),
        ),
        (
            replace(WELL, destinations=(DestinationState("w", 0, 1, 0, 0, 0),)),
            "wait",
            ("some sensors are parked; `lora-post spool` says which, and why",),
        ),
    ],
)
def test_verdict_says_what_is_wrong_and_what_to_do(runtime: RunState, kind: str, says: tuple[str, ...]) -> None:
    verdict = judge(runtime, is_heard=True)
    assert (verdict.kind, tuple(map(str, verdict.problems))) == (kind, says)


def test_what_an_alert_tells_is_told_once() -> None:
    alerts = {
        "input:tty": Problem("no frames: unplugged"),
        "trouble:clock": Problem("no time for an hour"),
        "stalled:udp": Problem("udp is stalled"),
    }
    runtime = replace(
        WELL,
        inputs=(InputState("tty", 0, Problem("unplugged")),),
        troubles={"clock": Problem("not set")},
        stalled=("udp",),
        alerts=alerts,
    )
    assert judge(runtime, is_heard=True).problems == tuple(alerts.values())


def test_run_that_has_heard_nothing_waits() -> None:
    assert judge(WELL, is_heard=False).text == "Running; no device heard yet"


def test_input_that_fails_again_and_again_is_a_fault_of_the_process_and_is_said_once() -> None:
    runtime = replace(WELL, inputs=(InputState("tty", 0, Problem("unplugged")), InputState("udp", 0, Fault("failed"))))
    assert faults(runtime) == ["input udp: failed"]
    assert obstacles(runtime) == ["input udp: failed", "input tty: unplugged"]
    assert [str(each) for each in judge(runtime, is_heard=True).problems] == [
        "input tty: unplugged",
        "input udp: failed",
    ]
