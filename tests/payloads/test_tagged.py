"""Sequences of values behind tags, as several makers send them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.errors import DecodeError, Implausible, WrongFormat, WrongLength
from lora_post.model import Reading
from lora_post.payloads.tagged import Items, axes, flag, number, read_tagged, skipped, together

ITEMS: Items = {
    b"\x01": number("temperature", "°C", ">h", 10, least=-40, most=85, faults=frozenset({0x7FFF})),
    b"\x02": flag("door"),
    b"\x03": axes("accelerometer", "g", 1000),
    b"\x04": skipped(2),
    b"\x05": together(number("humidity", "%", most=100), number("distance_2", "mm", "<H")),
    b"\x06": number("distance_2", "mm", "<H"),
    b"\x07": number("count", quantity="Count"),
}

TABLE: list[tuple[str, list[Reading]]] = [
    ("", []),
    ("01 FFCE", [Reading("temperature", -5.0, "°C")]),
    ("01 7FFF  02 00  02 FF", [Reading("door", False), Reading("door_2", True)]),
    ("03 03E8 0000 FFFF", [Reading("accelerometer", {"x": 1.0, "y": 0.0, "z": -0.001}, "g")]),
    ("04 0102  07 05", [Reading("count", 5, quantity="Count")]),
    ("05 32 0100", [Reading("humidity", 50, "%"), Reading("distance_2", 1, "mm")]),
]


@pytest.mark.parametrize(("payload", "gives"), TABLE, ids=[payload or "empty" for payload, _ in TABLE])
def test_values_are_read_in_order(payload: str, gives: list[Reading]) -> None:
    assert read_tagged(bytes.fromhex(payload), ITEMS) == gives


def test_what_is_before_the_start_is_no_tag() -> None:
    assert read_tagged(bytes.fromhex("FFFF 02 01"), ITEMS, 2) == [Reading("door", True)]


def test_two_byte_tags_are_read_as_one() -> None:
    items = {b"\x00\x67": number("raw", "", ">h")}
    assert read_tagged(bytes.fromhex("0067 0102"), items) == [Reading("raw", 258)]
    with pytest.raises(WrongFormat, match="offset 4: 00 is not known"):
        read_tagged(bytes.fromhex("0067 0102 00"), items)


def test_name_that_comes_again_gets_the_next_free_number() -> None:
    readings = read_tagged(bytes.fromhex("06 0100  06 0200  06 0300  05 0A 0400"), ITEMS)
    assert [reading.name for reading in readings] == [
        "distance_2",
        "distance_3",
        "distance_4",
        "humidity",
        "distance_5",
    ]


@pytest.mark.parametrize(
    ("payload", "kept", "error", "message"),
    [
        ("02 01  08 00", ["door"], WrongFormat, "offset 2: 08 is not known"),
        ("02 01  01 00", ["door"], WrongLength, "offset 2: value cut short, 1 of 2 bytes"),
        ("01 0384  02 01", ["door"], Implausible, "offset 0: temperature 90.0 °C, at most 85"),
        ("01 FE0C  02 01", ["door"], Implausible, "offset 0: temperature -50.0 °C, at least -40"),
        ("05 FF 0100  02 01", ["distance_2", "door"], Implausible, "offset 0: humidity 255 %, at most 100"),
    ],
)
def test_fault_costs_as_little_as_it_can(payload: str, kept: list[str], error: type[DecodeError], message: str) -> None:
    with pytest.raises(error) as caught:
        read_tagged(bytes.fromhex(payload), ITEMS)
    assert str(caught.value) == message
    assert [reading.name for reading in caught.value.kept] == kept


@given(st.binary(max_size=255))
def test_any_bytes_give_readings_with_different_names_or_a_decode_error(payload: bytes) -> None:
    try:
        readings = read_tagged(payload, ITEMS)
    except DecodeError as error:
        readings = list(error.kept)
    assert len({reading.name for reading in readings}) == len(readings)
