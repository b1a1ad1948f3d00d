"""What is confirmed and still queued."""

from __future__ import annotations

from lora_post.model import Batch, Lane
from lora_post.upload.unsettled import Unsettled

POND, WELL = (Lane(number, device, "t", "", "", None) for number, device in ((1, "pond"), (2, "well")))


def test_batches_of_a_lane_are_settled_as_one() -> None:
    unsettled = Unsettled(0.25)
    unsettled.add(Batch(POND, (1, 2), (b"1", b"2")), 0.0)
    unsettled.add(Batch(WELL, (1,), (b"7",)), 0.0)
    unsettled.add(Batch(POND, (3,), (b"3",)), 0.0)
    assert unsettled.batches() == [Batch(POND, (1, 2, 3), (b"1", b"2", b"3")), Batch(WELL, (1,), (b"7",))]
    assert set(unsettled.times_of(POND)) == {1, 2, 3}
    assert set(unsettled.times_of(WELL)) == {1}


def test_the_first_request_tells_when_it_is_due() -> None:
    unsettled = Unsettled(0.25)
    assert not unsettled.is_due(1e9)
    unsettled.add(Batch(POND, (1,), (b"1",)), 100.0)
    unsettled.add(Batch(POND, (2,), (b"2",)), 100.0 + 0.25)
    assert not unsettled.is_due(99.9 + 0.25)
    assert unsettled.is_due(100.0 + 0.25)
    unsettled.clear()
    unsettled.add(Batch(POND, (3,), (b"3",)), 200.0)
    assert not unsettled.is_due(100.1 + 0.25)
