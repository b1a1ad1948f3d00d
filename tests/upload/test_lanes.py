"""What is learned about lanes."""

from __future__ import annotations

from lora_post.spool.model import Lane
from lora_post.upload.doubt import DoubtRules
from lora_post.upload.lanes import Lanes
from lora_post.upload.policy import UploadPolicy

POLICY = UploadPolicy()
A, B = (Lane(number, device, "t", "", "", None) for number, device in ((1, "pond"), (2, "well")))
DOUBT = DoubtRules(POLICY, goes_on=True).left_behind(1_790_000_000_000_000, 100.0)


def test_lane_is_ready_when_its_pause_and_its_doubt_allow_it() -> None:
    state = Lanes(POLICY).state(A)
    assert state.ready_at() == 0.0
    state.doubt = DOUBT
    assert state.ready_at() == DOUBT.ask_at
    state.backoff.fail(1000.0)
    assert state.ready_at() > 1000.0


def test_lane_that_is_forgotten_begins_anew_unless_it_is_in_doubt() -> None:
    lanes = Lanes(POLICY)
    for lane in (A, B):
        lanes.state(lane).limit = 1
    lanes.state(B).doubt = DOUBT
    for lane in (A, B):
        lanes.forget(lane)
    assert lanes.state(A).limit == POLICY.max_batch
    assert (lanes.state(B).limit, lanes.state(B).doubt) == (1, DOUBT)


def test_after_a_kill_nothing_is_known_but_doubts() -> None:
    lanes = Lanes(POLICY)
    lanes.state(A).backoff.fail(1000.0)
    assert not lanes.doubts()
    lanes.start_anew([(B, DOUBT)])
    assert lanes.doubts() == {B.id: DOUBT}
    assert lanes.state(A).ready_at() == 0.0
    assert lanes.state(B).doubt == DOUBT
