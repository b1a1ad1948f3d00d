"""Times that logs put before a program's line."""

from __future__ import annotations

from datetime import UTC, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.clocks.scale import parse_utc
from lora_post.formats.log_time import logged_us

NOW_US = parse_utc("2026-05-10T12:00:00Z")


@pytest.mark.parametrize(
    ("prefix", "utc"),
    [
        (b"May 09 00:10:26 pi lora_pkt_fwd[8158]: ", "2026-05-09T00:10:26Z"),
        (b"May  9 00:10:26 pi lora_pkt_fwd[8158]: ", "2026-05-09T00:10:26Z"),
        (b"Dec 31 23:59:59 pi x: ", "2025-12-31T23:59:59Z"),
        (b"May 11 01:00:00 pi x: ", "2026-05-11T01:00:00Z"),
        (b"May 13 01:00:00 pi x: ", "2025-05-13T01:00:00Z"),
        (b"Fri Sep 24 12:06:00 2021 daemon.info lora_pkt_fwd[1934]: ", "2021-09-24T12:06:00Z"),
        (b"2026-05-09T00:10:26+0200 pi x: ", "2026-05-08T22:10:26Z"),
        (b"2026-05-09 00:10:26,250 ", "2026-05-09T00:10:26.250Z"),
        (b"[2026-05-09T00:10:26.5Z] ", "2026-05-09T00:10:26.5Z"),
        (b"", "2026-05-10T12:00:00Z"),
        (b"Feb 30 00:10:26 pi x: ", "2026-05-10T12:00:00Z"),
        (b"Feb 29 00:10:26 pi x: ", "2026-05-10T12:00:00Z"),
        (b"rxpk update: ", "2026-05-10T12:00:00Z"),
    ],
)
def test_time_of_the_log_is_found(prefix: bytes, utc: str) -> None:
    assert logged_us(prefix, UTC, NOW_US) == parse_utc(utc)


def test_time_without_a_zone_is_in_that_of_the_machine() -> None:
    east = timezone(timedelta(hours=2))
    assert logged_us(b"May 09 02:10:26 pi x: ", east, NOW_US) == parse_utc("2026-05-09T00:10:26Z")


@given(st.binary(max_size=60))
def test_any_prefix_has_a_time(prefix: bytes) -> None:
    assert isinstance(logged_us(prefix, UTC, NOW_US), int)
