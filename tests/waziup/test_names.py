from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.waziup.names import MAX_ID, RESERVED, to_id, to_text, to_value

FORBIDDEN = set("<>\"'=;()")


def from_id(sensor_id: str) -> str:
    """The name that `to_id` was given; an id cut for its length comes back as it is."""
    if "~~" in sensor_id:
        return sensor_id
    plain = re.sub(rb"~([0-9a-f]{2})", lambda m: bytes([int(m[1], 16)]), sensor_id.removesuffix("~").encode())
    return plain.decode("utf-8", "surrogatepass")


def from_text(text: str) -> str:
    """The text that `to_text` was given."""
    return text.translate({ord(c) + 0xFEE0: c for c in FORBIDDEN})


@pytest.mark.parametrize(
    ("name", "sensor_id"),
    [
        ("temperature_3", "temperature_3"),
        ("TC", "TC"),
        ("door.open", "door.open"),
        ("owner", "owner~"),
        ("visibility", "visibility~"),
        ("Owner", "Owner"),
        ("", "~"),
        ("T (°C)", "T~20~28~c2~b0C~29"),
        ("a/b", "a~2fb"),
        ("..%2f..", "..~252f.."),
        ("~", "~7e"),
        ("owner~", "owner~7e"),
    ],
)
def test_name_is_mapped_and_comes_back(name: str, sensor_id: str) -> None:
    assert to_id(name) == sensor_id
    assert from_id(sensor_id) == name


@given(st.text(max_size=40))
def test_any_short_name_is_reversible_and_safe(name: str) -> None:
    sensor_id = to_id(name)
    assert re.fullmatch(r"[A-Za-z0-9_.~-]{1,128}", sensor_id)
    assert sensor_id not in RESERVED
    if len(sensor_id) < MAX_ID and "~~" not in sensor_id:
        assert from_id(sensor_id) == name


@given(st.lists(st.text(max_size=300), unique=True, max_size=5))
def test_different_names_have_different_ids(names: list[str]) -> None:
    ids = [to_id(name) for name in names]
    assert len(set(ids)) == len(ids)
    assert all(1 <= len(sensor_id) <= MAX_ID for sensor_id in ids)


@given(st.text())
def test_text_loses_what_the_server_refuses_and_comes_back(text: str) -> None:
    sent = to_text(text)
    assert not FORBIDDEN & set(sent)
    if not any(0xFF00 <= ord(c) <= 0xFFEF for c in text):
        assert from_text(sent) == text


def test_values_are_mapped_inside_objects_and_lists() -> None:
    assert to_value({"a.b": ["(x)", 1, True], "$k": 2.5}) == {"a．b": ["（x）", 1, True], "＄k": 2.5}
    assert to_value(5) == 5
