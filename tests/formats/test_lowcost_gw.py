"""The output of LowCostLoRaGw's radio programs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from lora_post.formats import FORMATS, Parser
from lora_post.formats.lowcost_gw import MAX_LINE, MAX_PAUSE_US, LowcostParser
from lora_post.model import Frame, Link, Noise, NoiseReason, RxInfo
from tests.support.paths import FIXTURES

NAMES = ("addressed", "encrypted", "hex", "image", "old_formats", "raw_lorawan", "resync")
STREAMS = {f"lowcost_{name}": (FIXTURES / f"lowcost_{name}.lowcost").read_bytes() for name in NAMES}
EAST = timezone(timedelta(hours=1))
NOW_US = 1_772_366_400_000_000

# The largest thing that is held: FF FE, 255 bytes in hex, half a line end.
MAX_HELD = max(MAX_LINE, 2 + 3 * 255 + 1)


def parser() -> LowcostParser:
    return LowcostParser("gw1", EAST)


def events_of(chunks: Iterable[bytes]) -> list[Frame | Noise]:
    reader = parser()
    found = [event for chunk in chunks for event in reader.feed(chunk, NOW_US)]
    return found + reader.finish(NOW_US)


def frames_of(stream: bytes) -> list[Frame]:
    return [event for event in events_of([stream]) if isinstance(event, Frame)]


def reasons_of(stream: bytes) -> list[str]:
    return [event.reason for event in events_of([stream]) if isinstance(event, Noise)]


def cut(stream: bytes, size: int) -> list[bytes]:
    return [stream[at : at + size] for at in range(0, len(stream), size)]


def utc_us(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000_000)


def packet(
    payload: bytes,
    *,
    p: str = "1,16,3,0,{size},8,-54",
    r: str | None = "125,5,12,868100",
    t: str | None = None,
    talk: bool = True,
    in_hex: bool = False,
    line_end: bytes = b"\n",
) -> bytes:
    """One packet as a radio program prints it."""
    lines = [b"--- rxlora[1]. dst=1 type=0x10 src=3 seq=0 len=9 SNR=8 RSSIpkt=-54 BW=125 CR=4/5 SF=12"] if talk else []
    lines.append(b"^p" + p.format(size=len(payload)).encode())
    lines += [b"^r" + r.encode()] if r is not None else []
    lines += [b"^t" + t.encode()] if t is not None else []
    text = b"".join(line + line_end for line in lines)
    printed = payload.hex(" ").upper().encode() + b" " if in_hex and payload else payload
    return text + b"\xff\xfe" + printed + line_end


# Recorded streams


@pytest.mark.parametrize("size", [1, 2, 3, 17, 100])
@pytest.mark.parametrize("name", STREAMS)
def test_recorded_stream_gives_the_same_however_it_is_cut(name: str, size: int) -> None:
    assert events_of(cut(STREAMS[name], size)) == events_of([STREAMS[name]])


@pytest.mark.parametrize(
    ("name", "first_us", "packets"),
    [
        (
            "lowcost_addressed",
            "2024-05-14T08:15:30.123456",
            [
                (b"\x01\x10\x03\x00\\!TC/22.5/HU/85", -54, 8),
                (b"\x01\x18\x08\x0c\\!##TC/-3.20/BAT/3.71", -121, -7),
                (b"\x01\x10\x03\x01\\$hello", -53, 9),
                (b"\x01\x12\x09\xc8\x05\x06\x07\x08\\!TC/19.80", -88, 5),
                (b"\x01\x10\x0a\x03\\!22.5", -130, -12),
                (b"\x01\x10\x0b\x00ABC", -70, 6),
                (b"\x01\x10\x0c\xff\\!field7#2#LUX/1024/TXT/ok", -77, 7),
            ],
        ),
        (
            "lowcost_raw_lorawan",
            "2024-05-14T08:25:30.123456",
            [
                (bytes.fromhex("400405010200000001e485fd1f7791b9d934ff1ff9a8bc3d7e"), -45, 8),
                (bytes.fromhex("402117012600000001842184d4bf3b3420cc9348cb6ba8585e6d1efa"), -67, 6),
                (bytes.fromhex("007c9a01d07ed5b370b2a8d4c8901a8b0017a073fac78a"), -101, -2),
                (bytes.fromhex("40035cab0100000002c53faad42929afbcd834bc63"), -118, -9),
                (bytes.fromhex("40241f042680000001243e63ddd12207507d688fffd386"), -60, 7),
                (b"\x01\x10\x03\x05\\!TC/20.0", -80, 5),
                (bytes.fromhex("40035cab0100000002c53faad42929afbcd834bc62"), -125, -15),
                (b"\xe0PING", -90, 3),
            ],
        ),
        (
            "lowcost_hex",
            "2024-05-14T08:30:30.123456",
            [
                (b"\x01\x10\x03\x00\\!TC/22.5/HU/85", -54, 8),
                (bytes.fromhex("40035cab0100000002c53faad42929afbcd834bc63"), -118, -9),
            ],
        ),
        (
            "lowcost_resync",
            "2024-05-14T08:32:10.123456",
            [
                (b"\x01\x10\x03\x07\\!TC/20.5", -54, 8),
                (b"\x01\x10\x04\x01\n\x00\xff\xfe^p1,16,9,9,3,1,-1\n\xff\xfeXYZ\n--- rxlora[1]. dst=1", -61, 8),
                (b"\x01\x10\x03\x09\\!TC/22.0", -54, 8),
                (b"\x01\x10\x03\x0b\\!TC/22.2", -54, 8),
            ],
        ),
        (
            "lowcost_encrypted",
            "2024-05-14T08:35:30.123456",
            [
                (bytes.fromhex("011406004006000000000000014f29e74977a1c2e781e616a668fd756874"), -45, 8),
                (bytes.fromhex("01160600fe93919a3882deb4fcc2c1c5c29c6c302ff26d68a58c31c6"), -45, 8),
                (bytes.fromhex("01160668d21d273ed2775db3642075cb05fae9b70a632118a4"), -45, 8),
                (bytes.fromhex("011407c85442fd332896ba40d1df5cd722a93cd300c6d600"), -99, 2),
                (bytes.fromhex("0116094d40090000000001020133db8432b7a3dc47e6165dd1cac99cef146d"), -99, 2),
                (bytes.fromhex("011407c85442fd332896ba40d1df5cd722a93cd300c6d610"), -99, 2),
            ],
        ),
        (
            "lowcost_old_formats",
            "2017-11-20T13:18:54",
            [
                (b"\x01\x10\x06\x00\\!TC/22.5", -45, 8),
                (b"\x01\x10\x06\x01\\!TC/22.6", -45, 8),
                (b"\x01\x10\x06\x02\\!TC/22.7", -45, 8),
            ],
        ),
        (
            "lowcost_image",
            "2024-05-14T08:38:50.123456",
            [
                (bytes.fromhex("01100314ff51000307140c001030313233343536373839"), -54, 8),
                (b"\x01\x10\x03\x15\\!TC/22.9", -54, 8),
            ],
        ),
    ],
)
def test_recorded_stream_gives_its_frames(name: str, first_us: str, packets: list[tuple[bytes, int, int]]) -> None:
    frames = frames_of(STREAMS[name])
    assert [(f.phy_payload, f.rx.rssi_dbm, f.rx.snr_db) for f in frames] == packets
    assert frames[0].time_us == utc_us(first_us)
    assert {(f.rx.sf, f.rx.bw_khz, f.rx.cr, f.gateway) for f in frames} == {(12, 125.0, "4/5", "gw1")}
    assert {f.rx.freq_mhz for f in frames} == {None if name == "lowcost_old_formats" else 868.1}


def test_recorded_noise_is_reported_and_talk_is_not() -> None:
    reasons = {name: reasons_of(stream) for name, stream in STREAMS.items()}
    assert reasons.pop("lowcost_resync") == ["bad-header", "damaged", "no-payload", "truncated"]
    assert reasons.pop("lowcost_addressed") == ["receive-error"]
    assert not any(reasons.values())


# Headers and addresses


@pytest.mark.parametrize(
    ("p", "header"),
    [
        ("1,16,3,0,2,8,-54", b"\x01\x10\x03\x00"),
        ("0,16,255,255,2,8,-54", b"\x00\x10\xff\xff"),
        ("1,47,1,9,2,8,-54", b"\x01\x2f\x01\x09"),
        ("0,0,0,0,2,8,-54", b""),
        ("0,0,0,17,2,8,-54", b""),
        ("17,84,255,3,2,8,-54", b""),
        ("2,16,3,0,2,8,-54", b""),
        ("1,48,3,0,2,8,-54", b""),
        ("1,16,0,0,2,8,-54", b""),
        ("1,16,256,0,2,8,-54", b""),
        ("1,16,3,-1,2,8,-54", b""),
    ],
)
def test_header_is_put_back_only_where_the_program_can_have_taken_it_off(p: str, header: bytes) -> None:
    (frame,) = frames_of(packet(b"hi", p=p))
    assert frame.phy_payload == header + b"hi"
    assert frame.link is (Link.LOWCOST if header else None)


@pytest.mark.parametrize(
    ("snr_rssi", "snr", "rssi"),
    [
        ("8,-54", 8, -54),
        ("-12,126", -12, -130),
        ("0,0", 0, 0),
        ("-128,-150", -128, -150),
        ("999,-999", None, None),
        ("5,255", 5, -1),
    ],
)
def test_rssi_of_eight_bits_is_unwrapped(snr_rssi: str, snr: int | None, rssi: int | None) -> None:
    (frame,) = frames_of(packet(b"hi", p="1,16,3,0,2," + snr_rssi))
    assert (frame.rx.snr_db, frame.rx.rssi_dbm) == (snr, rssi)


@pytest.mark.parametrize(
    ("r", "rx"),
    [
        ("125,5,12,868100", RxInfo(-54, 8, 12, 125.0, "4/5", 868.1)),
        ("125,5,12,868099", RxInfo(-54, 8, 12, 125.0, "4/5", 868.1)),
        ("500,8,7,865199", RxInfo(-54, 8, 7, 500.0, "4/8", 865.2)),
        ("125,5,12,433175", RxInfo(-54, 8, 12, 125.0, "4/5", 433.175)),
        ("125,5,12", RxInfo(-54, 8, 12, 125.0, "4/5", None)),
        ("62,6,9,868100", RxInfo(-54, 8, 9, 62.5, "4/6", 868.1)),
        ("7,7,5,868100", RxInfo(-54, 8, 5, 7.8, "4/7", 868.1)),
        ("1625,5,10,2445000", RxInfo(-54, 8, 10, 1625.0, "4/5", 2445.0)),
        ("126,9,13,0", RxInfo(-54, 8, None, None, None, None)),
        ("125,5", RxInfo(-54, 8)),
        ("125,5,x,868100", RxInfo(-54, 8)),
        (None, RxInfo(-54, 8)),
    ],
)
def test_radio_line_is_read(r: str | None, rx: RxInfo) -> None:
    # Before it another one, which must not leave anything behind.
    frames = frames_of(packet(b"hi", r="250,7,8,865200") + packet(b"hi", r=r))
    assert frames[1].rx == rx


@pytest.mark.parametrize(
    "p",
    [
        "1,16,3,0,256,8,-54",
        "1,16,3,0,-1,8,-54",
        "1,16,3,0,2,8",
        "1,16,3,0,2,8,-54,9",
        "1,16,3,0,2,8,-54 ",
        " 1,16,3,0,2,8,-54",
        "1,16,3,0,,8,-54",
        "1,16,3,0,2,8,--54",
        "",
        "1,16,3,0,2,8," + "9" * 200,
    ],
)
def test_malformed_header_is_noise_and_its_payload_too(p: str) -> None:
    assert reasons_of(packet(b"hi", p=p)) == ["bad-header", "stray-payload"]


def test_detail_is_one_short_printable_line() -> None:
    (noise, *_) = events_of([b"^p\x1b[31m\xe2\x82\xac'\"" + b"x" * 500 + b"\n"])
    assert isinstance(noise, Noise)
    assert noise.detail.isprintable()
    assert noise.detail.startswith("^p\\x1b[31m\\xe2\\x82\\xac") and noise.detail.endswith("…")
    assert len(noise.detail) < 100
    assert noise.size == 513


# Times


@pytest.mark.parametrize(
    ("t", "time_us"),
    [
        # both published, LowCostLoRaGw downlink examples
        ("2020-01-21T17:33:27.740034*4155747970", utc_us("2020-01-21T16:33:27.740034")),
        ("2020-01-22T15:01:51.163516*4149760124", utc_us("2020-01-22T14:01:51.163516")),
        ("2024-05-14T09:15:30.123456*2599096000", utc_us("2024-05-14T08:15:30.123456")),
        # two readings of the clock up to 1 ms apart
        ("2024-05-14T09:15:30.123456*2599097000", utc_us("2024-05-14T08:15:30.123456")),
        ("2024-05-14T09:15:30.123456*2599095000", utc_us("2024-05-14T08:15:30.123456")),
        # the counter of a concentrator: its time is UTC
        ("2024-05-14T09:15:30.123456*2599097001", utc_us("2024-05-14T09:15:30.123456")),
        ("2019-05-27T12:42:40.117758*29641444", utc_us("2019-05-27T12:42:40.117758")),
        # a zone counts more than anything else
        ("2017-11-20T14:18:54+01:00", utc_us("2017-11-20T13:18:54")),
        ("2017-11-20T14:18:54-0330", utc_us("2017-11-20T17:48:54")),
        ("2017-11-20T14:18:54.5Z", utc_us("2017-11-20T14:18:54.5")),
        ("2024-05-14T09:15:30.123456+05:45*2599096000", utc_us("2024-05-14T03:30:30.123456")),
        # neither: the zone of the gateway's machine
        ("2018-03-02T10:00:01.250", utc_us("2018-03-02T09:00:01.25")),
        ("2018-03-02T10:00:01", utc_us("2018-03-02T09:00:01")),
        # no time at all
        (None, NOW_US),
        ("", NOW_US),
        ("2024-13-14T09:15:30.123456*2599096000", NOW_US),
        ("2024-05-14", NOW_US),
        ("2024-05-14T09:15", NOW_US),
        ("2024-05-14T25:15:30", NOW_US),
        ("2024-05-14T09:15:30+99:99", NOW_US),
        ("0000-00-00T00:00:00*1", NOW_US),
        # at the ends of the calendar a time cannot be written in another zone
        ("0001-01-01T00:00:00+14:00", NOW_US),
        ("9999-12-31T23:59:59-12:00", NOW_US),
        ("yesterday", NOW_US),
    ],
)
def test_time_of_reception_is_utc(t: str | None, time_us: int) -> None:
    (frame,) = frames_of(packet(b"hi", t=t))
    assert frame.time_us == time_us


@pytest.mark.parametrize("apart_us", [0, -1_000, 1_000])
@pytest.mark.parametrize(
    "utc", [datetime(2015, 1, 1), datetime(2024, 5, 14, 8, 15, 30, 123456), datetime(2039, 12, 31)]
)
def test_every_zone_is_recovered_from_the_line_itself(utc: datetime, apart_us: int) -> None:
    time_us = utc_us(utc.isoformat())
    for quarters in range(-48, 57):
        local = utc + timedelta(minutes=15 * quarters)
        t = f"{local.isoformat(timespec='microseconds')}*{(time_us + apart_us) % 2**32}"
        (frame,) = frames_of(packet(b"hi", t=t))
        assert frame.time_us == time_us


def test_zone_of_the_machine_follows_summer_time() -> None:
    reader = LowcostParser("gw1", ZoneInfo("Europe/Paris"))
    stream = packet(b"a", t="2018-01-15T10:00:00.000") + packet(b"b", t="2018-07-15T10:00:00.000")
    times = [event.time_us for event in reader.feed(stream, NOW_US) if isinstance(event, Frame)]
    assert times == [utc_us("2018-01-15T09:00:00"), utc_us("2018-07-15T08:00:00")]


@given(
    st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,18}([+-][0-9]{2}:?[0-9]{2})?(\*[0-9]{1,10})?", fullmatch=True)
)
@example("0001-01-01T00:00:00")
@example("9999-12-31T23:59:59.999999*4294967295")
@example("9999-12-31T23:59:59-23:59")
def test_any_time_text_gives_a_time(t: str) -> None:
    for zone in (EAST, ZoneInfo("Pacific/Auckland")):
        (frame,) = LowcostParser("gw1", zone).feed(packet(b"hi", t=t), NOW_US)
        assert isinstance(frame, Frame)


# Line ends, hex mode, talk


@pytest.mark.parametrize("in_hex", [False, True])
@pytest.mark.parametrize(
    "payload", [b"", b"\\!TC/22.5", b"\n", b"\r", b"\r\n", b"A", bytes(range(256))[:255], b"0A 00 FF "]
)
def test_payload_of_any_bytes_comes_through_with_either_line_end(payload: bytes, in_hex: bool) -> None:
    for line_end in (b"\n", b"\r\n"):
        stream = packet(payload, in_hex=in_hex, line_end=line_end, t="2018-03-02T10:00:01")
        assert [e.phy_payload[4:] for e in frames_of(stream * 2)] == [payload] * 2
        assert events_of(cut(stream * 2, 1)) == events_of([stream * 2])


def test_arduino_ends_only_some_lines_with_a_carriage_return() -> None:
    stream = b"^p1,16,3,0,2,8,-54\n^r125,5,12,868099\n\xff\xfehi\r\n--> CAD duration 547\r\nOK1\r\n"
    assert [e.phy_payload for e in frames_of(stream * 2)] == [b"\x01\x10\x03\x00hi"] * 2


def test_lines_between_header_and_payload_are_passed_over() -> None:
    lines = b"^$Check for downlink requests 1*2\n^lsrc,4\n? comment\n\nfree text\n^t2018-03-02T10:00:01\n"
    (event,) = events_of([packet(b"", talk=False).replace(b"\xff\xfe", lines + b"^r250,6,9\n\xff\xfe")])
    assert isinstance(event, Frame)
    assert (event.time_us, event.rx.sf, event.rx.bw_khz) == (utc_us("2018-03-02T09:00:01"), 9, 250.0)


def test_talk_gives_no_events() -> None:
    talk = [
        b"^$Low-level gw status ON",
        b"^$Packet sent",
        b"^l3,4",
        b"?plain text is : hello",
        b"--> CAD duration 547",
        b"OK1",
        b"###1",
        b"SX1276 detected, starting.",
        b"2024-05-14T09:15:20.004512",
        b"",
        b"+++ rxlora[1]. dst=1 type=0x10",
        b"^r125,5,12,868100",
        b"^t2024-05-14T09:15:30.123456*2599096000",
        b"\xc3\x28 not UTF-8 \x00",
    ]
    assert events_of([b"\n".join(talk) + b"\n"]) == []


def test_receive_error_is_reported_with_what_the_program_says() -> None:
    (noise,) = events_of([b"^$Receive error,RSSI,-117dBm,SNR,-14dB,Length,21,Packets,7,Errors,1,IRQreg,60\r\n"])
    assert isinstance(noise, Noise)
    assert noise.reason is NoiseReason.RECEIVE_ERROR
    assert noise.detail.startswith("Receive error,RSSI,-117dBm,SNR,-14dB,Length,21")


# Damage


def test_first_line_of_the_stream_counts_from_its_first_character() -> None:
    assert len(frames_of(packet(b"hi", talk=False))) == 1


def test_header_inside_a_line_is_no_header() -> None:
    assert events_of([b"x" + packet(b"hi", talk=False)])[0] == Noise(NoiseReason.STRAY_PAYLOAD, 5, "\\xff\\xfehi")


@pytest.mark.parametrize("restart", [b"--- rxlora[1]. dst=1\n", b"^p1,16,4,4,2,8,-54\n", b"^p1,16\n"])
def test_header_without_payload_is_dropped_by_a_new_one(restart: bytes) -> None:
    stream = b"^p1,16,3,0,9,8,-54\n^r125,5,12\n" + restart + packet(b"hi", talk=False)
    assert reasons_of(stream)[0] == "no-payload"
    assert [f.phy_payload for f in frames_of(stream)] == [b"\x01\x10\x03\x00hi"]


def test_lost_bytes_cost_one_frame_and_are_reported() -> None:
    damaged = packet(b"0123456789")[:-4] + b"\n"
    events = events_of([packet(b"before") + damaged + packet(b"after")])
    assert [type(event) for event in events] == [Frame, Noise, Frame]
    assert events[1] == Noise(NoiseReason.DAMAGED, 10, "10 bytes announced: \\xff\\xfe0123456")


def test_carriage_return_alone_does_not_end_a_payload() -> None:
    assert reasons_of(b"^p1,16,3,0,2,8,-54\n\xff\xfehi\rX\n") == ["damaged"]


def test_after_damage_only_whole_lines_count() -> None:
    inside = b"^p1,16,9,9,2,1,-1\n\xff\xfehi\n"
    assert reasons_of(b"^p1,16,3,0,9,8,-54\n\xff\xfe" + inside) == ["damaged", "stray-payload"]
    assert [f.phy_payload for f in frames_of(b"^p1,16,3,0,9,8,-54\n\xff\xfe\n" + inside)] == [b"\x01\x10\x09\x09hi"]


def test_damage_is_told_with_the_byte_that_shows_it() -> None:
    reader = parser()
    assert reader.feed(b"^p1,16,3,0,3,8,-54\n\xff\xfe0A ", NOW_US) == []
    (noise,) = reader.feed(b"z", NOW_US)
    assert noise == Noise(NoiseReason.DAMAGED, 6, "3 bytes announced: \\xff\\xfe0A z")


def test_packet_swallowed_by_a_false_length_is_found() -> None:
    stream = b"^p1,16,3,0,200,8,-54\n\xff\xfeshort\n" + packet(b"one") + packet(b"two") + packet(b"three")
    assert [f.phy_payload[4:] for f in frames_of(stream)] == [b"one", b"two", b"three"]
    assert reasons_of(stream) == ["damaged"]


def test_text_like_hex_is_not_mistaken_for_it() -> None:
    stream = b"^p1,16,3,0,6,8,-54\n\xff\xfe0A 00 F\n" + packet(b"next")
    assert [f.phy_payload[4:] for f in frames_of(stream)] == [b"next"]
    almost = b"^p1,16,3,0,3,8,-54\n\xff\xfe0A 00 0a \n" + packet(b"next")
    assert [f.phy_payload[4:] for f in frames_of(almost)] == [b"next"]
    assert reasons_of(almost) == ["damaged"]


def test_end_of_input_inside_a_payload_still_gives_the_packets_in_it() -> None:
    stream = b"^p1,16,3,0,255,8,-54\n\xff\xfe\n" + packet(b"found") + b"^p1,16,3,0,9,8,-54\n"
    assert [f.phy_payload[4:] for f in frames_of(stream)] == [b"found"]
    assert reasons_of(stream) == ["truncated", "no-payload"]


def test_pause_inside_a_payload_gives_it_up() -> None:
    reader = parser()
    assert reader.feed(packet(b"0123456789")[:-5], NOW_US) == []
    assert reader.feed(b"", NOW_US + MAX_PAUSE_US) == []
    (noise,) = reader.feed(b"", NOW_US + MAX_PAUSE_US + 1)
    assert isinstance(noise, Noise) and noise.reason is NoiseReason.TRUNCATED
    assert reader.feed(b"", NOW_US + 2 * MAX_PAUSE_US) == []
    (frame,) = reader.feed(packet(b"next"), NOW_US + 3 * MAX_PAUSE_US)
    assert isinstance(frame, Frame) and frame.phy_payload.endswith(b"next")


def test_pause_after_a_header_gives_it_up_and_keeps_the_begun_line() -> None:
    reader = parser()
    reader.feed(b"^p1,16,3,0,9,8,-54\n^p1,16,3,1,2,", NOW_US)
    (noise,) = reader.feed(b"", NOW_US + MAX_PAUSE_US + 1)
    assert noise == Noise(NoiseReason.NO_PAYLOAD, 19, "^p1,16,3,0,9,8,-54")
    (frame,) = reader.feed(b"8,-54\n\xff\xfehi\n", NOW_US + MAX_PAUSE_US + 2)
    assert isinstance(frame, Frame) and frame.phy_payload == b"\x01\x10\x03\x01hi"


def test_pause_between_packets_is_nothing() -> None:
    reader = parser()
    reader.feed(packet(b"hi") + b"--> CAD dur", NOW_US)
    assert reader.feed(b"", NOW_US + 3_600_000_000) == []


def test_endless_line_is_noise_once_and_the_next_line_counts() -> None:
    stream = b"x" * 5000 + b"\n" + packet(b"hi")
    events = events_of([stream])
    assert [type(event) for event in events] == [Noise, Frame]
    assert reasons_of(stream) == ["line-too-long"]
    assert events_of(cut(stream, 1)) == events


def test_endless_line_is_told_when_the_limit_is_reached() -> None:
    reader = parser()
    assert reader.feed(b"x" * (MAX_LINE - 1), NOW_US) == []
    assert len(reader.feed(b"x", NOW_US)) == 1
    assert reader._held == b""


def test_longest_line_is_still_a_line() -> None:
    bad_header = b"^p" + b"x" * (MAX_LINE - 3) + b"\n"
    assert reasons_of(bad_header) == ["bad-header"]
    assert reasons_of(b"x" + bad_header) == ["line-too-long"]


def test_parser_can_go_on_after_the_end_of_input() -> None:
    reader = parser()
    reader.feed(b"x" * 3000, NOW_US)
    assert reader.finish(NOW_US) == []
    assert len(reader.feed(packet(b"hi"), NOW_US)) == 1


# Properties

pieces = st.one_of(
    st.binary(max_size=30),
    st.sampled_from(
        [
            b"\n",
            b"\r\n",
            b"\xff\xfe",
            b"--- rxlora[1]. dst=1\n",
            b"^p1,16,3,0,4,8,-54\n",
            b"^p1,16,3,0,0,8,-54\n",
            b"^p1,16,3,0,200,8,-54\n",
            b"^p0,0,0,0,3,8,126\r\n",
            b"^r125,5,12,868100\n",
            b"^r125,5\n",
            b"^t2024-05-14T09:15:30.123456*2599096000\n",
            b"\xff\xfeabcd\n",
            b"\xff\xfe0A 0B 0C 0D \n",
            b"\xff\xfe0A 0B 0C \r\n",
            b"^$Receive error,RSSI\n",
            b"x" * 700,
        ]
    ),
    st.binary(max_size=60).map(packet),
    st.binary(max_size=60).map(lambda payload: packet(payload, in_hex=True)),
    st.builds(
        packet,
        st.binary(max_size=60),
        p=st.sampled_from(
            ["1,16,3,0,{size},8,-54", "0,0,0,0,{size},-12,126", "0,0,0,0,{size},999,9", "0,0,0,0,256,8,9"]
        ),
        t=st.sampled_from(
            [
                "2024-05-14T09:15:30.123456*2599096000",
                "2024-05-14T09:15:30.123456*9999999999",
                "2024-05-14T09:15:60.123456*2599096000",
                "2024-02-30T09:15:30.123456*2599096000",
                "9001-05-14T09:15:30.123456*2599096000",
            ]
        ),
        talk=st.booleans(),
        in_hex=st.booleans(),
        line_end=st.sampled_from([b"\n", b"\r\n"]),
    ),
)
streams = st.lists(pieces, max_size=12).map(b"".join)


@given(streams, st.data())
def test_any_cut_gives_the_same_events(stream: bytes, data: st.DataObject) -> None:
    places = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    chunks = [stream[a:b] for a, b in zip([0, *places], [*places, len(stream)], strict=True)]
    whole = events_of([stream])
    assert events_of(chunk for chunk in chunks if chunk) == whole
    assert events_of(cut(stream, 1)) == whole


@given(st.lists(pieces | st.just(b""), max_size=12))
def test_any_bytes_are_survived_and_little_is_held(chunks: list[bytes]) -> None:
    reader = parser()
    now_us = NOW_US
    for chunk in chunks:
        now_us += MAX_PAUSE_US + 1
        for event in reader.feed(chunk, now_us):
            if isinstance(event, Noise):
                assert event.detail.isprintable() and event.size > 0
            else:
                assert len(event.phy_payload) <= 259
        assert len(reader._held) <= MAX_HELD
    reader.finish(now_us)


@given(
    st.lists(st.binary(max_size=40), min_size=1, max_size=6), st.lists(st.binary(max_size=80), min_size=7, max_size=7)
)
def test_every_packet_is_found_between_garbage(payloads: list[bytes], garbage: list[bytes]) -> None:
    # Garbage that is itself a header with payload may take what follows for its bytes.
    assume(not any(b"^p" in piece for piece in garbage))
    stream = b"".join(g + packet(p) for g, p in zip(garbage, payloads, strict=False))
    found = [f.phy_payload[4:] for f in frames_of(stream)]
    assert found == payloads


@given(
    st.lists(st.text("abc\n/.!\\", max_size=40).map(str.encode), min_size=3, max_size=3),
    st.integers(0, 10_000),
    st.sampled_from(["lose", "add", "change"]),
    st.binary(min_size=1, max_size=5),
)
def test_damage_costs_at_most_the_packet_it_hits(payloads: list[bytes], place: int, how: str, noise: bytes) -> None:
    first, second, third = (packet(payload) for payload in payloads)
    # The digits of the length stay: a false length may end, by chance, where a line of the next packet ends.
    begin = second.index(b"\xff\xfe")
    at = begin + place % (len(second) - begin)
    until = at if how == "add" else min(at + len(noise), len(second))
    damaged = second[:at] + (b"" if how == "lose" else noise[: len(second) - at]) + second[until:]
    found = [f.phy_payload[4:] for f in frames_of(first + damaged + third)]
    assert found[0] == payloads[0]
    assert found[-1] == payloads[2]


@given(st.binary(max_size=255), st.booleans())
def test_any_payload_comes_through(payload: bytes, in_hex: bool) -> None:
    (event,) = events_of([packet(payload, in_hex=in_hex)])
    assert isinstance(event, Frame)
    assert event.phy_payload == b"\x01\x10\x03\x00" + payload


def test_the_format_is_known_by_its_name() -> None:
    reader: Parser = FORMATS["lowcost"]("gw1", UTC)
    (frame,) = reader.feed(packet(b"hi"), NOW_US)
    assert isinstance(frame, Frame) and frame.gateway == "gw1"
