"""When an alert is raised and cleared."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from lora_post.alerts.book import CLEAR_AFTER_US, AlertBook
from lora_post.alerts.rules import SOON_US, Condition
from lora_post.errors import Problem


def test_alert_is_raised_once_it_persists_and_cleared_once_it_stays_away() -> None:
    book, trouble = AlertBook(), Condition("input:x", Problem("x is unplugged", "plug it in"), SOON_US)
    assert book.look([trouble], 0) == []
    assert book.look([], 1) == []  # back before anybody was told
    assert book.look([trouble], 2) == []
    [alert] = book.look([trouble], 2 + SOON_US)
    assert book.look([trouble], 3 + SOON_US) == []
    for step in range(3):  # flickers
        assert book.look([], 10 + SOON_US + step) == []
        assert book.look([trouble], 11 + SOON_US + step) == []
    gone_us = 20 + SOON_US
    assert book.look([], gone_us) == []
    assert book.look([], gone_us + CLEAR_AFTER_US) == [replace(alert, cleared_us=gone_us + CLEAR_AFTER_US)]
    assert book.raised == {}


@given(st.lists(st.tuples(st.sets(st.sampled_from("abc")), st.integers(1, 2 * SOON_US)), max_size=40))
def test_every_alert_is_raised_and_cleared_in_turn(steps: list[tuple[set[str], int]]) -> None:
    book, now_us = AlertBook(), 0
    raised: set[str] = set()
    for present, passes_us in steps:
        now_us += passes_us
        for alert in book.look([Condition(key, Problem(key), SOON_US) for key in sorted(present)], now_us):
            if alert.cleared_us:
                raised.remove(alert.key)
            else:
                assert alert.key not in raised
                raised.add(alert.key)
    assert raised == set(book.raised)
