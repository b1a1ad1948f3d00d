from __future__ import annotations

import pytest
from cayennelpp import LppFrame  # type: ignore[import-untyped]
from hypothesis import example, given
from hypothesis import strategies as st

from lora_post import DecodeError, WrongFormat, WrongLength
from lora_post.decoding.loading import load_folder, shipped_folder
from lora_post.model import Reading, Value
from lora_post.units import UNITS

decode = load_folder(shipped_folder()).decoders["cayenne-lpp"].decode

# Published: ElectronicCats/CayenneLPP: test/. Built: computed by hand from the type table.
PUBLISHED: list[tuple[str, dict[str, Value]]] = [
    ("03670110056700ff", {"temperature_3": 27.2, "temperature_5": 25.5}),
    ("0167ffd7", {"temperature_1": -4.1}),
    ("067104d2fb2e0000", {"accelerometer_6": {"x": 1.234, "y": -1.234, "z": 0.0}}),
    ("018806765ff2960a0003e8", {"gps_1": {"latitude": 42.3519, "longitude": -87.9094, "altitude": 10.0}}),
    ("037457b8", {"voltage_3": 224.56}),
    ("017633be27a0", {"frequency_1": 868_100_000}),
    ("0579ffef", {"altitude_5": -17}),
    ("018200000022", {"distance_1": 0.034}),
    ("018300795b30", {"energy_1": 7953.2}),
    ("0164000003e6", {"generic_1": 998}),
]
BUILT: list[tuple[str, dict[str, Value]]] = [
    ("000064010101", {"digital_in_0": 100, "digital_out_1": 1}),
    ("0202ff9c03037fff", {"analog_in_2": -1.0, "analog_out_3": 327.67}),
    ("0165ffff", {"luminosity_1": 65535}),
    ("016601", {"presence_1": 1}),
    ("0168c8", {"relative_humidity_1": 100.0}),
    ("017327a6", {"barometric_pressure_1": 1015.0}),
    ("0173c350", {"barometric_pressure_1": 5000.0}),
    ("01748ca0", {"voltage_1": 360.0}),
    ("0175fde8", {"current_1": 65.0}),
    ("017864", {"percentage_1": 100}),
    ("017afffc18", {"load_1": -1.0}),
    ("017d0190", {"concentration_1": 400}),
    ("018007d0", {"power_1": 2000}),
    ("0182ffffffff", {"distance_1": 4294967.295}),
    ("0184010e", {"direction_1": 270}),
    ("018566431eb2", {"unix_time_1": 1715674802}),
    ("01860064ff9c0001", {"gyrometer_1": {"x": 1.0, "y": -1.0, "z": 0.01}}),
    ("0187ff8000", {"colour_1": {"r": 255, "g": 128, "b": 0}}),
    ("018e01", {"switch_1": 1}),
    ("0188fad50017129d0016a8", {"gps_1": {"latitude": -33.8688, "longitude": 151.2093, "altitude": 58.0}}),
    (
        "01f00ae307ca1d0218a5f187",
        {
            "polyline_1": [
                {"latitude": 51.0493, "longitude": 13.7381},
                {"latitude": 51.0494, "longitude": 13.738},
                {"latitude": 51.0501, "longitude": 13.7372},
            ]
        },
    ),
    (
        "01f00ae600c7690035aaf187",
        {
            "polyline_1": [
                {"latitude": 51.049, "longitude": 13.738},
                {"latitude": 51.05, "longitude": 13.737},
                {"latitude": 51.057, "longitude": 13.729},
            ]
        },
    ),
]


@pytest.mark.parametrize(("payload", "values"), PUBLISHED + BUILT, ids=[payload for payload, _ in PUBLISHED + BUILT])
def test_vector_gives_its_values(payload: str, values: dict[str, Value]) -> None:
    readings = decode(bytes.fromhex(payload), 1)
    assert {reading.name: reading.value for reading in readings} == values
    assert all(reading.name.endswith(f"_{reading.channel}") for reading in readings)
    assert all(reading.unit == "" or reading.unit in UNITS for reading in readings)


UNIT_BY_TYPE = dict.fromkeys((0, 1, 2, 3, 100, 102, 135, 136, 142), "") | {
    101: "lx",
    103: "°C",
    104: "%",
    113: "g",
    115: "hPa",
    116: "V",
    117: "A",
    118: "Hz",
    120: "%",
    121: "m",
    122: "kg",
    125: "ppm",
    128: "W",
    130: "m",
    131: "kWh",
    132: "°",
    133: "s",
    134: "°/s",
}


@pytest.mark.parametrize(("kind", "unit"), UNIT_BY_TYPE.items())
def test_type_has_its_unit_on_every_channel(kind: int, unit: str) -> None:
    for channel in (0, 1, 255):
        (reading,) = decode(bytes([channel, kind]) + bytes(SIZES[kind]), 1)
        assert (reading.unit, reading.channel) == (unit, channel)


SIZES = {
    **dict.fromkeys((0, 1, 102, 104, 120, 142), 1),
    **dict.fromkeys((2, 3, 101, 103, 115, 116, 117, 121, 125, 128, 132), 2),
    **dict.fromkeys((122, 135), 3),
    **dict.fromkeys((100, 118, 130, 131, 133), 4),
    **dict.fromkeys((113, 134), 6),
    136: 9,
}


def test_same_channel_and_type_twice_gives_two_readings() -> None:
    readings = decode(bytes.fromhex("0167000a01670014"), 1)
    assert [(reading.name, reading.value) for reading in readings] == [("temperature_1", 1.0), ("temperature_1", 2.0)]


def test_empty_payload_has_no_readings() -> None:
    assert decode(b"", 1) == []


@pytest.mark.parametrize(
    ("payload", "error", "message", "kept"),
    [
        ("0367011005", WrongLength, "offset 4: one stray byte 05 at the end", {"temperature_3": 27.2}),
        ("036701", WrongLength, "offset 0: channel 3, type 103: value cut short, 1 of 2 bytes", {}),
        ("0367", WrongLength, "offset 0: channel 3, type 103: value cut short, 0 of 2 bytes", {}),
        ("0367011001FF00", WrongFormat, "offset 4: channel 1, type 255: unknown type", {"temperature_3": 27.2}),
        (
            "01660102880000",
            WrongLength,
            "offset 3: channel 2, type 136: value cut short, 2 of 9 bytes",
            {"presence_1": 1},
        ),
        ("01f00ae307ca1d0218a5f1", WrongLength, "offset 0: channel 1, type 240: value cut short, 9 of 10 bytes", {}),
        ("01f008c807ca1d0218a5", WrongFormat, "offset 0: channel 1, type 240: factor 200 is not defined", {}),
        ("01f0080007ca1d0218a5", WrongFormat, "offset 0: channel 1, type 240: factor 0 is not defined", {}),
        ("01f007e307ca1d0218a5", WrongFormat, "offset 0: channel 1, type 240: size 7, want 8 or more", {}),
    ],
)
def test_truncated_or_unknown_item_yields_what_came_before_it(
    payload: str, error: type[DecodeError], message: str, kept: dict[str, Value]
) -> None:
    with pytest.raises(error) as caught:
        decode(bytes.fromhex(payload), 1)
    assert str(caught.value) == message
    assert {reading.name: reading.value for reading in caught.value.kept} == kept


@pytest.mark.parametrize(("code", "factor"), [(1, 1), (199, 199), (227, 1), (230, 10), (239, 10000)])
def test_polyline_factor_scales_every_point(code: int, factor: int) -> None:
    (reading,) = decode(bytes.fromhex(f"01f009{code:02x}000001ffffff12"), 1)
    assert reading.value == [
        {"latitude": factor / 10000, "longitude": -factor / 10000},
        {"latitude": 3 * factor / 10000, "longitude": 0.0},
    ]


ITEM = st.sampled_from(sorted(SIZES)).flatmap(
    lambda kind: st.builds(
        lambda channel, value: bytes([channel, kind]) + value,
        st.integers(0, 255),
        st.binary(min_size=SIZES[kind], max_size=SIZES[kind]),
    )
)


@given(items=st.lists(ITEM, max_size=8))
def test_agrees_with_pycayennelpp_on_all_its_types(items: list[bytes]) -> None:
    payload = b"".join(items)
    ours = [(reading.channel, numbers(reading)) for reading in decode(payload, 1)]
    assert ours == [(item.channel, item.value) for item in LppFrame.from_bytes(payload).data]


@given(items=st.lists(ITEM, max_size=4), tail=st.binary(max_size=12))
def test_agrees_with_pycayennelpp_on_what_can_be_decoded_at_all(items: list[bytes], tail: bytes) -> None:
    payload = b"".join(items) + tail
    try:
        theirs = [(item.channel, item.value) for item in LppFrame.from_bytes(payload).data]
    except (BufferError, AttributeError):  # its ways of saying "cut short" and "unknown type"
        if 240 not in tail:  # it has no polyline
            with pytest.raises(DecodeError):
                decode(payload, 1)
        return
    assert [(reading.channel, numbers(reading)) for reading in decode(payload, 1)] == theirs


def numbers(reading: Reading) -> tuple[object, ...]:
    return tuple(reading.value.values()) if isinstance(reading.value, dict) else (reading.value,)


@given(payload=st.binary(max_size=255), fport=st.integers(0, 255))
@example(payload=bytes.fromhex("01f0ff01"), fport=1)
def test_any_bytes_give_readings_or_a_decode_error(payload: bytes, fport: int) -> None:
    try:
        readings = decode(payload, fport)
    except DecodeError as error:
        readings = list(error.kept)
        assert str(error).startswith("offset ")
    assert all(isinstance(reading, Reading) for reading in readings)


@given(first=st.lists(ITEM, max_size=4).map(b"".join), tail=st.binary(max_size=20))
def test_what_comes_first_does_not_depend_on_what_follows(first: bytes, tail: bytes) -> None:
    alone = decode(first, 1)
    try:
        together = decode(first + tail, 1)
    except DecodeError as error:
        together = list(error.kept)
    assert together[: len(alone)] == alone
