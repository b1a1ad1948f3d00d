"""The page as `watch` has read it, and what news make of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import json
from msgspec.structs import replace

from lora_post.observed.page_model import Page, PageDevice, PageDisk, PageFrame, PageNews, PageRefusal, PageRun
from lora_post.observed.verdict import Verdict
from lora_post.terminal.page import CLOCK_SLACK_MS, MAX_RECENT, behind_ms, changed_page, read_message

NOON = 1_772_366_400_000
POND, WELL = PageDevice("pond"), PageDevice("well")
RUN = PageRun("Farm", NOON, (), (), PageDisk(50, 1))
PAGE = Page(1, NOON, (POND, WELL), (PageFrame(NOON, "t 1"),), (PageRefusal("mic", 1),), RUN, Verdict("good", "Fine"))


def test_news_change_what_they_tell_and_nothing_else() -> None:
    assert changed_page(PAGE, PageNews(2)) == replace(PAGE, v=2)
    heard = replace(POND, heard=31)
    news = PageNews(3, (heard,), (PageFrame(NOON + 1, "t 2"),), (), replace(RUN, gateway="x"), Verdict("bad", "No"))
    after = changed_page(PAGE, news)
    assert after.devices == (heard, WELL)
    assert [frame.text for frame in after.recent] == ["t 1", "t 2"]
    assert (after.refused, after.state.gateway, after.verdict.text) == ((), "x", "No")


def test_page_that_is_followed_for_long_keeps_the_latest_frames() -> None:
    page = PAGE
    for number in range(3 * MAX_RECENT):
        page = changed_page(page, PageNews(number, recent=(PageFrame(NOON, str(number)),)))
    assert [frame.text for frame in page.recent] == [str(number) for number in range(2 * MAX_RECENT, 3 * MAX_RECENT)]


@pytest.mark.parametrize(
    ("ahead_ms", "behind"), [(0, 0), (CLOCK_SLACK_MS, 0), (CLOCK_SLACK_MS + 1, CLOCK_SLACK_MS + 1), (-86_400_000,) * 2]
)
def test_times_are_moved_when_the_clocks_of_the_two_machines_differ(ahead_ms: int, behind: int) -> None:
    assert behind_ms(PAGE, NOON + ahead_ms) == behind


@given(st.binary())
def test_bytes_that_are_not_a_page_are_none(data: bytes) -> None:
    assert read_message(data, Page) is None
    assert read_message(json.encode(PAGE) + data, Page) in (PAGE, None)
