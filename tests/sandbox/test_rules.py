"""The sandbox's pure rules: timestamps, ids, numbers, calibration, permissions, media types."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lora_post.sandbox.access import GUEST_USER, Resource, Scope, User, denials
from lora_post.sandbox.errors import ErrorAnswer
from lora_post.sandbox.instants import Instant, clock_text, fits_orion, instant_text, parse_instant
from lora_post.sandbox.media import CSV, JSON, TEXT, MediaType, choose
from lora_post.sandbox.queries import parse_query
from lora_post.sandbox.rules import (
    CalibLinear,
    CalibValue,
    as_history,
    as_orion,
    calibrate,
    check_attribute_id,
    check_device_id,
    check_text,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FORBIDDEN = "<>\"'=;()"

# Timestamps


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
        ("2026-01-02 03:04:05 Z", "2026-01-02T03:04:05Z"),
        ("+2026-01-02T03:04Z", "2026-01-02T03:04:00Z"),
        ("2026-01-02T03:04:05.5000Z", "2026-01-02T03:04:05.5Z"),
        ("2026-01-02T03:04:05.000Z", "2026-01-02T03:04:05Z"),
        ("2026-01-02T03:04:05.123456789012Z", "2026-01-02T03:04:05.123456789012Z"),
        ("2026-01-02T03:04:05.1234567890129999Z", "2026-01-02T03:04:05.123456789012Z"),
        ("2026-01-02T03:04:05+14:00", "2026-01-01T13:04:05Z"),
        ("2026-01-02T03:04:05-1200", "2026-01-02T15:04:05Z"),
        ("2026-01-02T03:04:05.25+01", "2026-01-02T02:04:05.25Z"),
        ("2026-01-02T03:04:05-00:00", "2026-01-02T03:04:05Z"),
        ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z"),
        ("2026-06-30T23:59:60Z", "2026-07-01T00:00:00Z"),
        ("1-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("0000000099-12-31T23:59:59Z", None),
    ],
)
def test_a_time_comes_back_in_utc_without_trailing_zeros(text: str, same: str | None) -> None:
    if same is None:
        with pytest.raises(ValueError, match="date must be"):
            parse_instant(text)
    else:
        assert instant_text(parse_instant(text)) == same


@pytest.mark.parametrize(
    "text",
    [
        *("", "now", "2026-01-02", "2026-01-02T03:04:05", "2026-01-02T03:04:05z", "2026-01-02t03:04:05Z"),
        *("2026-1-02T03:04:05Z", "2026-01-2T03:04:05Z", "26-01-02T3:04:05Z", "2026-01-02T03Z", "20260102T030405Z"),
        *("2026-01-02T03:04:05.Z", "2026-01-02T03:04:05,5Z", "2026-01-02T03:04:5Z", "2026-01-02  03:04:05Z"),
        *("2026-01-02T24:00:00Z", "2026-01-02T03:60:00Z", "2026-01-02T03:04:61Z", "2026-13-02T03:04:05Z"),
        *("2026-02-29T03:04:05Z", "2026-00-01T00:00:00Z", "2026-01-00T00:00:00Z", "2100-02-29T00:00:00Z"),
        *("2026-01-02T03:04:05+14:01", "2026-01-02T03:04:05-12:01", "2026-01-02T03:04:05+01:60"),
        *("2026-01-02T03:04:05+1", "2026-01-02T03:04:05+01:", "2026-01-02T03:04:05+", "2026-01-02T03:04:05  Z"),
        *(" 2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z ", "2026-01-02T03:04:05Z\n", "٢٠٢٦-01-02T03:04:05Z"),
        *("2026-01-02T03:04:05 +01:00:00", "--2026-01-02T03:04:05Z", "9" * 5000 + "-01-01T00:00:00Z"),
    ],
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        parse_instant(text)


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("2026-01-02T03:04:05.12345678Z", True),
        ("2026-01-02T03:04:05.123456780000Z", True),
        ("2026-01-02T03:04:05.123456789Z", False),
        ("1969-12-31T23:59:58Z", True),
        ("1969-12-31T23:59:59Z", False),
        ("1970-01-01T00:59:59+01:00", False),
        ("1970-01-01T00:00:00Z", True),
        ("0001-01-01T00:00:00Z", True),
        ("0001-01-01T00:00:00+00:01", False),
        ("0000-12-31T23:59:59Z", False),
        ("-0001-01-01T00:00:00Z", False),
        ("9999-12-31T23:59:59.99999999Z", True),
        ("9999-12-31T23:59:59-00:01", False),
        ("10000-01-01T00:00:00Z", False),
        ("999999999-12-31T00:00:00Z", False),
    ],
)
def test_what_orion_stores(text: str, fits: bool) -> None:
    assert fits_orion(parse_instant(text)) is fits


ZONES = st.integers(-720, 840).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=ZONES))
def test_every_instant_is_kept_and_a_second_reading_changes_nothing(moment: datetime) -> None:
    instant = parse_instant(moment.isoformat())
    micros = instant.second * 1_000_000 + int(instant.fraction.ljust(6, "0"))
    assert micros == (moment - EPOCH) // timedelta(microseconds=1)
    assert parse_instant(instant_text(instant)) == instant
    assert clock_text(micros) == instant_text(instant)


@given(st.text() | st.from_regex(r"[+-]?[0-9]{1,9}-[0-9]{2}-[0-9]{2}[T ][0-9:.]*[ Z+-]?[0-9:]*"))
def test_any_text_is_a_time_or_a_value_error(text: str) -> None:
    try:
        instant = parse_instant(text)
    except ValueError:
        return
    assert isinstance(instant.second, int)
    if fits_orion(instant):
        assert len(instant_text(instant)) <= 29


def test_equal_instants_are_equal_whatever_the_zone() -> None:
    same = {parse_instant("2026-01-02T03:04:05.50Z"), parse_instant("2026-01-02T04:04:05.5+01")}
    assert same == {Instant(1767323045, "5")}


# Ids and text


@given(st.text(max_size=6))
@example("\x7f")
@example("~!")
def test_an_id_is_taken_exactly_when_all_its_bytes_are(device_id: str) -> None:
    allowed = all(33 <= byte <= 126 and chr(byte) not in "?/#&" + FORBIDDEN for byte in device_id.encode())
    assert _passes(check_device_id, device_id) == (allowed and device_id != "")


@pytest.mark.parametrize("check", [check_device_id, check_attribute_id])
def test_the_length_limit_of_ids(check: Any) -> None:
    assert _passes(check, "x" * 256)
    with pytest.raises(ErrorAnswer, match="length: 257, max length supported: 256"):
        check("x" * 257)
    with pytest.raises(ErrorAnswer, match="length: 0, min"):
        check("")


@given(st.text())
def test_text_is_taken_exactly_when_none_of_eight_characters_is_in_it(text: str) -> None:
    assert _passes(check_text, text) == (not set(text) & set(FORBIDDEN))


def _passes(check: Any, text: str) -> bool:
    try:
        check(text)
    except ErrorAnswer as error:
        assert error.status == 400
        assert error.body.startswith('Error from Orion: {"error":"BadRequest",')
        return False
    return True


# Values

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text("abc°"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(VALUES)
def test_stored_values_stay_as_they_are_when_stored_again(value: Any) -> None:
    for store in (as_orion, as_history):
        once = store(value)
        assert store(once) == once


@given(st.integers(-(2**63), 2**63 - 1))
def test_history_keeps_integers_of_64_bits(number: int) -> None:
    assert as_history(number) == number


@given(st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False))
def test_the_last_value_keeps_doubles(number: float) -> None:
    kept = as_orion(number)
    assert kept == number
    assert isinstance(kept, int) or not kept.is_integer() or abs(kept) >= 2**62


@pytest.mark.parametrize(
    ("value", "history", "last"),
    [
        (10**19, 2**63 - 1, 1e19),
        (-(10**19), -(2**63), -1e19),
        (1e300, 2**63 - 1, 1e300),
        (2**53 + 1, 2**53 + 1, 2**53),
        (25.0, 25, 25),
        ([1e19, {"a": 2.0}], [2**63 - 1, {"a": 2}], [1e19, {"a": 2}]),
        (True, True, True),
    ],
)
def test_numbers_in_both_stores(value: Any, history: Any, last: Any) -> None:
    assert as_history(value) == history
    assert as_orion(value) == last


def test_a_number_beyond_any_double_is_refused() -> None:
    with pytest.raises(ErrorAnswer, match="too big"):
        as_orion([10**400])


# Calibration


def line(low: tuple[float, float], high: tuple[float, float], *, enabled: bool = True) -> CalibLinear:
    return CalibLinear(enabled, CalibValue(*low), CalibValue(*high))


@pytest.mark.parametrize(
    ("value", "calib", "real"),
    [
        (600, line((900, 100), (300, 0)), 50),
        (900, line((900, 100), (300, 0)), 100),
        (0, line((0, 1.5), (10, 2.5)), 1.5),
        (600, line((900, 100), (300, 0), enabled=False), 600),
        (600, None, 600),
        (600, line((300, 0), (300, 100)), 600),
        (1e308, line((0, 0), (1e-300, 1e300)), 1e308),
        ("600", line((0, 0), (1, 2)), "600"),
        (True, line((0, 0), (1, 2)), True),
        ([600], line((0, 0), (1, 2)), [600]),
        (None, line((0, 0), (1, 2)), None),
    ],
)
def test_calibration(value: Any, calib: CalibLinear | None, real: Any) -> None:
    found = calibrate(value, calib)
    assert found == real
    assert isinstance(found, bool) == isinstance(real, bool)


# Permissions


@pytest.mark.parametrize("noun", ["device", "gateway"])
@pytest.mark.parametrize(
    ("user", "private", "scope", "allowed"),
    [
        ("owner", True, Scope.DELETE, True),
        ("owner", True, Scope.UPDATE, True),
        ("other", False, Scope.VIEW, True),
        ("other", False, Scope.DATA_VIEW, True),
        ("other", False, Scope.DATA_CREATE, True),
        ("other", False, Scope.UPDATE, False),
        ("other", False, Scope.DELETE, False),
        ("other", True, Scope.VIEW, False),
        ("other", True, Scope.DATA_CREATE, False),
    ],
)
def test_permission_matrix(noun: str, user: str, private: bool, scope: Scope, allowed: bool) -> None:
    resource = Resource(noun, "x", "owner", private)
    assert (denials(User(user), resource, scope) == []) is allowed
    assert denials(User(user, admin=True), resource, scope) == []
    assert denials(GUEST_USER, resource, scope) == denials(User("other"), resource, scope)


def test_without_owner_only_the_admin_may_change() -> None:
    resource = Resource("device", "x", None, private=False)
    assert denials(GUEST_USER, resource, Scope.UPDATE) == ["You are not admin", "not owner of the device"]
    assert denials(User("admin", admin=True), resource, Scope.UPDATE) == []


# HTTP headers and queries


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, TEXT),
        ("*/*", TEXT),
        ("application/json", JSON),
        ("text/csv", None),
        ("text/plain;q=0.5, application/json", JSON),
        ("text/*, application/json;q=0.9", TEXT),
        ("*/*;q=0.1, application/json", JSON),
        ("*/*, text/plain;q=0", JSON),
        ("text/plain;charset=latin-1", None),
        ("text/plain; q=2", None),
        ("", None),
        ("application/json, nonsense", None),
    ],
)
def test_choice_of_the_answers_format(accept: str | None, chosen: MediaType | None) -> None:
    assert choose((TEXT, JSON), accept) == chosen


@given(st.text())
def test_any_accept_header_gives_an_offer_or_none(accept: str) -> None:
    assert choose((JSON, CSV), accept) in (JSON, CSV, None)


@pytest.mark.parametrize(
    ("raw", "query"),
    [
        (b"", {"": None}),
        (b"a=1&b=x%20y+z", {"a": "1", "b": "x y z"}),
        (b"a&b=", {"a": None, "b": ""}),
        (b"a=1;b=2", {"a": "1", "b": "2"}),
        (b"a=1&a=2", {"a": "1"}),
        (b"q=a%3D%3Db%3Bc", {"q": "a==b;c"}),
        (b"q=a==b", {"q": "a==b"}),
        (b"a=%C3%A9%FF", {"a": "é�"}),
    ],
)
def test_query_strings(raw: bytes, query: dict[str, str | None]) -> None:
    assert parse_query(raw) == query
