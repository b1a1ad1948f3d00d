"""Basics Station's messages."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.lorawan.phy_payload import parse_data_frame
from lora_post.model import Frame, Noise
from tests.support.parsers import LAB_1, assert_any_cut_gives_the_same, events_of, frames_of


def updf(frame: bytes, **changes: object) -> bytes:
    data = parse_data_frame(frame)
    signed = int.from_bytes(data.dev_addr.to_bytes(4), signed=True)
    message = {
        "msgtype": "updf",
        "MHdr": frame[0],
        "DevAddr": signed,
        "FCtrl": data.fctrl,
        "FCnt": data.fcnt16,
        "FOpts": data.fopts.hex(),
        "FPort": -1 if data.fport is None else data.fport,
        "FRMPayload": data.frm_payload.hex().upper(),
        "MIC": int.from_bytes(data.mic, "little", signed=True),
        "upinfo": {"rssi": -79, "snr": 8, "rxtime": 1785575564.449762},
    }
    return json.dumps(message | changes).encode() + b"\n"


def test_station_takes_a_frame_apart_and_it_is_put_together_again() -> None:
    (frame,) = frames_of("station", updf(LAB_1))
    assert frame.phy_payload == LAB_1
    assert (frame.rx.rssi_dbm, frame.rx.snr_db) == (-79, 8)
    assert frame.time_us == 1785575564449762


@given(st.binary(max_size=15), st.none() | st.integers(0, 255), st.binary(max_size=100), st.integers(0, 2**32 - 1))
def test_any_frame_survives_the_way(fopts: bytes, fport: int | None, payload: bytes, dev_addr: int) -> None:
    body = b"" if fport is None else bytes((fport,)) + payload
    head = b"\x80" + dev_addr.to_bytes(4, "little") + bytes((0 if fport == 0 else len(fopts),)) + b"\x01\xff"
    frame = head + (b"" if fport == 0 else fopts) + body + b"\xff\xfe\xfd\xfc"
    (event,) = events_of("station", [updf(frame)])
    assert isinstance(event, Frame)
    assert event.phy_payload == frame


def test_join_request_is_put_together() -> None:
    message = {
        "msgtype": "jreq",
        "MHdr": 0,
        "JoinEui": "70-B3-D5-7E-D0-00-00-00",
        "DevEui": "70b3d57ed0000001",
        "DevNonce": 0x1234,
        "MIC": -2,
    }
    (frame,) = frames_of("station", json.dumps(message).encode() + b"\n")
    assert frame.phy_payload.hex() == "00" + "000000d07ed5b370" + "010000d07ed5b370" + "3412" + "feffffff"


@pytest.mark.parametrize(
    "changes",
    [
        {"DevAddr": 2**40},
        {"FPort": 256},
        {"FRMPayload": "0"},
        {"FCtrl": 3},
        {"FPort": -1},
        {"FCnt": -70000},
        {"MIC": "1"},
    ],
)
def test_field_that_does_not_fit_is_noise_that_says_so(changes: dict[str, object]) -> None:
    (event,) = events_of("station", [updf(LAB_1, **changes)])
    assert isinstance(event, Noise)
    assert event.detail.isprintable()


def test_other_messages_are_passed_over() -> None:
    assert events_of("station", [b'{"msgtype":"version","station":"2.0.6"}\n{"msgtype":"timesync"}\n\n']) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = ["msgtype", "MHdr", "DevAddr", "FCtrl", "FCnt", "FOpts", "FPort", "FRMPayload", "MIC", "upinfo", "Freq"]


@given(st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_any_types_in_any_field_are_survived(changes: dict[str, object]) -> None:
    for event in events_of("station", [updf(LAB_1, **changes)]):
        assert isinstance(event, (Frame, Noise))


@given(st.data())
def test_any_cut_gives_the_same_events(data: st.DataObject) -> None:
    assert_any_cut_gives_the_same("station", updf(LAB_1) * 3, data)
