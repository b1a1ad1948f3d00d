from __future__ import annotations

from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post import Decoded, DecodeError, Reading, WrongFormat, WrongLength
from lora_post.decoding.loading import load_folder, shipped_folder
from lora_post.model import Value

function = load_folder(shipped_folder()).decoders["xlpp"].decode

Gives: TypeAlias = dict[str, Value]

# Published in the README of Waziup/xlpp; the second is its list of values as the current writer encodes them.
PUBLISHED: list[tuple[str, Gives]] = [
    ("006700eb", {"temperature_0": 23.5}),
    (
        "00000c01010c02020177030301a90465002d0566050667013c07682d08710cadff55038d097300290a8601a901fe0014"
        "0b8807ca1d0218a5002fa80c33fc500d3474657374203a29000e360f3906010203070809107b636f756e740033fc5070"
        "6f73008807ca1d0218a5002fa876616c00000c00115b660565002d67013c5d123a",
        {
            "digital_in_0": 12,
            "digital_out_1": 12,
            "analog_in_2": 3.75,
            "analog_out_3": 4.25,
            "luminosity_4": 45,
            "presence_5": 5,
            "temperature_6": 31.6,
            "relative_humidity_7": 22.5,
            "accelerometer_8": {"x": 3.245, "y": -0.171, "z": 0.909},
            "barometric_pressure_9": 4.1,
            "gyrometer_10": {"x": 4.25, "y": 5.1, "z": 0.2},
            "gps_11": {"latitude": 51.0493, "longitude": 13.7381, "altitude": 122.0},
            "integer_12": 5182,
            "string_13": "test :)",
            "bool_14": True,
            "binary_15": "010203070809",
            "object_16": {
                "count": 5182,
                "pos": {"latitude": 51.0493, "longitude": 13.7381, "altitude": 122.0},
                "val": 12,
            },
            "array_17": [5, 45, 31.6],
        },
    ),
]
BUILT: list[tuple[str, Gives]] = [
    ("013300", {"integer_1": 0}),
    ("013301", {"integer_1": -1}),
    ("013302", {"integer_1": 1}),
    ("013303", {"integer_1": -2}),
    ("01337e", {"integer_1": 63}),
    ("01338001", {"integer_1": 64}),
    ("01337f", {"integer_1": -64}),
    ("01338101", {"integer_1": -65}),
    ("0133fc50", {"integer_1": 5182}),
    ("0133fb50", {"integer_1": -5182}),
    ("0133aab4de75", {"integer_1": 123456789}),
    ("0133a9b4de75", {"integer_1": -123456789}),
    ("01338080808010", {"integer_1": 2147483648}),
    ("0133ffffffff0f", {"integer_1": -2147483648}),
    ("0133feffffffffffffffff01", {"integer_1": 2**63 - 1}),
    ("0133ffffffffffffffffff01", {"integer_1": -(2**63)}),
    ("01346f6b00", {"string_1": "ok"}),
    ("013400", {"string_1": ""}),
    ("0134c2b04300", {"string_1": "°C"}),
    ("0134b04300", {"string_1": "\\xb0C"}),  # Latin-1
    ("0135", {"bool_1": False}),
    ("0136", {"bool_1": True}),
    ("0137", {"bool_1": False}),
    ("013900", {"binary_1": ""}),
    ("0f3906010203070809", {"binary_15": "010203070809"}),
    ("017b00", {"object_1": {}}),
    ("017b6100336261003a00", {"object_1": {"a": 49}}),  # the null of `ba` is left out
    ("015b5d", {"array_1": []}),
    ("015b5b33065d7b610036005d", {"array_1": [[3], {"a": True}]}),
    ("115b660565002d67013c5d", {"array_17": [5, 45, 31.6]}),
    (
        "107b636f756e740033fc50706f73008807ca1d0218a5002fa876616c00000c00",
        {
            "object_16": {
                "count": 5182,
                "pos": {"latitude": 51.0493, "longitude": 13.7381, "altitude": 122.0},
                "val": 12,
            }
        },
    ),
    ("015b5b5b5b5b33065d5d5d5d5d", {"array_1": [[[[[3]]]]]}),
    ("fa6700eb", {"temperature_250": 23.5}),  # reserved, and still ordinary to a reader
    ("fe6700ebff33fc50", {"temperature_254": 23.5, "integer_255": 5182}),
    ("123a", {}),
    ("fd010a23", {}),
    ("", {}),
]


def readings_in(payload: bytes) -> list[Reading]:
    result = function(payload, 1)
    return result.readings if isinstance(result, Decoded) else result


@pytest.mark.parametrize(("payload", "values"), PUBLISHED + BUILT, ids=[payload for payload, _ in PUBLISHED + BUILT])
def test_vector_gives_its_values(payload: str, values: Gives) -> None:
    result = function(bytes.fromhex(payload), 1)
    assert isinstance(result, list)  # nothing to warn of
    assert [(reading.name, reading.value) for reading in result] == list(values.items())
    assert [type(reading.value) for reading in result] == [type(value) for value in values.values()]
    assert all(reading.name.endswith(f"_{reading.channel}") and reading.age_s == 0 for reading in result)


# delays and actuators


@pytest.mark.parametrize(
    ("payload", "ages"),
    [
        ("016700e1fd001e00016700ddfd001e000167fff4", [0, 1800, 3600]),
        ("fd010a23013300", [4235]),
        ("fdffffff013300", [255 * 3600 + 255 * 60 + 255]),
        ("fd000005fd000007015b5d01360137", [12, 12, 12]),
        ("0136fd000001", [0]),
    ],
)
def test_delays_add_up_and_concern_what_follows(payload: str, ages: list[float]) -> None:
    assert [reading.age_s for reading in readings_in(bytes.fromhex(payload))] == ages


def test_delayed_value_keeps_its_unit() -> None:
    assert readings_in(bytes.fromhex("fd000001037457b8")) == [Reading("voltage_3", 224.56, "V", 3, age_s=1.0)]


@pytest.mark.parametrize(
    ("payload", "warning"),
    [
        ("fc0387038e", "actuators: 0 colour, 1 analog_out, 2 switch"),
        ("fb0203741187", "actuators: 3 voltage, 17 colour"),
        ("fb020374118706 3306", "actuators: 3 voltage, 17 colour"),
        ("fc0187 fb01 0574", "actuators: 0 colour, 5 voltage"),
        ("fc0333c85b", "actuators: 0 integer, 1 type 200, 2 array"),
        ("fc14" + "03" * 20, f"actuators: {', '.join(f'{place} analog_out' for place in range(16))} and 4 more"),
    ],
)
def test_actuators_are_named_in_a_warning(payload: str, warning: str) -> None:
    result = function(bytes.fromhex(payload), 1)
    assert isinstance(result, Decoded)
    assert result.warnings == (warning,)
    assert [reading.name for reading in result.readings] == (["integer_6"] if payload.endswith("3306") else [])


def test_marker_without_actuators_says_nothing() -> None:
    assert function(bytes.fromhex("fc00fb00"), 1) == []


def test_null_in_an_array_is_left_out_with_a_warning() -> None:
    result = function(bytes.fromhex("015b33023a33045d"), 1)
    assert result == Decoded(
        [Reading("array_1", [1, 2], "", 1)], ("1 null left out of an array; what follows it in there moves up",)
    )


# what cannot be read

FIRST = "006700eb"


@pytest.mark.parametrize(
    ("rest", "error", "message"),
    [
        ("01", WrongLength, "offset 4: channel 1: cut short"),
        ("0133", WrongLength, "offset 4: channel 1, type 51: cut short"),
        ("013380", WrongLength, "offset 4: channel 1, type 51: cut short"),
        ("01346f6b", WrongLength, "offset 4: channel 1, type 52: text cut short"),
        ("01390241", WrongLength, "offset 4: channel 1, type 57: binary cut short, 1 of 2 bytes"),
        ("0139ffffffffffffffffff01", WrongLength, "binary cut short, 0 of 18446744073709551615 bytes"),
        ("0188000000", WrongLength, "offset 4: channel 1, type 136: cut short"),
        ("015b", WrongLength, "offset 4: channel 1, type 91: cut short"),
        ("015b3306", WrongLength, "offset 4: channel 1, type 91: cut short"),
        ("015b67", WrongLength, "offset 4: channel 1, type 91: cut short"),
        ("017b", WrongLength, "offset 4: channel 1, type 123: cut short"),
        ("017b61", WrongLength, "offset 4: channel 1, type 123: text cut short"),
        ("017b6100", WrongLength, "offset 4: channel 1, type 123: cut short"),
        ("fd", WrongLength, "offset 4: marker fd: cut short"),
        ("fd0000", WrongLength, "offset 4: marker fd: cut short"),
        ("fc", WrongLength, "offset 4: marker fc: cut short"),
        ("fc0287", WrongLength, "offset 4: marker fc: 2 actuators cut short"),
        ("fb01", WrongLength, "offset 4: marker fb: 1 actuators cut short"),
        ("fb020374", WrongLength, "offset 4: marker fb: 2 actuators cut short"),
        ("0138", WrongFormat, "offset 4: channel 1, type 56: unknown type 56 at offset 5"),
        ("015d", WrongFormat, "offset 4: channel 1, type 93: unknown type 93 at offset 5"),
        ("015b33065c5d", WrongFormat, "offset 4: channel 1, type 91: unknown type 92 at offset 8"),
        ("0133ffffffffffffffffff02", WrongFormat, "offset 4: channel 1, type 51: integer of more than 64 bits"),
        ("0133" + "80" * 10 + "00", WrongFormat, "offset 4: channel 1, type 51: integer of more than 64 bits"),
        ("01f008c807ca1d0218a5", WrongFormat, "offset 4: channel 1, type 240: factor 200 is not defined"),
        ("01" + "5b" * 7 + "5d" * 7, WrongFormat, "offset 4: channel 1, type 91: nested deeper than 6 levels"),
        ("01" + "5b" * 240, WrongFormat, "offset 4: channel 1, type 91: nested deeper than 6 levels"),
        ("01" + "7b6100" * 80, WrongFormat, "offset 4: channel 1, type 123: nested deeper than 6 levels"),
    ],
)
def test_damaged_item_yields_what_came_before_it(rest: str, error: type[DecodeError], message: str) -> None:
    with pytest.raises(error) as caught:
        function(bytes.fromhex(FIRST + rest), 1)
    assert message in str(caught.value)
    assert caught.value.kept == (Reading("temperature_0", 23.5, "°C", 0),)


# properties

# What a value is on air, and what it is as a reading; None: null.
Coded: TypeAlias = tuple[bytes, "Value | None"]


def varint(number: int) -> bytes:
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(groups) + bytes([number])


def coded_integer(number: int) -> Coded:
    return b"\x33" + varint(2 * number if number >= 0 else -2 * number - 1), number


def coded_array(items: list[Coded]) -> Coded:
    return b"\x5b" + b"".join(data for data, _ in items) + b"\x5d", [value for _, value in items if value is not None]


def coded_object(members: dict[str, Coded]) -> Coded:
    data = b"".join(key.encode() + b"\0" + data for key, (data, _) in members.items())
    return b"\x7b" + data + b"\0", {key: value for key, (_, value) in members.items() if value is not None}


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
SINGLE: st.SearchStrategy[Coded] = st.one_of(
    st.integers(-(2**63), 2**63 - 1).map(coded_integer),
    TEXT.map(lambda text: (b"\x34" + text.encode() + b"\0", text)),
    st.binary(max_size=200).map(lambda data: (b"\x39" + varint(len(data)) + data, data.hex())),
    st.sampled_from([(b"\x36", True), (b"\x37", False), (b"\x3a", None)]),
    st.integers(-(2**15), 2**15 - 1).map(lambda n: (b"\x67" + n.to_bytes(2, "big", signed=True), n / 10)),
    st.integers(0, 2**32 - 1).map(lambda n: (b"\x64" + n.to_bytes(4, "big"), n)),
)


def nested(depth: int) -> st.SearchStrategy[Coded]:
    if depth == 0:
        return SINGLE
    inner = nested(depth - 1)
    members = st.dictionaries(TEXT.filter(bool), inner, max_size=3)
    return SINGLE | st.lists(inner, max_size=3).map(coded_array) | members.map(coded_object)


FIELD = st.tuples(st.integers(0, 250), nested(3))
DELAY = st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255))


@given(parts=st.lists(FIELD | DELAY, max_size=6))
def test_what_an_encoder_writes_is_read_again(
    parts: list[tuple[int, Coded] | tuple[int, int, int]],
) -> None:
    payload, age_s, expected = b"", 0, []
    for part in parts:
        if len(part) == 3:
            payload += bytes([0xFD, *part])
            age_s += part[0] * 3600 + part[1] * 60 + part[2]
        else:
            channel, (data, value) = part
            payload += bytes([channel]) + data
            if value is not None:
                expected.append((channel, value, age_s))
    assert [(reading.channel, reading.value, reading.age_s) for reading in readings_in(payload)] == expected


@given(head=FIELD, payload=st.binary(max_size=255), fport=st.integers(0, 255))
def test_any_bytes_give_readings_or_a_decode_error(head: tuple[int, Coded], payload: bytes, fport: int) -> None:
    channel, (data, value) = head
    try:
        result = function(bytes([channel]) + data + payload, fport)
        readings = result.readings if isinstance(result, Decoded) else result
    except DecodeError as error:
        readings = list(error.kept)
        assert str(error).startswith("offset ")
    assert [reading.value for reading in readings][:1] == [value] or value is None


STRUCTURE = st.lists(st.sampled_from(b"\x5b\x5d\x7b\x00\x01\x33\x34\x39\x3a\x61\xfb\xfc\xfd"), max_size=255).map(bytes)


@given(payload=STRUCTURE)
def test_hostile_structure_gives_readings_or_a_decode_error(payload: bytes) -> None:
    try:
        function(payload, 1)
    except DecodeError as error:
        assert str(error).isprintable()
        assert len(str(error)) < 200
