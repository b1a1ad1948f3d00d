from __future__ import annotations

import base64

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.errors import FrameError
from lora_post.text import Spelled, Spelling, as_text, bare_hex, did_you_mean, escaped_json, parse_bytes, printable

DATA = bytes.fromhex("40035cab01ff")


@pytest.mark.parametrize(
    "text",
    [
        "40035cab01ff",
        "40035CAB01FF",
        " 40 03 5c ab 01 ff\n",
        "40:03:5c:ab:01:ff",
        "0x40035cab01ff",
        "0x40 0x03 0x5c 0XAB 0x01 0xff",
        "0x40, 0x03, 0x5c, 0xab, 0x01, 0xff",
        "4003\t5cab 01ff",
        "40-03-5C-AB-01-FF",
        "40035cab-01ff",
        "40035cab-01ff-",
    ],
)
def test_hex_may_be_written_in_many_ways(text: str) -> None:
    assert parse_bytes(text) == Spelled(DATA, Spelling.HEX)


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("QANcqwH/", "40035cab01ff"),
        ("QANcqwH_", "40035cab01ff"),
        ("QANcqwE=", "40035cab01"),
        ("QANcqwE", "40035cab01"),
        ("QANcqw==", "40035cab"),
        ("QANcqw", "40035cab"),
        ("abc=", "69b7"),
        ("0xZZ", "d31659"),
    ],
)
def test_base64_may_be_url_safe_and_without_padding(text: str, data: str) -> None:
    assert parse_bytes(text) == Spelled(bytes.fromhex(data), Spelling.BASE64)


def test_what_could_be_both_is_hex() -> None:
    assert parse_bytes("abcd1234").data.hex() == "abcd1234"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "nothing there"),
        (" \n", "nothing there"),
        ("40035", "5 hex digits, want two for each byte"),
        ("40 3 5c", "1 hex digits in '3', want two for each byte"),
        ("0x", "0 hex digits"),
        ("40-03-5", "1 hex digits in '5', want two for each byte"),
        ("40 0g 5c", "not hex: 'g' at character 5"),
        ("hello!", "neither hex ('h' at character 1) nor base64 ('!' at character 6)"),
        ("\x1b[31m", r"neither hex ('\x1b' at character 1) nor base64 ('\x1b' at character 1)"),
        ("QANcqwH/x", "something is missing at the end"),
        ("QANcqwE==", "something is missing at the end"),
        ("QANc=wE=", "neither hex ('Q' at character 1) nor base64 ('=' before the end)"),
        ("xyz", "neither hex ('x' at character 1) nor base64 ('z' at the end, which no base64 of whole bytes has)"),
        ("zz:", "neither hex ('z' at character 1) nor base64 (':' at character 3)"),
        ("ab" * 3000, "6000 characters"),
    ],
)
def test_complaint_names_what_is_wrong(text: str, complaint: str) -> None:
    with pytest.raises(FrameError) as caught:
        parse_bytes(text)
    assert complaint in str(caught.value)


@given(st.binary(min_size=1, max_size=255), st.sampled_from(["", " ", ":"]))
def test_hex_comes_back_as_the_bytes_that_were_written(data: bytes, separator: str) -> None:
    assert parse_bytes(data.hex(separator) if separator else data.hex()).data == data


@given(st.binary(min_size=24, max_size=255), st.booleans(), st.booleans())
def test_base64_of_a_frame_comes_back_as_the_bytes_that_were_written(data: bytes, url: bool, padded: bool) -> None:
    text = (base64.urlsafe_b64encode(data) if url else base64.b64encode(data)).decode()
    found = parse_bytes(text if padded else text.rstrip("="))
    assert found.data == data or found.spelling is Spelling.HEX


@given(st.text() | st.text(alphabet="0123456789abcdefABx:=+/-_ ,g"))
def test_any_text_gives_bytes_or_one_printable_line(text: str) -> None:
    try:
        parse_bytes(text)
    except FrameError as error:
        assert str(error).isprintable()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("TC/22.5 °C", "TC/22.5 °C"),
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("a\u202eb", r"a\u202eb"),
        ("a\x9b31m", r"a\x9b31m"),
        ("a\nb\x7f", r"a\nb\x7f"),
        ("a\ud800b", r"a\ud800b"),
    ],
)
def test_control_characters_become_escapes(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text())
def test_whatever_is_printed_is_printable(text: str) -> None:
    assert printable(text).isprintable()


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (b"\\!TC/22.5", "\\!TC/22.5"),
        ("TC/22.5°".encode(), "TC/22.5°"),
        (b"\x01\x67\x00\xf0AB\xff", ".g..AB."),
        (b"a\x1b[31m\nb", "a.[31m.b"),
        ("a\u202e".encode(), "a."),
        (b"", ""),
    ],
)
def test_payload_as_text_has_dots_for_what_is_not_printable(payload: bytes, text: str) -> None:
    assert as_text(payload) == text


@given(
    st.recursive(
        st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_escaped_json_means_the_same_and_is_printable(value: object) -> None:
    try:
        encoded = msgspec.json.encode(value)
    except (UnicodeEncodeError, OverflowError):
        return
    escaped = escaped_json(encoded)
    assert escaped.isprintable()
    assert msgspec.json.decode(escaped) == msgspec.json.decode(encoded)


@given(data=st.binary(min_size=1, max_size=16), mark=st.sampled_from(["", " ", ":", "-", ", ", ", 0x", " 0X"]))
def test_hex_of_a_key_is_found_however_it_is_copied(data: bytes, mark: str) -> None:
    first = mark.strip(", ") if "x" in mark.lower() else ""
    assert bare_hex(first + data.hex(mark[-1:]).replace(mark[-1:], mark) if mark else data.hex().upper()) == data.hex()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("{ 0x1, 0x2, 0xAB }", "0102ab"),
        ("0x26011BDA", "26011bda"),
        ("0x123", "123"),  # a digit is missing, and where is not known
        ("12 zz", "12zz"),
        ("", ""),
    ],
)
def test_what_is_not_hex_stays_to_be_found(text: str, wanted: str) -> None:
    assert bare_hex(text) == wanted


@pytest.mark.parametrize("word", ["CayenneLPP", "cayenne lpp", "CAYENNE_LPP", "cayene-lpp"])
def test_name_that_is_nearly_right_is_recognised(word: str) -> None:
    assert did_you_mean(word, ["text", "cayenne-lpp", "xlpp"]) == "did you mean 'cayenne-lpp'?"


def test_of_many_known_words_the_nearest_few_are_named_with_the_command_that_lists_all() -> None:
    many = [f"{maker}-{number}" for maker in ("dragino", "milesight") for number in range(20)]
    assert did_you_mean("draginoo", many, "lora-post decoders") == "did you mean 'dragino-9'?"
    said = did_you_mean("dr", many, "lora-post decoders")
    assert said.startswith("the nearest are dragino-") and said.endswith("; `lora-post decoders` lists all")
    assert did_you_mean("zzz", many) == "known are dragino-0, dragino-1, dragino-10 and others"
