from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post import DecodeError, Implausible, NoReading, Reading, WrongFormat, WrongLength
from lora_post.payloads import decentlab, milesight
from lora_post.payloads.tagged import number

ITEMS = {
    milesight.BATTERY: milesight.BATTERY_LEVEL,
    b"\x03\x67": number("temperature", "°C", "<h", 10, faults=frozenset({-1})),
    b"\x04\x00": milesight.state("door"),
    milesight.HISTORY: milesight.stored(number("temperature", "°C", "<h", 10), number("level", "%", most=100)),
}
TEMPERATURE = Reading("temperature", 27.2, "°C")


def read_pair(words: decentlab.Words) -> list[Reading]:
    if words[1] == 0xFFFF:
        raise Implausible("second word", [Reading("first", words[0])])
    return [Reading("first", words[0]), Reading("second", words[1])]


SENSORS = (decentlab.Sensor(2, read_pair), decentlab.BATTERY)
BATTERY_VOLTAGE = Reading("battery_voltage", 3.168, "V")


@pytest.mark.parametrize(
    ("payload", "readings"),
    [
        ("", []),
        ("03 67 1001  04 00 01", [TEMPERATURE, Reading("door", True)]),
        ("03 67 1001  03 67 1001", [TEMPERATURE, TEMPERATURE]),
        ("FF 0B FF  03 67 1001", [TEMPERATURE]),
        ("03 67 FFFF", []),
        (
            "20 CE 9E744663 1001 32  20 CE FFFFFFFF 1001 00  03 67 1001",
            [
                Reading("temperature", 27.2, "°C", at_s=1665561758),
                Reading("level", 50, "%", at_s=1665561758),
                Reading("temperature", 27.2, "°C", at_s=4294967295),
                Reading("level", 0, "%", at_s=4294967295),
                TEMPERATURE,
            ],
        ),
    ],
)
def test_milesight_items_are_read_in_order(payload: str, readings: list[Reading]) -> None:
    assert milesight.read_items(bytes.fromhex(payload), ITEMS) == readings


@pytest.mark.parametrize(
    ("payload", "error", "message", "kept"),
    [
        ("01 75 FF  03 67 1001", Implausible, "offset 0: battery_level 255 %, at most 100", [TEMPERATURE]),
        ("01 75 FF  04 00 07  03 67 1001", Implausible, "offset 0: battery_level 255 %, at most 100", [TEMPERATURE]),
        ("03 67 1001  04 00 07", WrongFormat, "offset 4: door 07, want 0 or 1", [TEMPERATURE]),
        (
            "20 CE 9E744663 1001 FF  03 67 1001",
            Implausible,
            "offset 0: level 255 %, at most 100",
            [Reading("temperature", 27.2, "°C", at_s=1665561758), TEMPERATURE],
        ),
        ("03 67 1001  09 09 00", WrongFormat, "offset 4: 09 09 is not known", [TEMPERATURE]),
        ("03 67 1001  FE 03 5802", WrongFormat, "offset 4: fe 03 is not known", [TEMPERATURE]),
        ("03 67 1001  FF", WrongFormat, "offset 4: ff is not known", [TEMPERATURE]),
        ("03 67 1001  03 67 10", WrongLength, "offset 4: value cut short, 1 of 2 bytes", [TEMPERATURE]),
        ("FF 0B FF  FE 03 5802", NoReading, "offset 3: fe 03 is about the device's settings", []),
        ("FF 0B FF", NoReading, "the payload is about the device, not about the field", []),
    ],
)
def test_milesight_problem_costs_one_item_or_what_is_behind_it(
    payload: str, error: type[DecodeError], message: str, kept: list[Reading]
) -> None:
    with pytest.raises(error) as caught:
        milesight.read_items(bytes.fromhex(payload), ITEMS)
    assert type(caught.value) is error
    assert str(caught.value) == message
    assert list(caught.value.kept) == kept


@pytest.mark.parametrize(
    ("payload", "readings"),
    [
        ("02 0001 0003 0007 0008 0C60", [Reading("first", 7), Reading("second", 8), BATTERY_VOLTAGE]),
        ("02 0001 0002 0C60", [BATTERY_VOLTAGE]),
    ],
)
def test_decentlab_flags_tell_which_sensors_follow(payload: str, readings: list[Reading]) -> None:
    assert decentlab.read_sensors(bytes.fromhex(payload), SENSORS) == readings


@pytest.mark.parametrize(
    ("payload", "error", "message", "kept"),
    [
        ("02 0001 00", WrongLength, "4 bytes, want 5 or more", []),
        ("03 0001 0002 0C60", WrongFormat, "protocol version 3, want 2", []),
        ("02 0001 0003 0007 FFFF 0C60", Implausible, "second word", [Reading("first", 7), BATTERY_VOLTAGE]),
        ("02 0001 0003 0007", WrongLength, "sensor 0 cut short: 7 bytes, want 9 or more", []),
        ("02 0001 0006 0C60 1234", WrongFormat, "flags 0006: more than the 2 known sensors", [BATTERY_VOLTAGE]),
        ("02 0001 0002 0C60 12", WrongLength, "8 bytes, want 7 with flags 0002", [BATTERY_VOLTAGE]),
        ("02 0001 0000", NoReading, "the payload lists no sensor", []),
    ],
)
def test_decentlab_problem_keeps_the_other_sensors(
    payload: str, error: type[DecodeError], message: str, kept: list[Reading]
) -> None:
    with pytest.raises(error) as caught:
        decentlab.read_sensors(bytes.fromhex(payload), SENSORS)
    assert type(caught.value) is error
    assert str(caught.value) == message
    assert list(caught.value.kept) == kept


@given(
    st.binary(max_size=255)
    | st.lists(st.sampled_from([b"\x01\x75\x64", b"\x03\x67\x10\x01", b"\xff\x0b\xff", b"\x02\x00\x01\x00\x03"])).map(
        b"".join
    )
)
def test_any_bytes_give_readings_or_a_decode_error(payload: bytes) -> None:
    for read in (
        lambda: milesight.read_items(payload, ITEMS),
        lambda: decentlab.read_sensors(payload, SENSORS),
    ):
        try:
            readings = read()
        except DecodeError as error:
            assert str(error).isprintable()
            readings = list(error.kept)
        assert all(isinstance(reading, Reading) for reading in readings)
