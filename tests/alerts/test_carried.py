"""Silence that goes on over restarts."""

from __future__ import annotations

from msgspec.structs import replace

from lora_post.alerts.carried import carry, restore
from lora_post.alerts.rules import conditions
from lora_post.model import Reading
from lora_post.observed.run_state import DestinationState, InputState
from lora_post.observed.site_state import SiteState
from tests.support.alerts import HOUR_US, LATER, WELL
from tests.support.build import NOON_US, device, report


def test_silence_goes_on_over_restarts_and_only_listening_counts() -> None:
    site = SiteState([device()])
    for step in range(4):
        site.hear(report(Reading("t", 1), time_us=NOON_US + step * HOUR_US))
    ended = replace(WELL, now_us=NOON_US + 6 * HOUR_US, inputs=(InputState("stdin", NOON_US + 6 * HOUR_US),))
    carried = restore(carry(ended, site.devices()))
    # Switched off for a month; three of the four hours have been listened for already.
    start_us = NOON_US + 720 * HOUR_US
    later, fresh = replace(WELL, started_us=start_us), SiteState([device()]).devices()
    for hours, expected in ((0.9, []), (1.1, ["silent:pond-7"])):
        now_us = start_us + int(hours * HOUR_US)
        at = replace(later, now_us=now_us, inputs=(InputState("stdin", now_us),), before=carried)
        assert [found.key for found in conditions(at, fresh)] == expected


def test_no_upload_and_no_frame_go_on_over_restarts() -> None:
    waiting = replace(LATER, destinations=(DestinationState("waziup", 5, 0, 0, 1, 0),))
    carried = restore(carry(waiting, []))
    again = replace(waiting, started_us=LATER.now_us, now_us=LATER.now_us + 1, inputs=(InputState("stdin", 0),))
    assert [found.key for found in conditions(replace(again, before=carried), [])] == ["no-frame", "no-upload:waziup"]
    assert list(conditions(again, [])) == []
