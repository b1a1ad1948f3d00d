"""Cayenne LPP as some devices send it: signed, packed, with history."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post import ConfigError, Decoded, DecodeError, Options, Reading, WrongFormat, WrongLength
from lora_post.decoding.files import load_decoders, shipped_folder
from lora_post.model import Value
from lora_post.payloads.lpp import NAMES, SIGNED

decoder = load_decoders(shipped_folder()).decoders["cayenne-lpp"]


def decode(payload: str | bytes, fport: int, options: Options) -> list[Reading]:
    assert decoder.configure is not None
    data = bytes.fromhex(payload) if isinstance(payload, str) else payload
    result = decoder.configure(options)(data, fport)
    assert not isinstance(result, Decoded)
    return result


# signed


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


def test_signed_goes_with_packed_and_history() -> None:
    options = {"signed": True, "packed_ports": [2], "history_ports": [101]}
    assert decode("74ffff", 2, options) == [Reading("voltage_0", -0.01, "V", 0)]
    assert decode("740001ffff", 101, options) == [Reading("voltage_1", -0.01, "V", 1, age_s=1.0)]


# packed


@pytest.mark.parametrize(
    ("payload", "values"),
    [
        ("6701106700ff", {"temperature_0": 27.2, "temperature_1": 25.5}),
        ("66018806765ff2960a0003e868c8", {"presence_0": 1, "gps_1": None, "relative_humidity_2": 100.0}),
        ("f009e307ca1d0218a51266016700eb", {"polyline_0": None, "presence_1": 1, "temperature_2": 23.5}),
        ("", {}),
    ],
)
def test_packed_values_have_the_channel_of_their_place(payload: str, values: dict[str, Value]) -> None:
    readings = decode(payload, 2, {"packed_ports": [2]})
    assert [reading.name for reading in readings] == list(values)
    assert [reading.channel for reading in readings] == list(range(len(values)))
    for reading in readings:
        assert values[reading.name] in (None, reading.value)


@pytest.mark.parametrize(
    ("payload", "error", "message", "kept"),
    [
        ("67011080", WrongLength, "offset 3: type 128: value cut short, 0 of 2 bytes", ["temperature_0"]),
        ("8000", WrongLength, "offset 0: type 128: value cut short, 1 of 2 bytes", []),
        ("670110ff", WrongFormat, "offset 3: type 255: unknown type", ["temperature_0"]),
        ("f008c807ca1d0218a5", WrongFormat, "offset 0: type 240: factor 200 is not defined", []),
    ],
)
def test_damaged_packed_item_yields_what_came_before_it(
    payload: str, error: type[DecodeError], message: str, kept: list[str]
) -> None:
    with pytest.raises(error) as caught:
        decode(payload, 2, {"packed_ports": [2]})
    assert str(caught.value) == message
    assert [reading.name for reading in caught.value.kept] == kept


# history


@pytest.mark.parametrize(
    ("fport", "payload", "readings"),
    [
        (
            101,
            "80003c00c8800000 00fa",
            [Reading("power_1", 200, "W", 1, age_s=60.0), Reading("power_1", 250, "W", 1)],
        ),
        (199, "67ffff00eb", [Reading("temperature_99", 23.5, "°C", 99, age_s=65535.0)]),
        (100, "66000a01", [Reading("presence_0", 1, "", 0, age_s=10.0)]),
    ],
)
def test_history_has_the_channel_of_its_fport_and_ages(fport: int, payload: str, readings: list[Reading]) -> None:
    assert decode(payload, fport, {"history_ports": [100, 101, 199]}) == readings


@pytest.mark.parametrize(
    ("payload", "error", "message"),
    [
        ("6700", WrongLength, "offset 5: type 103: age cut short, 1 of 2 bytes"),
        ("67", WrongLength, "offset 5: type 103: age cut short, 0 of 2 bytes"),
        ("670000", WrongLength, "offset 5: type 103: value cut short, 0 of 2 bytes"),
        ("67000001", WrongLength, "offset 5: type 103: value cut short, 1 of 2 bytes"),
        ("ff000001", WrongFormat, "offset 5: type 255: unknown type"),
    ],
)
def test_damaged_history_item_yields_what_came_before_it(payload: str, error: type[DecodeError], message: str) -> None:
    with pytest.raises(error) as caught:
        decode("80003c00c8" + payload, 101, {"history_ports": [101]})
    assert str(caught.value) == message
    assert caught.value.kept == (Reading("power_1", 200, "W", 1, age_s=60.0),)


# which FPort means what is configured, never guessed


@pytest.mark.parametrize("options", [{}, {"signed": True}, {"packed_ports": [3], "history_ports": [102]}])
@pytest.mark.parametrize("fport", [0, 1, 2, 101])
def test_other_fports_are_read_with_channels(options: Options, fport: int) -> None:
    assert decode("03670110", fport, options) == [Reading("temperature_3", 27.2, "°C", 3)]


@given(
    payload=st.binary(max_size=255),
    fport=st.sampled_from([1, 2, 101]),
    options=st.fixed_dictionaries(
        {}, optional={"signed": st.booleans(), "packed_ports": st.just([2]), "history_ports": st.just([101])}
    ),
)
def test_any_bytes_give_readings_or_a_decode_error(payload: bytes, fport: int, options: Options) -> None:
    try:
        decode(payload, fport, options)
    except DecodeError as error:
        assert str(error).startswith("offset ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sined": True}, "option 'sined' is not known; known are signed, packed_ports, history_ports"),
        ({"signed": 1}, "option 'signed' is 1, want true or false"),
        ({"packed_ports": 2}, "option 'packed_ports' is 2, want a list of FPorts 1 … 223"),
        ({"packed_ports": [0]}, "option 'packed_ports' is [0], want a list of FPorts 1 … 223"),
        ({"packed_ports": [True]}, "option 'packed_ports' is [True], want a list of FPorts 1 … 223"),
        ({"history_ports": [99]}, "option 'history_ports' is [99], want a list of FPorts 100 … 199"),
        ({"history_ports": ["101"]}, "option 'history_ports' is ['101'], want a list of FPorts 100 … 199"),
        (
            {"signed": "yes", "history_ports": [2]},
            "option 'signed' is 'yes', want true or false; "
            "option 'history_ports' is [2], want a list of FPorts 100 … 199",
        ),
        (
            {"packed_ports": [2, 101], "history_ports": [101]},
            "FPort 101 is in 'packed_ports' and in 'history_ports', want one",
        ),
    ],
)
def test_wrong_option_is_named_with_what_is_wanted(options: Options, message: str) -> None:
    assert decoder.configure is not None
    with pytest.raises(ConfigError) as caught:
        decoder.configure(options)
    assert str(caught.value) == message
