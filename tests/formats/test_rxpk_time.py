from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from lora_post.clocks.scale import utc_text
from lora_post.formats.rxpk_time import arrivals, reception_us

NOW_US = 1_772_366_400_000_000


def packets(*counters: object) -> list[Raw]:
    return [Raw(b'{"tmst":%s}' % str(counter).encode()) for counter in counters]


@pytest.mark.parametrize(
    ("counters", "ages"),
    [
        ([], []),
        ([7], [0]),
        ([1_000, 1_500, 4_000], [3_000, 2_500, 0]),
        ([4_000, 1_000], [0, 3_000]),
        ([4_294_967_290, 4], [10, 0]),  # the counter began anew between the two
        ([0, 4_294_967_295], [0, 1]),
        ([1_000, 70_000_000], [0, 0]),  # seconds or a clock in its place: no spacing can be read from it
        (["null", 5, 8], [0, 3, 0]),
        (['"5"', -1, 1 << 32, "true", 2.5], [0, 0, 0, 0, 0]),
    ],
)
def test_packets_of_one_burst_are_apart_as_their_counters_say(counters: list[object], ages: list[int]) -> None:
    assert arrivals(packets(*counters), NOW_US) == [NOW_US - age for age in ages]


def test_damaged_packet_does_not_take_the_others_their_spacing() -> None:
    assert arrivals([Raw(b"{"), Raw(b"[" * 100_000), *packets(1, 4)], NOW_US) == [NOW_US, NOW_US, NOW_US - 3, NOW_US]


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 10_000_000), min_size=2, max_size=8))
def test_spacing_does_not_depend_on_where_the_counter_stands(start: int, gaps: list[int]) -> None:
    true = [sum(gaps[: n + 1]) for n in range(len(gaps))]
    if true[-1] - true[0] <= 60_000_000:
        found = arrivals(packets(*((start + each) % 2**32 for each in true)), NOW_US)
        assert [NOW_US - each for each in found] == [true[-1] - each for each in true]


@pytest.mark.parametrize(
    ("time", "tmms", "wanted"),
    [
        ("2024-05-14T08:15:30.123456Z", None, "2024-05-14T08:15:30.123456Z"),
        ("2024-05-14T08:15:30.123456Z", 1, "2024-05-14T08:15:30.123456Z"),
        ("2024-05-14 08:15:30", None, "2024-05-14T08:15:30Z"),
        ("2024-05-14T10:15:30+02:00", None, "2024-05-14T08:15:30Z"),
        (None, 1_399_709_748_123, "2024-05-14T08:15:30.123000Z"),
        ("", 1_399_709_748_000, "2024-05-14T08:15:30Z"),
        (None, True, None),
        (None, -5, None),
        (None, 1 << 60, None),
        (None, "1399709748000", None),
        ("soon", None, None),
        ("2024-13-14T08:15:30Z", 5, None),
    ],
)
def test_time_is_utc_and_tmms_is_gps_time(time: object, tmms: object, wanted: str | None) -> None:
    found = reception_us(time, tmms, NOW_US)
    assert (None if found == NOW_US else utc_text(found)) == wanted
