"""When a doubt is over."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.spool.model import Batch, Lane
from lora_post.upload.doubt import Doubt, DoubtRules
from lora_post.upload.policy import UploadPolicy

POLICY = UploadPolicy()
RULES = DoubtRules(POLICY, goes_on=True)
AT_ONCE = DoubtRules(POLICY, goes_on=False)
SIZE = 40
BATCH = Batch(Lane(1, "pond", "t", "", "", None), tuple(range(SIZE)), (b"1",) * SIZE)
SINCE = 1_790_000_000_000_000
NOW = 1000.0
SOON = NOW + POLICY.ask_after_s + POLICY.ask_after_per_reading_s * SIZE
LATE = NOW + POLICY.late_s + POLICY.late_per_reading_s * SIZE


def test_server_is_asked_soon_and_again_when_it_can_no_longer_be_at_work() -> None:
    first = RULES.unanswered(BATCH, SINCE, NOW)
    assert first == Doubt(BATCH, SINCE, SOON, LATE)
    second = RULES.after_look(first, SIZE, 0, SOON)
    assert second == Doubt(BATCH, SINCE, LATE, LATE, seen=0)
    assert RULES.after_look(second, SIZE, 0, LATE) is None


@pytest.mark.parametrize("found", [0, 1, SIZE - 1])
def test_what_is_not_found_is_not_missing_before_that(found: int) -> None:
    doubt: Doubt | None = RULES.unanswered(BATCH, SINCE, NOW)
    for now in (SOON, SOON + 1, SOON + 1.5, LATE - 0.01):
        assert doubt is not None
        doubt = RULES.after_look(doubt, SIZE, found, now)
        assert doubt is not None
        assert doubt.ask_at == LATE


@pytest.mark.parametrize("now", [SOON, LATE, LATE + 1e6])
def test_batch_of_which_everything_is_found_is_in_doubt_no_longer(now: float) -> None:
    assert RULES.after_look(RULES.unanswered(BATCH, SINCE, NOW), SIZE, SIZE, now) is None


def test_server_that_still_adds_readings_is_asked_until_it_has_stopped() -> None:
    doubt: Doubt | None = RULES.unanswered(BATCH, SINCE, NOW)
    now = SOON
    for found in (3, 9, 21):
        assert doubt is not None
        doubt = RULES.after_look(doubt, SIZE, found, now)
        now = doubt.ask_at if doubt else now
    assert doubt == Doubt(BATCH, SINCE, LATE + 2 * POLICY.pace_s, LATE, seen=21)
    assert RULES.after_look(doubt, SIZE, 21, now) is None


def test_first_look_is_the_only_one_when_the_link_was_away_for_longer() -> None:
    assert RULES.after_look(RULES.unanswered(BATCH, SINCE, NOW), SIZE, 17, LATE) is None


def test_what_the_last_process_left_is_asked_about_once_and_late() -> None:
    doubt = RULES.left_behind(SINCE, NOW)
    latest = NOW + POLICY.late_s + POLICY.late_per_reading_s * POLICY.max_batch
    assert doubt == Doubt(None, SINCE, latest, latest)
    assert RULES.after_look(doubt, 9000, 470, latest) is None


@pytest.mark.parametrize(("noted", "until"), [(NOW + 5, NOW + 5), (NOW - 5, NOW - 5), (NOW + 1e9, NOW + 170)])
def test_time_that_has_passed_before_a_restart_counts(noted: float, until: float) -> None:
    assert RULES.left_behind(SINCE, NOW, noted) == Doubt(None, SINCE, until, until)


def test_answer_that_refuses_tells_that_the_server_is_done() -> None:
    doubt = RULES.refused(BATCH, SINCE)
    assert doubt.ask_at < NOW
    for found in (0, 17, SIZE):
        assert RULES.after_look(doubt, SIZE, found, NOW) is None


def test_sink_that_does_not_go_on_is_asked_once_and_at_once() -> None:
    for doubt in (AT_ONCE.unanswered(BATCH, SINCE, NOW), AT_ONCE.left_behind(SINCE, NOW)):
        assert (doubt.ask_at, doubt.until) == (NOW, NOW)
        assert AT_ONCE.after_look(doubt, SIZE, 17, NOW) is None


@given(
    stored_at=st.lists(st.floats(NOW, LATE), min_size=SIZE, max_size=SIZE).map(sorted),
    stored=st.integers(0, SIZE),
    delay_s=st.floats(0, 30),
)
def test_doubt_never_ends_before_the_server_has_and_always_ends(
    stored_at: list[float], stored: int, delay_s: float
) -> None:
    """A server that stores the first readings of a batch one by one, whenever until the bound; looks come late."""
    done_at = stored_at[:stored]
    doubt: Doubt | None = RULES.unanswered(BATCH, SINCE, NOW)
    looks: list[tuple[float, int]] = []
    while doubt is not None:
        now = doubt.ask_at + delay_s
        looks.append((now, sum(at <= now for at in done_at)))
        doubt = RULES.after_look(doubt, SIZE, looks[-1][1], now)
    assert looks[-1][1] == stored
    assert len(looks) <= 3
    assert all(later > earlier for (earlier, _), (later, _) in pairwise(looks))
