"""Semtech's packet forwarder in JSON."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.formats.rxpk_json import MAX_LINE, read_gwmp, read_push_data, rxpk_parser
from lora_post.model import Frame, Link, Noise, RxInfo
from tests.support.parsers import (
    LAB_1,
    NOW_US,
    assert_any_cut_gives_the_same,
    assert_events_are_sound,
    capture,
    cut,
    events_of,
    frames_of,
    reasons_of,
)

STREAMS = {name: capture(name) for name in ("semtech_push_data.rxpk", "lora_pkt_fwd.rxpk")}
USUAL = {
    "tmst": 3512348611,
    "freq": 868.5,
    "stat": 1,
    "modu": "LORA",
    "datr": "SF7BW125",
    "codr": "4/5",
    "rssi": -57,
    "lsnr": 8.2,
    "size": 21,
    "data": "QANcqwEAAAACxT+q1Ckpr7zYNLxj",
}
USUAL_RX = RxInfo(-57, 8.2, 7, 125.0, "4/5", 868.5)


def gwmp(*packets: object) -> bytes:
    return msgspec.json.encode({"rxpk": packets}) + b"\n"


def with_(**changes: object) -> bytes:
    return gwmp(USUAL | changes)


def utc_us(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000_000)


@pytest.mark.parametrize("size", [1, 3, 17, 1000])
@pytest.mark.parametrize("name", STREAMS)
def test_recorded_stream_gives_the_same_however_it_is_cut(name: str, size: int) -> None:
    assert events_of("rxpk", cut(STREAMS[name], size)) == events_of("rxpk", [STREAMS[name]])


@pytest.mark.parametrize(
    "line",
    [
        gwmp(USUAL),
        gwmp(USUAL).strip(),
        msgspec.json.encode(USUAL) + b"\r\n",
        b"JSON up: " + gwmp(USUAL),
    ],
)
def test_packet_is_found_in_every_form_of_line(line: bytes) -> None:
    assert events_of("rxpk", [line]) == [Frame("gw1", NOW_US, LAB_1, USUAL_RX, tmst=3512348611)]


def test_packet_behind_a_log_s_time_has_that_time() -> None:
    line = b"May 14 08:15:30 gw lora_pkt_fwd[321]: JSON up: " + gwmp(USUAL)
    assert events_of("rxpk", [line]) == [Frame("gw1", utc_us("2025-05-14T08:15:30"), LAB_1, USUAL_RX, tmst=3512348611)]


@pytest.mark.parametrize(
    "line",
    [
        b"INFO: [main] concentrator started",
        b"##### 2024-05-14 08:16:00 GMT #####",
        b'JSON down: {"txpk":{"data":"YANcqwEgBQD/gI9V"}}',
        b'JSON up: {"stat":{"rxnb":2}}',
        b'{"rxpk":[]}',
        b'{"stat":{"rxnb":2}}',
        b'{"txpk":{}}',
        b'{"txpk_ack":{"error":"NONE"}}',
        b"",
    ],
)
def test_lines_without_a_packet_are_passed_over(line: bytes) -> None:
    assert events_of("rxpk", [line + b"\n"]) == []


@pytest.mark.parametrize(
    "line",
    [
        b'{"rxpk":[{"tmst":110,"freq":868.1,',
        b'{"rxpk":5}',
        b'{"uplink_message":{"f_port":1}}',
        b"{}",
        b'{"rxpk":[]} trailing',
        b'{"rxpk":"\xff"}',
        b'{"x":' + b"[" * 60_000,
        b"JSON up: [1]",
    ],
)
def test_other_json_is_noise(line: bytes) -> None:
    assert reasons_of("rxpk", line + b"\n") == ["bad-line"]


@pytest.mark.parametrize(
    ("text", "time_us"),
    [
        ("2013-03-31T16:21:17.528002Z", utc_us("2013-03-31T16:21:17.528002")),
        ("2013-03-31T16:21:17.5Z", utc_us("2013-03-31T16:21:17.5")),
        ("2013-03-31T16:21:17.528002999Z", utc_us("2013-03-31T16:21:17.528002")),
        ("2013-03-31T16:21:17Z", utc_us("2013-03-31T16:21:17")),
        ("2013-03-31T16:21:17.528002", utc_us("2013-03-31T16:21:17.528002")),
        ("2013-03-31T18:21:17+02:00", utc_us("2013-03-31T16:21:17")),
        ("", NOW_US),
        (None, NOW_US),
        (1364746877, NOW_US),
        ("2013-03-31", NOW_US),
        ("2013-13-31T16:21:17Z", NOW_US),
        ("2013-03-31T16:21:17+99:99", NOW_US),
        ("٢٠١٣-03-31T16:21:17Z", NOW_US),
        ("yesterday", NOW_US),
    ],
)
def test_time_is_utc_and_may_be_missing(text: object, time_us: int) -> None:
    (frame,) = frames_of("rxpk", with_(time=text))
    assert frame.time_us == time_us


@pytest.mark.parametrize(
    ("stat", "link"), [(1, None), (None, None), (0, Link.LORAWAN), ("good", Link.LORAWAN), (2, Link.LORAWAN)]
)
def test_only_a_mic_can_speak_for_a_packet_without_crc(stat: object, link: Link | None) -> None:
    (frame,) = frames_of("rxpk", with_(stat=stat))
    assert frame.link is link


def test_packet_without_stat_had_a_good_crc() -> None:
    (frame,) = frames_of("rxpk", gwmp({"data": USUAL["data"]}))
    assert frame == Frame("gw1", NOW_US, LAB_1, RxInfo())


def test_packet_with_bad_crc_is_counted_and_not_decoded() -> None:
    assert reasons_of("rxpk", with_(stat=-1)) == ["crc"]
    assert frames_of("rxpk", with_(stat=-1)) == []


@pytest.mark.parametrize(
    ("changes", "rx"),
    [
        ({"datr": "SF12BW500"}, RxInfo(-57, 8.2, 12, 500.0, "4/5", 868.5)),
        ({"datr": "SF9BW62.5"}, RxInfo(-57, 8.2, 9, 62.5, "4/5", 868.5)),
        ({"datr": "SF13BW125"}, RxInfo(-57, 8.2, None, 125.0, "4/5", 868.5)),
        ({"datr": "SF7"}, RxInfo(-57, 8.2, freq_mhz=868.5)),
        ({"modu": "FSK", "datr": 50000, "codr": None, "lsnr": None}, RxInfo(-57, freq_mhz=868.5)),
        ({"modu": "LR-FHSS", "datr": "M0CW137", "codr": "2/3"}, RxInfo(-57, 8.2, freq_mhz=868.5)),
        ({"codr": "2/3"}, RxInfo(-57, 8.2, 7, 125.0, "4/6", 868.5)),
        ({"codr": "1/2"}, RxInfo(-57, 8.2, 7, 125.0, "4/8", 868.5)),
        ({"codr": "2/4"}, RxInfo(-57, 8.2, 7, 125.0, "4/8", 868.5)),
        ({"codr": "4/5LI"}, RxInfo(-57, 8.2, 7, 125.0, "4/5LI", 868.5)),
        ({"codr": "OFF"}, RxInfo(-57, 8.2, 7, 125.0, None, 868.5)),
        ({"codr": ["4/5"]}, RxInfo(-57, 8.2, 7, 125.0, None, 868.5)),
        ({"freq": 868.099999}, RxInfo(-57, 8.2, 7, 125.0, "4/5", 868.1)),
        ({"freq": 903.9}, RxInfo(-57, 8.2, 7, 125.0, "4/5", 903.9)),
        ({"freq": 868}, RxInfo(-57, 8.2, 7, 125.0, "4/5", 868.0)),
        ({"freq": 0}, RxInfo(-57, 8.2, 7, 125.0, "4/5", None)),
        ({"freq": "868.5"}, RxInfo(-57, 8.2, 7, 125.0, "4/5", None)),
        ({"rssi": -75.5, "lsnr": -13}, RxInfo(-75.5, -13, 7, 125.0, "4/5", 868.5)),
        ({"rssi": "loud", "lsnr": True}, RxInfo(None, None, 7, 125.0, "4/5", 868.5)),
        ({"rssi": 10**30, "lsnr": {}}, RxInfo(None, None, 7, 125.0, "4/5", 868.5)),
        ({"size": 8}, USUAL_RX),
        ({"brd": {"deep": [1]}, "meta": None}, USUAL_RX),
    ],
)
def test_radio_fields_are_read_and_a_strange_one_costs_no_frame(changes: dict[str, object], rx: RxInfo) -> None:
    (frame,) = frames_of("rxpk", with_(**changes))
    assert frame.rx == rx
    assert frame.phy_payload == LAB_1


@pytest.mark.parametrize(
    ("antennas", "rssi", "snr"),
    [
        ([{"ant": 0, "rssic": -97, "rssis": -99, "lsnr": 2.8}, {"ant": 1, "rssic": -91, "lsnr": 6.1}], -91, 6.1),
        ([{"ant": 0, "rssic": -91, "lsnr": 6.1}, {"ant": 1, "rssic": -97, "lsnr": 2.8}], -91, 6.1),
        ([{"rssic": -97, "lsnr": 3}, {"rssic": -96, "lsnr": 3}], -96, 3),
        ([{"rssic": -97}, {"rssic": -101, "lsnr": -20}], -101, -20),
        ([None, 5, {"rssic": -80}], -80, None),
        ([], None, None),
        ({"rssic": -97}, None, None),
    ],
)
def test_best_antenna_is_taken(antennas: object, rssi: float | None, snr: float | None) -> None:
    (frame,) = frames_of("rxpk", gwmp({"data": USUAL["data"], "rsig": antennas}))
    assert (frame.rx.rssi_dbm, frame.rx.snr_db) == (rssi, snr)


@pytest.mark.parametrize(
    "packet", [None, 5, "x", [], {}, {"tmst": 108}, {"data": ""}, {"data": 5}, {"data": "a*b"}, {"data": "A" * 344}]
)
def test_unusable_packet_is_noise_and_its_neighbours_are_kept(packet: object) -> None:
    stream = gwmp(USUAL, packet, USUAL)
    assert len(frames_of("rxpk", stream)) == 2
    assert reasons_of("rxpk", stream) == ["bad-record"]


def test_object_nested_without_end_costs_its_own_packet_at_most() -> None:
    stream = gwmp(USUAL) + b'{"rxpk":[{"data":' + b"[" * 30_000 + b"]" * 30_000 + b"}]}\n" + gwmp(USUAL)
    assert len(frames_of("rxpk", stream)) == 2
    assert reasons_of("rxpk", stream) == ["bad-record", "bad-line"]


@pytest.mark.parametrize("padded", [True, False])
@given(payload=st.binary(min_size=1, max_size=255), mixed=st.booleans())
def test_any_payload_comes_through_with_or_without_padding(padded: bool, payload: bytes, mixed: bool) -> None:
    text = base64.b64encode(payload).decode()
    text = text if padded else text.rstrip("=")
    text = text.replace("+", "-") if mixed else text
    (frame,) = frames_of("rxpk", with_(data=text))
    assert frame.phy_payload == payload


def test_object_of_a_datagram_is_read_by_itself() -> None:
    (frame,) = read_gwmp(gwmp(USUAL), "b827ebfffe112233", 5)
    assert frame == Frame("b827ebfffe112233", 5, LAB_1, USUAL_RX, tmst=3512348611)


pieces = st.one_of(
    st.binary(max_size=30),
    st.text('{}[]":,rxpkdat0123456789.-tle', max_size=40).map(str.encode),
    st.sampled_from(
        [
            b"\n",
            b"\r\n",
            b"{",
            b"JSON up: ",
            b'{"rxpk":[',
            b'"data":"QANcqw"',
            gwmp(USUAL),
            gwmp(None, USUAL),
            b"INFO\n",
        ]
    ),
)
streams = st.lists(pieces, max_size=12).map(b"".join)


@given(streams, st.data())
def test_any_cut_gives_the_same_events(stream: bytes, data: st.DataObject) -> None:
    assert_any_cut_gives_the_same("rxpk", stream, data)


@given(st.lists(pieces, max_size=12))
def test_any_bytes_are_survived(chunks: list[bytes]) -> None:
    assert_events_are_sound(events_of("rxpk", chunks))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["lsnr", "rssic", "x"]), inner),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([*USUAL, "time", "rsig"]), json_values))
def test_any_types_in_any_field_are_survived(changes: dict[str, object]) -> None:
    try:
        line = gwmp(changes) + gwmp(USUAL | changes | {"data": USUAL["data"], "stat": 1})
    except UnicodeEncodeError:
        return
    events = events_of("rxpk", [line])
    assert_events_are_sound(events)
    assert isinstance(events[-1], Frame) and events[-1].phy_payload == LAB_1


def test_endless_line_is_noise_once_and_little_is_held() -> None:
    parser = rxpk_parser("gw1", UTC)
    events = [event for _ in range(5) for event in parser.feed(b"{" * (MAX_LINE // 2), NOW_US)]
    assert [event.reason for event in events if isinstance(event, Noise)] == ["line-too-long"]
    assert len(parser._lines._held) < MAX_LINE
    assert len(parser.feed(b"\n" + gwmp(USUAL), NOW_US)) == 1


@pytest.mark.parametrize(
    "before",
    [
        "rxpk update: ",
        "Fri Sep 24 12:06:00 2021 daemon.info lora_pkt_fwd[1934]: RXTX~ ",
        "gateway/b827ebfffe112233/rxpk ",
        'PKT_FWD~ {"FCnt": 90} RXTX~ ',
    ],
)
def test_packets_are_found_behind_other_text(before: str) -> None:
    (frame,) = frames_of("rxpk", before.encode() + with_())
    assert frame.phy_payload == LAB_1


@pytest.mark.parametrize(
    "tail",
    [
        b"\0",
        b"\0\0\r\n",
        b',"stat":{"time":"2022-02-28 19:38:46 UTC","desc}',
        b',"stat":{"rxnb":',
        b"\xff",
        b"}}}}",
        b",[[[[",
    ],
)
def test_what_follows_a_list_of_packets_costs_none_of_them(tail: bytes) -> None:
    body = gwmp(USUAL, USUAL | {"rssi": -60, "text": 'a "quoted } brace"'}).strip()[:-1] + tail
    events = read_gwmp(body, "gw1", NOW_US)
    assert [event.phy_payload for event in events[:2] if isinstance(event, Frame)] == [LAB_1, LAB_1]
    assert all(isinstance(event, Noise) for event in events[2:])


@given(st.integers(0, 2000), st.binary(max_size=20))
def test_packets_before_the_damage_are_kept(at: int, damage: bytes) -> None:
    packets = [USUAL | {"rssi": -n} for n in range(1, 8)]
    whole = gwmp(*packets).strip()
    at %= len(whole)
    ends = [end for end in range(len(whole)) if whole[:end].endswith(b"}") and whole[:end].count(b"}") >= 1]
    kept = sum(end <= at for end in ends)
    events = read_gwmp(whole[:at] + b"\x01" + damage, "gw1", NOW_US)
    frames = [event for event in events if isinstance(event, Frame)]
    assert [frame.rx.rssi_dbm for frame in frames[:kept]] == [-n for n in range(1, kept + 1)][: len(packets)]


@pytest.mark.parametrize("number", ["9" * 310, "9" * 10_000, "1e400", "-1e400", "1e308", "-" + "9" * 5000])
@pytest.mark.parametrize("field", ["rxnb", "temp", "lati"])
def test_number_beyond_all_bounds_costs_nothing(field: str, number: str) -> None:
    body = gwmp(USUAL).strip()[:-1] + b',"stat":{"rxok":3,"%s":%s}}' % (field.encode(), number.encode())
    found = read_push_data(body, "gw1", NOW_US)
    assert [frame.phy_payload for frame in found.events if isinstance(frame, Frame)] == [LAB_1]
    assert field not in found.stat


@pytest.mark.parametrize("tmst", [-1, 1 << 32, 1.5, "5", True, None])
def test_counter_that_cannot_be_one_is_left_open(tmst: object) -> None:
    (frame,) = read_gwmp(gwmp(USUAL | {"tmst": tmst}), "b827ebfffe112233", 5)
    assert isinstance(frame, Frame) and frame.tmst is None


@pytest.mark.parametrize("number", ["9" * 310, "9" * 10_000, "1e400", "-" + "9" * 5000])
@pytest.mark.parametrize("field", ["tmst", "tmms", "freq", "rssi", "lsnr", "stat", "chan", "size"])
def test_number_beyond_all_bounds_in_a_packet_is_left_open(field: str, number: str) -> None:
    packet = msgspec.json.encode({k: v for k, v in USUAL.items() if k != field})[:-1]
    body = b'{"rxpk":[' + packet + b',"%s":%s}]}' % (field.encode(), number.encode())
    assert len(read_gwmp(body, "gw1", NOW_US)) == 1
