"""A gateway whose key was stolen may tell what it likes: it spoils nothing that others have heard."""

from __future__ import annotations

from itertools import product
from math import inf, nan

import msgspec
import pytest

from lora_post.downlink.transmit import Transmission
from lora_post.downlink.windows import windows_after
from lora_post.fleet.downlinks import MAX_TEXT, RequestFate, RequestReply, decode_fate, decode_reply, encode
from lora_post.fleet.gateway_times import DOUBT_US, GatewayTimes
from lora_post.fleet.raw import VERSION, Handed, OtherVersion, Raw, decode_handed, hand_in
from lora_post.fleet.raw import encode as encode_raw
from lora_post.fleet.subjects import down_subject, id_of, token
from lora_post.lorawan.region import load_region
from lora_post.model import Frame, RxInfo
from lora_post.times import WallUs

EU868 = load_region("EU868")
NUMBERS = (nan, inf, -inf, 1e308, -1e308, 0.0)
LONG = "\x1b<b>" * 100_000


def handed(raw: Raw) -> Raw:
    """Return it as a worker has it."""
    return decode_handed(hand_in("s", [raw])).frames[0]


@pytest.mark.parametrize("number", [-(2**63), -1, 0, 2**63])
def test_numbers_that_are_none_hide_no_frame(number: int) -> None:
    raw = Raw(1, False, 0, None, b"\x40" * 13, number, number, 7, number, LONG, number, 5)
    frame = handed(raw).frame("gw1", WallUs(1))
    assert windows_after(frame, EU868, 1) == ()
    assert frame.rx.cr is None
    assert msgspec.json.decode(msgspec.json.encode(frame), type=Frame) == frame  # as an entry has it


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_that_a_radio_program_makes_up_are_none(number: float) -> None:
    frame = Frame("gw1", WallUs(1), b"\x40" * 13, RxInfo(number, number, 7, number, None, number))
    found = handed(Raw.of(frame, 1, "gw1", kept=False, age_us=0)).frame("gw1", WallUs(1)).rx
    assert found == (RxInfo(sf=7) if number else RxInfo(0.0, 0.0, 7))


@pytest.mark.parametrize(("freq_mhz", "bw_khz"), list(product(NUMBERS, NUMBERS)))
def test_no_number_is_a_frequency_that_fails(freq_mhz: float, bw_khz: float) -> None:
    rx = RxInfo(None, None, 7, bw_khz, None, freq_mhz)
    assert (rx.freq_hz, rx.bw_hz) == (0, 0)


@pytest.mark.parametrize(("store", "heard_by"), [(LONG, ""), ("s", LONG)])
def test_names_that_no_entry_has_room_for_are_refused(store: str, heard_by: str) -> None:
    raw = Raw(1, False, 0, None, b"\x40" * 13, heard_by=heard_by)
    with pytest.raises(msgspec.ValidationError):
        decode_handed(hand_in(store, [raw]))


@pytest.mark.parametrize("data", [["s", 1, False], [VERSION + 1, "s", [[1]]], [], {}, 5])
def test_what_another_version_hands_in_is_told_from_damage(data: object) -> None:
    with pytest.raises(OtherVersion, match="another version of lora-post; install the same"):
        decode_handed(msgspec.msgpack.encode(data))
    with pytest.raises(msgspec.ValidationError):
        decode_handed(encode_raw(Handed(VERSION, "s", ("nonsense",))))  # type: ignore[arg-type]


def test_what_it_tells_of_a_command_is_short_and_printable() -> None:
    told = decode_fate(encode(RequestFate("id", Transmission(LONG, LONG, False, LONG)))).transmission  # type: ignore[arg-type]
    for text in (told.gateway, told.window, told.why, decode_reply(encode(RequestReply(LONG))).why):
        assert len(text) == MAX_TEXT and text.isprintable()


@pytest.mark.parametrize("age_ms", [None, -(2**62), -1, 0, 2**62])
@pytest.mark.parametrize("time_us", [None, -(2**62), 0, 2**62])
def test_frame_was_not_received_after_it_was_handed_in(age_ms: int | None, time_us: WallUs | None) -> None:
    raw = Raw(1, False, age_ms, time_us, b"\x40" * 13)
    times = GatewayTimes()
    for _ in range(5):
        heard_us = times.heard_us("gw1", "s", handed(raw), WallUs(10**15))
        assert 0 <= heard_us <= 10**15 + DOUBT_US  # one of the future would keep the log from being trimmed


@pytest.mark.parametrize("gateway", ["rak.1", "a~2e b", "größe", "*>"])
def test_gateway_is_asked_and_told_by_the_name_that_it_has(gateway: str) -> None:
    assert id_of(token(gateway)) == gateway
    assert down_subject(id_of(token(gateway))) == down_subject(gateway)
    assert id_of("~ff").isprintable()  # none that `token` makes
