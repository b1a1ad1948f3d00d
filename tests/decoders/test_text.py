from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post import DecodeError, NoReading, WrongFormat
from lora_post.decoding.loading import load_folder, shipped_folder
from lora_post.model import Value

decode = load_folder(shipped_folder()).decoders["text"].decode


def pairs(payload: str | bytes) -> list[tuple[str, Value]]:
    readings = decode(payload if isinstance(payload, bytes) else payload.encode(), 0)
    assert all((reading.unit, reading.channel) == ("", None) for reading in readings)
    return [(reading.name, reading.value) for reading in readings]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"\!TC/22.5", [("TC", 22.5)]),
        (r"\!TC/22.50/HU/85", [("TC", 22.5), ("HU", 85)]),
        (r"\!#3#TC/22.50", [("TC", 22.5)]),
        (r"\!##TC/9.47/HU/55.5", [("TC", 9.47), ("HU", 55.5)]),
        (r"\!4#22.5", [("DEF", 22.5)]),
        (r"\!SGSH52UGPVAUYG3S#2#9.4", [("DEF", 9.4)]),
        (r"\!field7#2#LUX/1024/TXT/ok", [("LUX", 1024), ("TXT", "ok")]),
        (r"\!BC/12/LAT/36.7/LGT/-3.05/FXT/4", [("BC", 12), ("LAT", 36.7), ("LGT", -3.05), ("FXT", 4)]),
        (r"\!a#b#c#d/1", [("DEF", "c")]),
        (r"\!22.5", [("DEF", 22.5)]),
        (r"\!ok", [("DEF", "ok")]),
        (r"\! TC / 22 .5 / HU / 85 ", [("TC", 22.5), ("HU", 85)]),
        ("\\!TC/22.5\n", [("TC", 22.5)]),
        ("\\!TC/22.5\r\n\0", [("TC", 22.5)]),
        (r"\!TC/22.5/", [("TC", 22.5)]),
        (r"\!TC/1/TC/2", [("TC", 1), ("TC", 2)]),
        (r"\!tc/1/Tc/2", [("tc", 1), ("Tc", 2)]),
        (r"\!température/21", [("température", 21)]),
    ],
)
def test_upload_text_gives_its_readings(text: str, expected: list[tuple[str, Value]]) -> None:
    assert pairs(text) == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("5", 5),
        ("0.5", 0.5),
        ("-0.3", -0.3),
        ("+3", 3),
        ("1e3", 1000.0),
        ("100.", 100.0),
        (".5", 0.5),
        ("-3.20", -3.2),
        ("007", 7),
        ("9223372036854775807", 9223372036854775807),
        ("-9223372036854775808", -9223372036854775808),
        ("9223372036854775808", 9223372036854775808.0),
        ("1" * 30, float("1" * 30)),
        ("1e999", "1e999"),
        ("9" * 400, "9" * 400),
        ("nan", "nan"),
        ("inf", "inf"),
        ("-Infinity", "-Infinity"),
        ("1_000", "1_000"),
        ("0x10", "0x10"),
        ("22,5", "22,5"),
        ("1e", "1e"),
        (".", "."),
        ("--1", "--1"),
        ("٣", "٣"),
        ("on", "on"),
    ],
)
def test_finite_decimal_is_a_number_and_anything_else_text(text: str, value: Value) -> None:
    ((_, found),) = pairs(rf"\!X/{text}")
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "message", "kept"),
    [
        (r"\!TC/21.0/HU", "name 'HU' without value", [("TC", 21.0)]),
        (r"\!TC//HU/3", "name 'TC' without value", [("HU", 3)]),
        (r"\!TC/", "name 'TC' without value", []),
        (r"\!/1/HU/3", "name '' is empty or not printable", [("HU", 3)]),
        ("\\!A\x1b[2J/1/HU/3", r"name 'A\x1b[2J' is empty or not printable", [("HU", 3)]),
    ],
)
def test_pair_without_name_or_value_is_told_and_the_rest_kept(
    text: str, message: str, kept: list[tuple[str, Value]]
) -> None:
    with pytest.raises(WrongFormat, match=re.escape(message)) as caught:
        decode(text.encode(), 0)
    assert [(reading.name, reading.value) for reading in caught.value.kept] == kept


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (rb"\!", r"no value after \!"),
        (rb"\!4#", r"no value after \!"),
        (b"\\!\xff", "is not UTF-8"),
        (b"\x03\x67\x01\x10", "neither"),
        (b"hello", "neither"),
        (b"", "neither"),
    ],
)
def test_what_is_no_upload_text_is_refused_with_a_reason(payload: bytes, message: str) -> None:
    with pytest.raises(WrongFormat, match=re.escape(message)) as caught:
        decode(payload, 0)
    assert caught.value.kept == ()


@pytest.mark.parametrize(
    ("payload", "message"), [(rb"\$hello", "log text: 'hello'"), (rb"\$" + b"x" * 100, f"log text: '{'x' * 40}'…")]
)
def test_log_text_is_no_reading(payload: bytes, message: str) -> None:
    with pytest.raises(NoReading, match=re.escape(message)):
        decode(payload, 0)


@pytest.mark.parametrize("text", ["TC/22.5", "TC/22.5/HU/85", "TC/22.5/HU/85\n", "soil_1/-3/A/1e2"])
def test_without_the_mark_names_and_numbers_throughout_are_taken(text: str) -> None:
    assert pairs(text) == pairs("\\!" + text)


@pytest.mark.parametrize(
    "text", ["22.5", "TC", "TC/22.5/HU", "TC/ok", "1/2", "TC/nan", "TC/1e999", "T C/1", "/1", "TC/1/", "usr/bin/1/2"]
)
def test_without_the_mark_anything_else_is_refused(text: str) -> None:
    with pytest.raises(WrongFormat, match="neither"):
        decode(text.encode(), 0)


@given(st.binary(max_size=255) | st.binary(max_size=250).map(lambda tail: b"\\!" + tail))
def test_any_bytes_give_readings_or_a_decode_error(payload: bytes) -> None:
    try:
        readings = decode(payload, 0)
    except DecodeError as error:
        readings = list(error.kept)
        assert str(error).isprintable()
        assert len(str(error)) < 250
    assert all(reading.name.isprintable() and reading.name for reading in readings)


@given(
    st.lists(
        st.tuples(
            st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True),
            st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_what_was_written_is_read_with_or_without_the_mark(values: list[tuple[str, int | float]]) -> None:
    text = "/".join(f"{name}/{value!r}" for name, value in values)
    for found in (pairs(text), pairs("\\!" + text)):
        assert [name for name, _ in found] == [name for name, _ in values]
        for (_, read), (_, written) in zip(found, values, strict=True):
            assert type(read) is type(written)
            assert isinstance(read, int | float) and math.isclose(read, written, rel_tol=0)
