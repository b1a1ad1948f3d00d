"""Whose turn it is, told from what a server shows of a device."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.clocks.scale import utc_text
from lora_post.sinks.waziup.client import RemoteDevice
from lora_post.sinks.waziup.turn import APART_US, LOOK_EVERY_US, SILENT_US, WAIT_US, Ours, Turn, pair, whose_turn
from lora_post.upload.policy import UploadPolicy

NOW = 1_790_000_000_000_000
HOUR = 3_600_000_000
OURS = Ours("gw2")


def device(named: str | None, silent_us: int = HOUR, *, has_value: bool = True) -> RemoteDevice:
    seen = utc_text(NOW - silent_us)
    value = {"value": 1, "timestamp": seen, "date_received": seen} if has_value else None
    body = {"id": "pond-7", "gateway_id": named, "date_created": seen, "date_modified": seen}
    return msgspec.convert({**body, "sensors": [{"id": "t", "value": value}]}, RemoteDevice)


@pytest.mark.parametrize(
    ("seen", "ours", "turn"),
    [
        (device("gw2"), OURS, Turn.OURS),
        (device("gw1"), OURS, Turn.KEEP),
        (device("gw1", SILENT_US - 1_000_000), OURS, Turn.KEEP),
        (device("gw1", SILENT_US), OURS, Turn.TAKE_LATER),
        (device(None), OURS, Turn.TAKE),
        (device(""), OURS, Turn.TAKE),
        # Made on the dashboard, or by another gateway a moment ago.
        (device("gw1", SILENT_US, has_value=False), OURS, Turn.TAKE),
        (device("gw1", HOUR, has_value=False), OURS, Turn.KEEP),
        # Our gateway had another id.
        (device("old"), Ours("gw2", former_id="old"), Turn.TAKE),
        (device("gw1"), Ours("gw2", former_id="old"), Turn.KEEP),
        # We have just taken it over, and the other one may not know yet.
        (device("gw2"), Ours("gw2", claimed_us=NOW - WAIT_US + 1), Turn.KEEP),
        (device("gw2"), Ours("gw2", claimed_us=NOW - WAIT_US), Turn.OURS),
        (device("gw1"), Ours("gw2", claimed_us=NOW - WAIT_US), Turn.KEEP),
        # A person says so.
        (device("gw1"), Ours("gw2", is_ordered=True), Turn.TAKE),
        (device("gw2"), Ours("gw2", claimed_us=NOW, is_ordered=True), Turn.OURS),
        # A server that tells no dates.
        (RemoteDevice("pond-7", gateway_id="gw1", date_modified="now"), OURS, Turn.KEEP),
    ],
)
def test_turn(seen: RemoteDevice, ours: Ours, turn: Turn) -> None:
    assert whose_turn(seen, ours, NOW) is turn


def test_who_takes_over_waits_until_the_other_has_looked() -> None:
    late_us = int((UploadPolicy().late_s + 100 * UploadPolicy().late_per_reading_s) * 1e6)
    assert LOOK_EVERY_US + late_us < WAIT_US < UploadPolicy().parked_for_s * 1e6 <= SILENT_US


@given(
    moments=st.lists(st.integers(0, 10_000_000_000), unique=True, max_size=30).map(sorted),
    missed=st.sets(st.integers(0, 29)),
    apart=st.lists(st.integers(-APART_US // 2, APART_US // 2), min_size=60, max_size=60),
)
def test_what_the_other_has_is_paired_as_often_as_it_has_it(
    moments: list[int], missed: set[int], apart: list[int]
) -> None:
    ours = sorted({time + apart[number] for number, time in enumerate(moments)})
    theirs = sorted(time + apart[30 + number] for number, time in enumerate(moments) if number not in missed)
    found = pair(ours, theirs)
    assert set(found) <= set(ours)
    assert min(len(theirs), len(ours)) == len(found) or len(found) >= len(theirs) - (len(moments) - len(ours))


def test_readings_far_apart_are_no_copies() -> None:
    assert pair([0, 100 * APART_US], [APART_US + 1, 100 * APART_US - APART_US]) == [100 * APART_US]
    assert pair([0, 1], [0]) == [0]
    assert pair([], [0]) == pair([0], []) == []
