"""What the Date of a server's answers says of its clock."""

from __future__ import annotations

import pytest

from lora_post.clocks.scale import now_us
from lora_post.clocks.server import ServerClock, read_date
from tests.support.clocks import BOOTED_US

DATE = "Mon, 21 Sep 2026 14:13:20 GMT"


@pytest.mark.parametrize(
    ("date", "wanted"),
    [
        (DATE, BOOTED_US),
        ("Monday, 21-Sep-26 14:13:20 GMT", BOOTED_US),
        ("Thu, 01 Jan 1970 00:00:00 GMT", None),
        ("", None),
        ("now", None),
        ("Fri, 31 Dec 9999 23:59:59 GMT", None),
        ("Mon, 99 Sep 2026 14:13:20 GMT", None),
        ("Mon, 21 Sep 99999 14:13:20 GMT", None),
        ("Mon, 21 Sep 2026 14:13:20 +9999999999", None),
    ],
)
def test_date_header_is_read_or_passed_over(date: str, wanted: int | None) -> None:
    assert read_date(date) == wanted


def test_clock_of_a_server_goes_on_from_its_latest_date() -> None:
    now = 1000.0
    clock = ServerClock(lambda: now)
    clock.hear(DATE)
    assert (clock.is_known, clock.now_us()) == (True, BOOTED_US)
    now += 12.5
    clock.hear("no date")
    assert clock.now_us() == BOOTED_US + 12_500_000


def test_rest_of_a_second_that_a_date_cuts_off_does_not_set_the_clock_back() -> None:
    now = 1000.0
    clock = ServerClock(lambda: now)
    clock.hear(DATE)
    now += 0.9
    clock.hear(DATE)
    assert clock.now_us() == BOOTED_US + 900_000
    now += 10
    clock.hear(DATE)  # it was set back
    assert clock.now_us() == BOOTED_US
    clock.hear("Mon, 21 Sep 2026 14:13:25 GMT")
    assert clock.now_us() == BOOTED_US + 5_000_000


def test_this_machines_clock_has_to_do_until_a_server_has_told_its_own() -> None:
    clock = ServerClock()
    before = now_us()
    assert before <= clock.now_us() <= now_us()
    assert not clock.is_known
