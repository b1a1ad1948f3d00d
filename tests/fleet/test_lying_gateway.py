"""A gateway whose key was stolen may tell what it likes: it spoils nothing that others have heard."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import partial
from itertools import product
from math import inf, nan
from pathlib import Path

import msgspec
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from lora_post.config.fleet import FleetConfig, Role
from lora_post.downlink.transmit import Transmission
from lora_post.downlink.windows import windows_after
from lora_post.fleet.errors import UNREADABLE
from lora_post.fleet.gateway.publisher import Patience
from lora_post.fleet.hub.downlinks import MAX_TEXT, RequestFate, RequestReply, decode_fate, decode_reply, encode
from lora_post.fleet.hub.link import Link as HubLink
from lora_post.fleet.hub.raw import (
    MAX_TOGETHER,
    VERSION,
    Handed,
    OtherVersion,
    Raw,
    decode_handed,
    decode_word,
    hand_in,
)
from lora_post.fleet.hub.raw import encode as encode_raw
from lora_post.fleet.hub.subjects import (
    PARTS,
    address_of,
    down_subject,
    id_of,
    log_prefix,
    log_subject,
    part_of_log,
    raw_subject,
    token,
)
from lora_post.fleet.log.acceptance import Acceptance
from lora_post.fleet.log.entry import decode as decode_entry
from lora_post.fleet.log.streams import ensure_streams
from lora_post.fleet.log.view import View
from lora_post.fleet.uploader.errands import decode_errand
from lora_post.fleet.worker.gateway_times import DOUBT_US, GatewayTimes
from lora_post.fleet.worker.intake import PUBLISHED, Arrived, Intake, published_us
from lora_post.fleet.worker.worker import Worker
from lora_post.lorawan.region import load_region
from lora_post.model import Device, Frame, Link, RxInfo
from lora_post.times import WallUs
from lora_post.uplink.unlock import seal_lorawan
from tests.support.command import PATIENCE_S, dev_addr, keys
from tests.support.fleet_worker import OneWorker
from tests.support.memory_log import MemoryLog
from tests.support.nats_servers import nats_servers

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


def test_name_that_is_too_long_costs_the_other_frames_of_its_message_nothing() -> None:
    frame = Frame(LONG, WallUs(1), b"\x40" * 13, RxInfo())
    assert len(handed(Raw.of(frame, 1, "gw1", kept=False, age_us=0)).heard_by) == 256


def test_no_message_has_more_frames_than_a_worker_holds() -> None:
    raw = Raw(1, False, 0, None, b"\x40" * 13)
    assert len(decode_handed(hand_in("s", [raw] * MAX_TOGETHER)).frames) == MAX_TOGETHER >= Patience().together
    with pytest.raises(msgspec.ValidationError):
        decode_handed(hand_in("s", [raw] * (MAX_TOGETHER + 1)))


DEEP = b"\x91" * 100_000
BYTES = (b"", b"\xff" * 9, b"\x91\xa1\xff", DEEP, b"\x81\x81\x01\x02\x03", b"\x94\xa7settled\xa1s\x90" + DEEP)


@pytest.mark.parametrize("data", BYTES)
@pytest.mark.parametrize("read", [decode_handed, decode_word, decode_fate, decode_reply, decode_errand, decode_entry])
def test_bytes_that_anybody_wrote_fail_as_what_is_caught_everywhere(
    data: bytes, read: Callable[[bytes], object]
) -> None:
    with pytest.raises((OtherVersion, *UNREADABLE)):
        read(data)


@pytest.mark.parametrize("passed_on", ["²", "9" * 5000, "-1", "", "x", str(10**18)])
def test_time_that_a_gateway_makes_up_for_the_hub_is_none(passed_on: str) -> None:
    reply = "$JS.ACK.LP_RAW.part-0.1.7.9.1790000000000000000.0"
    message = Msg(Client(), "raw.0.a.gw", reply, b"", {PUBLISHED: passed_on})
    assert published_us(message) == 1_790_000_000_000_000
    assert published_us(Msg(Client(), "raw.0.a.gw", reply, b"", {PUBLISHED: "5"})) == 5


def test_frame_for_another_partition_is_not_decided_and_writes_nothing() -> None:
    worker = Worker.__new__(Worker)
    log = MemoryLog()
    device = Device("d0", "d0", Link.LORAWAN, dev_addr(0), "cayenne-lpp", keys(0))
    home = part_of_log(log_subject(device))
    for part, is_defect, entries in (((home + 1) % PARTS, True, 0), (home, False, 1)):
        one = OneWorker(log, [device], view=View(log_prefix(part)))
        worker._judge = one.judge
        acceptance = Acceptance(log, View(log_prefix(part)), partial(worker._judged, log_prefix(part)))
        copied = one.copied(seal_lorawan(keys(0), dev_addr(0), 1, 2, b"\1\2\0\5"), 1.0)
        assert len(list(acceptance.accept([copied]))) == 1
        assert (copied.is_defect, len(log.read("log.", 0))) == (is_defect, entries)


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


@pytest.mark.long
def test_nothing_that_is_handed_in_ends_the_partition(tmp_path: Path) -> None:
    frame = Frame("gw1", WallUs(1), b"\x40" * 13, RxInfo())
    part, address = address_of(frame)
    good = hand_in("s", [Raw.of(frame, 7, "gw1", kept=False, age_us=0)])
    with nats_servers(tmp_path) as nodes:
        fleet = FleetConfig(tuple(nodes.urls), frozenset({Role.WORKER}), replicas=1)
        with closing(HubLink(fleet, "desk")) as link:
            assert link.wait(PATIENCE_S)
            ensure_streams(link, 1, may_make_log=True)
            intake = Intake(link, {})
            link.start(intake.feed(part))
            subject, stream = raw_subject(part, [address], "gw1"), link.client.jetstream()
            for data in BYTES[1:]:
                link.call(stream.publish(subject, data))
            link.call(stream.publish(subject, good, headers={PUBLISHED: "²"}))
            link.call(stream.publish(subject, good))
            for _ in range(2):
                arrived = intake.arrived.get(timeout=PATIENCE_S)
                assert isinstance(arrived, Arrived) and arrived.number == 7
