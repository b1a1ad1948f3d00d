"""A value as Waziup gets it, keeps it and gives it back: always the same one."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.sandbox.rules import as_history
from lora_post.sinks.waziup_values import kept_form, value_objects, wire_values
from lora_post.spool.model import Batch, Lane
from tests.support.build import NOON_US

numbers = st.one_of(
    st.integers(-(10**40), 10**40),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([2**53 + 1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64, 1e19, -1e19, 1e300, 3.4e38, -0.0]),
)
values = st.recursive(
    st.one_of(numbers, st.booleans(), st.text(st.characters(codec="utf-8", exclude_characters="<>\"'=;()"))),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text("abc", min_size=1), inner, max_size=3),
    ),
    max_leaves=8,
)
lanes = st.sampled_from([Lane(1, "pond", name, unit, "", None) for name, unit in (("n", ""), ("a", "g"), ("e", "Wh"))])


def batch(lane: Lane, value: object) -> Batch:
    return Batch(lane, (NOON_US,), (msgspec.json.encode(value),))


def kept(wire: bytes) -> object:
    """What the history gives back of a value; as a server that knows only doubles would give it, too."""
    return msgspec.json.decode(msgspec.json.encode(as_history(msgspec.json.decode(wire))))


def in_doubles(value: object) -> object:
    if isinstance(value, dict):
        return {key: in_doubles(item) for key, item in value.items()}
    if isinstance(value, list):
        return [in_doubles(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


@given(lane=lanes, value=values)
def test_what_is_sent_is_found_again(lane: Lane, value: object) -> None:
    (wire,) = wire_values(batch(lane, value))
    sent, stored = msgspec.json.decode(wire), kept(wire)
    assert kept_form(sent) == kept_form(stored) == kept_form(in_doubles(stored))


@given(value=numbers)
def test_number_is_kept_as_it_is_or_as_the_text_of_it(value: float) -> None:
    (wire,) = wire_values(batch(Lane(1, "pond", "n", "", "", None), value))
    stored = kept(wire)
    assert stored == value or (isinstance(stored, str) and msgspec.json.decode(stored) == value)


@given(one=values, other=values)
def test_only_equal_values_are_taken_for_the_same(one: object, other: object) -> None:
    if kept_form(one) == kept_form(other):
        assert msgspec.json.encode(in_doubles(one)) == msgspec.json.encode(in_doubles(other)) or one == other


@pytest.mark.parametrize(
    ("sent", "stored", "same"),
    [
        (1, 1.0, True),
        (2**53 + 1, float(2**53), True),
        (1, True, False),
        (True, 1, False),
        ("1", 1, False),
        (1, None, False),
        ([1, 2], [1], False),
        ({"x": 1}, {"x": 1, "y": 2}, False),
        ({"x": [1.0, {"y": "a"}]}, {"x": [1, {"y": "a"}]}, True),
        (1.5, 10**400, False),
    ],
)
def test_same_is_what_a_store_of_doubles_cannot_tell_apart(sent: object, stored: object, same: bool) -> None:
    assert (kept_form(sent) == kept_form(stored)) is same


@pytest.mark.parametrize(
    ("queued", "wire"),
    [
        (b"27.2", b"27.2"),
        (b"-9223372036854775808", b"-9223372036854775808"),
        (b"18446744073709551616", b'"18446744073709551616"'),
        (b"1e19", b'"1e19"'),
        (b'{"x":[1,9223372036854775808]}', b'{"x":[1,"9223372036854775808"]}'),
        (b'"<b>"', '"＜b＞"'.encode()),
        (b"true", b"true"),
        (b"-0.30000000000000004", b"-0.30000000000000004"),
    ],
)
def test_number_that_waziup_would_change_goes_as_text(queued: bytes, wire: bytes) -> None:
    one = Batch(Lane(1, "pond", "n", "", "", None), (NOON_US,), (queued,))
    assert wire_values(one) == [wire]
    assert value_objects(one) == [b'{"value":%b,"timestamp":"2026-03-01T12:00:00Z"}' % wire]


def test_one_value_that_is_changed_leaves_the_others_as_they_are() -> None:
    values = (b"27.2", b"true", b'"<b>"', b"-9223372036854775808", b"18446744073709551616", b"false", b"-0.0")
    one = Batch(Lane(1, "pond", "n", "", "", None), tuple(range(NOON_US, NOON_US + len(values))), values)
    texts = {b'"<b>"': '"＜b＞"'.encode(), b"18446744073709551616": b'"18446744073709551616"'}
    assert wire_values(one) == [texts.get(value, value) for value in values]


def test_text_in_the_place_of_a_number_is_said_once_for_a_sensor(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        wire_values(batch(Lane(1, "pond", "said once", "", "", None), math.pow(2, 64)))
    assert [message for message in caplog.messages if "sensor=said once" in message] == [
        "device=pond sensor=said once: a number beyond 64 bits, which Waziup cannot keep, is sent as text"
    ]
