"""When a doubt is over."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.spool.model import Batch, Lane
from lora_post.upload.doubt import Doubt, DoubtRules
from lora_post.upload.policy import UploadPolicy

POLICY = UploadPolicy(max_batch=100, ask_after_s=2.0, ask_after_per_reading_s=0.05)
LOOKS_BACK = 500
RULES = DoubtRules(POLICY, LOOKS_BACK)
BATCH = Batch(Lane(1, "pond", "t", "", "", None), tuple(range(40)), (b"1",) * 40)
NOW = 1000.0


def test_server_gets_time_to_finish_before_it_is_asked() -> None:
    assert RULES.unanswered(BATCH, NOW) == Doubt(NOW + 2.0 + 40 * 0.05, BATCH, 100)
    assert RULES.after_kill(NOW) == Doubt(NOW + 2.0, None, 100)
    assert RULES.under_way(BATCH).ask_at < NOW
    assert RULES.refused(BATCH).ask_at < NOW


@pytest.mark.parametrize(
    ("begun", "found", "is_over"),
    [
        (RULES.unanswered(BATCH, 0.0), 40, True),
        (RULES.unanswered(BATCH, 0.0), 39, False),
        (RULES.unanswered(BATCH, 0.0), 0, False),
        (RULES.under_way(BATCH), 0, False),
        (RULES.after_kill(0.0), 0, False),
        (RULES.refused(BATCH), 0, True),
        (RULES.refused(BATCH), 17, True),
    ],
)
def test_first_look_ends_a_doubt_when_everything_is_there_or_the_server_is_done(
    begun: Doubt, found: int, is_over: bool
) -> None:
    assert (RULES.after_look(begun, 40, found, NOW) is None) is is_over


@pytest.mark.parametrize("found", [0, 17])
def test_second_look_that_finds_the_same_ends_a_doubt(found: int) -> None:
    first = RULES.after_look(RULES.unanswered(BATCH, 0.0), 40, found, NOW)
    assert first == Doubt(NOW + 2.0, BATCH, 100, seen=found)
    assert RULES.after_look(first, 40, found, NOW + 2.0) is None


def test_server_that_is_still_storing_is_asked_once_more() -> None:
    doubt: Doubt | None = RULES.unanswered(BATCH, 0.0)
    for found in (3, 9, 21):
        assert doubt is not None
        doubt = RULES.after_look(doubt, 40, found, NOW)
    assert doubt == Doubt(NOW + 2.0, BATCH, 100, seen=21)
    assert RULES.after_look(doubt, 40, 21, NOW) is None


def test_after_a_kill_the_search_goes_deeper_when_all_that_it_could_find_is_there() -> None:
    first = RULES.after_kill(0.0)
    assert (first.depth(3), first.depth(9000)) == (3, 100)
    deeper = RULES.after_look(first, 9000, 100, NOW)
    assert deeper is not None
    assert deeper.depth(9000) == LOOKS_BACK
    assert deeper.ask_at < NOW  # at once
    again = RULES.after_look(deeper, 9000, 470, NOW)
    assert again is not None
    assert RULES.after_look(again, 9000, 470, NOW) is None


def test_sink_that_cannot_look_further_back_is_not_asked_to() -> None:
    rules = DoubtRules(POLICY, 0)
    first = rules.after_look(rules.after_kill(0.0), 9000, 100, NOW)
    assert first is not None
    assert first.among == 100
    assert rules.after_look(first, 9000, 100, NOW) is None


@given(
    size=st.integers(1, 1000),
    steps=st.lists(st.integers(0, 50), max_size=12),
    begun=st.sampled_from([RULES.after_kill(0.0), RULES.unanswered(BATCH, 0.0), RULES.under_way(BATCH)]),
)
def test_doubt_ends_when_the_server_has_stopped_and_never_while_the_last_two_looks_differ(
    size: int, steps: list[int], begun: Doubt
) -> None:
    has = [min(size, count) for count in accumulate(steps)] or [0]
    doubt: Doubt | None = begun
    looks: list[tuple[int, int]] = []
    for stored in [*has, *has[-1:] * 4]:
        assert doubt is not None
        looks.append((doubt.depth(size), found := min(stored, doubt.depth(size))))
        if (doubt := RULES.after_look(doubt, size, found, NOW)) is None:
            break
    assert doubt is None
    assert looks[-1][1] == size or looks[-1] == looks[-2]
