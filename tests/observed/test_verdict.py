"""What the status page, `lora-post watch`, /readyz and alerts answer to: does it work?"""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from lora_post.alerts.rules import conditions
from lora_post.errors import Fault, Problem
from lora_post.lorawan.join_messages import build_join_request
from lora_post.lorawan.root_keys import RootKeys
from lora_post.model import Frame, Reading
from lora_post.observed.device_trouble import KINDS
from lora_post.observed.device_view import DeviceView
from lora_post.observed.run_state import DestinationState, InputState, RunState
from lora_post.observed.site_state import SiteState
from lora_post.observed.verdict import faults, judge, obstacles
from lora_post.uplink.join_state import Join
from lora_post.uplink.model import Refusal, Report
from tests.support.alerts import LIMITS
from tests.support.build import NOON_US, device, frame, report
from tests.support.status_page import WELL

HEARD: list[DeviceView] = []
"""Nothing is wrong with a site that has no device."""


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
    verdict = judge(runtime, HEARD)
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
    assert judge(runtime, HEARD).problems == tuple(alerts.values())


def test_run_that_has_heard_nothing_waits() -> None:
    assert judge(WELL, SiteState([device(), device("b")]).devices()).text == "Running; no device heard yet"


def test_run_that_has_not_heard_all_devices_waits() -> None:
    site = SiteState([device(), device("b", address=1)])
    site.hear(report(Reading("t", 1)))
    verdict = judge(WELL, site.devices())
    assert (verdict.kind, verdict.text) == ("wait", "Running; 1 of 2 devices not heard yet")


def test_input_that_fails_again_and_again_is_a_fault_of_the_process_and_is_said_once() -> None:
    runtime = replace(WELL, inputs=(InputState("tty", 0, Problem("unplugged")), InputState("udp", 0, Fault("failed"))))
    assert faults(runtime) == ["input udp: failed"]
    assert obstacles(runtime, HEARD) == ["input udp: failed", "input tty: unplugged"]
    assert [str(each) for each in judge(runtime, HEARD).problems] == [
        "input tty: unplugged",
        "input udp: failed",
    ]


def wrong_frame(address: int = 0x26011BDA) -> Frame:
    return frame(b"\x40" + address.to_bytes(4, "little") + bytes(8))


def refused(of: str = "") -> Refusal:
    return Refusal(wrong_frame(), "mic", "no key fits", of, "correct nwk_skey")


def heard(*readings: Reading, problem: str | None = None, late_us: int = 0) -> Report:
    return report(*readings, problem=problem, time_us=NOON_US - late_us)


T = Reading("t", 1)
DAY_US = 86_400_000_000


@pytest.mark.parametrize(
    ("outcomes", "says"),
    [
        ([refused()], ["its frame was refused: mic: no key fits"]),
        ([refused()] * 5, ["its last 5 frames were refused: mic: no key fits"]),
        ([heard(T)], []),
        ([heard(T), refused(), refused()], []),
        ([heard(T), *[refused("pond-7")] * 3], ["its last 3 frames were refused: mic: no key fits"]),
        ([*[refused()] * 3, heard(T)], []),
        ([heard(T, late_us=60_000_000), heard(T), *[refused()] * 3], []),  # not late: they may be another's
        ([heard(problem="WrongLength: 3 bytes")], ["1 frame not decoded: WrongLength: 3 bytes"]),
        ([heard(T), heard(problem="WrongLength")], []),
        ([heard(T), *[heard(problem="WrongLength")] * 3], ["3 frames not decoded: WrongLength"]),
        ([*[heard(problem="WrongLength")] * 3, heard(T)], []),
        ([heard(T, late_us=2 * DAY_US)], ["not heard for 2 d"]),
        ([heard(T, late_us=5 * 3_600_000_000), heard(T, late_us=4 * 3_600_000_000)], []),
        (
            [heard(T, late_us=4_200_000_000), heard(T, late_us=3_700_000_000)],
            ["not heard for 61 min, usually every 8 min"],
        ),
        ([heard(Reading("BAT", 2.1))], ["battery at 2.1 V (unit by its range)"]),
        ([heard(Reading("BAT", 3.1))], []),
        ([heard(Reading("batteryLevel", 9))], ["battery at 9 % (unit by its name)"]),
        ([heard(Reading("battery", 9, "%"))], ["battery at 9 %"]),
        ([heard(Reading("battery_low", True))], ["it says that its battery is low"]),
        ([heard(Reading("battery_low", False))], []),
        ([refused(), heard(Reading("bat", 1800)), *[refused()] * 6],
            ["its last 6 frames were refused: mic: no key fits", "battery at 1.8 V (unit by its range)"]),
    ],
)  # fmt: skip
def test_one_verdict_of_a_device_for_page_watch_readyz_and_alerts(
    outcomes: list[Report | Refusal], says: list[str]
) -> None:
    site = SiteState([device()])
    for outcome in outcomes:
        site.hear(outcome)
    runtime, devices = replace(WELL, limits=LIMITS), site.devices()
    verdict = judge(runtime, devices)
    assert [trouble.what for trouble in verdict.devices.get("pond-7", ())] == says
    assert verdict.kind == ("bad" if says else "good")
    assert verdict.text == ("1 device needs attention" if says else "Everything works")
    assert [problem.what for problem in verdict.problems] == [f"pond-7: {what}" for what in says]
    assert obstacles(runtime, devices) == [str(problem) for problem in verdict.problems]
    assert [condition.problem for condition in conditions(runtime, devices)] == list(verdict.problems)
    # An alert stays for a while after its end, in case that it comes again: the verdict does not.
    raised = {f"{kind}:pond-7": Problem("pond-7: long ago") for kind in KINDS if kind != "battery"}
    assert judge(replace(runtime, alerts=raised), devices).kind == verdict.kind


def test_many_devices_with_the_same_trouble_are_one_line_each_kind() -> None:
    site = SiteState([device(f"d{number}", address=number) for number in range(9)])
    runtime = replace(WELL, limits=LIMITS, now_us=NOON_US + 2 * DAY_US)
    verdict = judge(runtime, site.devices())
    assert verdict.text == "9 devices need attention"
    assert [problem.what for problem in verdict.problems] == ["9 devices: not heard for long: d0, d1, d2 and 6 more"]
    assert len(verdict.devices) == 9


def test_frame_refused_under_the_address_of_a_join_is_its_devices() -> None:
    root = RootKeys(0x1, 0x2, bytes(16))
    joining = device(address=None, keys=None, root=root)
    site = SiteState([joining])
    site.hear(Join(frame(b""), joining, "join-accept", "", 0x260B0001))
    site.hear(Refusal(wrong_frame(0x260B0001), "mic", "no key fits"))
    assert [view.refused for view in site.devices()] == [1]


def test_join_refused_under_the_dev_eui_of_a_device_is_its_trouble() -> None:
    root = RootKeys(0x1, 0x2, bytes(16))
    site = SiteState([device(address=None, keys=None, root=root)])
    request = build_join_request(root.join_eui, root.dev_eui, 7) + bytes(4)
    site.hear(Refusal(frame(request), "join-replay", "DevNonce 0007 again", fix="lora-post devices reset-nonces x"))
    runtime = replace(WELL, limits=LIMITS, now_us=NOON_US)
    (found,) = (each for each in conditions(runtime, site.devices()) if each.key.startswith("refused:"))
    assert "its frame was refused: join-replay: DevNonce 0007 again" in found.problem.what
    assert found.problem.fix == "lora-post devices reset-nonces x"
