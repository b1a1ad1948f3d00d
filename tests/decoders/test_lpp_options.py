"""Cayenne LPP as some devices send it: with signed numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post import ConfigError, Decoded, DecodeError, Options, Reading
from lora_post.decoding.loading import load_folder, shipped_folder
from lora_post.model import Value
from lora_post.payloads.lpp import NAMES, SIGNED

decoder = load_folder(shipped_folder()).decoders["cayenne-lpp"]


def decode(payload: str | bytes, fport: int, options: Options) -> list[Reading]:
    assert decoder.configure is not None
    data = bytes.fromhex(payload) if isinstance(payload, str) else payload
    result = decoder.configure(options)(data, fport)
    assert not isinstance(result, Decoded)
    return result


@pytest.mark.parametrize(
    ("payload", "unsigned", "signed"),
    [
        ("01748ca0", 360.0, -295.36),
        ("0173c350", 5000.0, -1553.6),
        ("0175fc18", 64.536, -1.0),
        ("0182ffffffff", 4294967.295, -0.001),
        ("0183fffffffe", 4294967.294, -0.002),
        ("03747fff", 327.67, 327.67),
    ],
)
def test_signed_devices_send_negative_values(payload: str, unsigned: Value, signed: Value) -> None:
    assert [reading.value for reading in decode(payload, 1, {"signed": False})] == [unsigned]
    assert [reading.value for reading in decode(payload, 1, {"signed": True})] == [signed]


@given(
    kind=st.sampled_from(sorted(NAMES.keys() - set(SIGNED) - {240})),
    data=st.binary(min_size=9, max_size=9),
)
def test_signed_changes_no_other_type(kind: int, data: bytes) -> None:
    def first(options: Options) -> Reading:
        try:
            return decode(bytes([1, kind]) + data, 1, options)[0]
        except DecodeError as error:
            return error.kept[0]

    assert first({"signed": True}) == first({})


@given(
    payload=st.binary(max_size=255),
    fport=st.sampled_from([1, 2, 101]),
    options=st.fixed_dictionaries({}, optional={"signed": st.booleans()}),
)
def test_any_bytes_give_readings_or_a_decode_error(payload: bytes, fport: int, options: Options) -> None:
    try:
        decode(payload, fport, options)
    except DecodeError as error:
        assert str(error).startswith("offset ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sined": True}, "option 'sined' is not known; known is signed"),
        ({"signed": 1}, "option 'signed' is 1, want true or false"),
        (
            {"signed": "yes", "port": 2},
            "option 'port' is not known; known is signed; option 'signed' is 'yes', want true or false",
        ),
    ],
)
def test_wrong_option_is_named_with_what_is_wanted(options: Options, message: str) -> None:
    assert decoder.configure is not None
    with pytest.raises(ConfigError) as caught:
        decoder.configure(options)
    assert str(caught.value) == message
