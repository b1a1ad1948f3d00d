from __future__ import annotations

import json
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.config.inputs import InputConfig
from lora_post.errors import ConfigError, FrameError
from lora_post.formats.rxpk_json import MAX_PACKETS, read_push_data
from lora_post.formats.semtech_udp import read_datagram
from lora_post.inputs import Surroundings, gateway_book, open_input, push_queue
from lora_post.inputs.gateway_book import GatewayBook
from lora_post.inputs.push_queue import MAX_SHARE, Push, PushQueue, Taken
from lora_post.inputs.udp import UdpInput, bind_udp
from lora_post.metrics import Metrics
from lora_post.model import Frame, Noise, NoiseReason
from lora_post.uplink.heard_twice import DATAGRAM_WINDOW_US
from tests.support.command import PATIENCE_S
from tests.support.in_process import lora_post
from tests.support.parsers import LAB_1, NOW_US, assert_events_are_sound

EUI = "b827ebfffe112233"
OTHER = "b827ebfffe445566"
RXPK = {"freq": 868.5, "stat": 1, "datr": "SF7BW125", "rssi": -57, "lsnr": 8.2, "data": "QANcqwEAAAACxT+q1Ckpr7zYNLxj"}


def push(*packets: object, eui: str = EUI, token: int = 0x1234, version: int = 2, **more: object) -> bytes:
    body = json.dumps({"rxpk": packets, **more}).encode()
    return bytes((version, *token.to_bytes(2), 0)) + bytes.fromhex(eui) + body


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def udp_input(
    *gateways: str, metrics: Metrics | None = None, clock: Callable[[], float] | None = None
) -> Iterator[tuple[UdpInput, socket.socket]]:
    """An input on a free port, already listening, and a gateway's socket that sends to it."""
    listener = bind_udp("udp://:0")
    address = listener.getsockname()
    input_ = UdpInput(listener, frozenset(gateways), metrics or Metrics(), clock or (lambda: 0.0))
    gateway = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    gateway.settimeout(PATIENCE_S)
    gateway.connect(address)
    try:
        input_.events(0.0)
        yield input_, gateway
    finally:
        input_.close()
        gateway.close()


def answered(gateway: socket.socket, datagram: bytes) -> bytes:
    gateway.send(datagram)
    return gateway.recv(100)


PULL = bytes.fromhex("02a1b202" + EUI)
PULL_ACK = bytes.fromhex("02a1b204")


@pytest.mark.parametrize(
    ("datagram", "answer"),
    [
        (PULL, "02a1b204"),
        (bytes.fromhex("01a1b202" + EUI), "01a1b204"),
        (push(RXPK), "02123401"),
        (push(RXPK, version=1), "01123401"),
        (bytes.fromhex("02123400" + EUI) + b"{broken", "02123401"),
        (bytes.fromhex("02123400" + EUI), "02123401"),
        (bytes.fromhex("02123405" + EUI), ""),
        (bytes.fromhex("02123405" + EUI) + b'{"txpk_ack":{"error":"NONE"}}', ""),
        (bytes.fromhex("02123404" + EUI), ""),
    ],
)
def test_datagram_gets_the_answer_that_its_gateway_waits_for(datagram: bytes, answer: str) -> None:
    assert read_datagram(datagram).answer.hex() == answer
    assert read_datagram(datagram).gateway == EUI


@pytest.mark.parametrize(
    "text", ["", "02", "0212340", "03010200" + EUI, "02000609" + EUI, "021234000011223344556", "02123401" + EUI]
)
def test_what_no_packet_forwarder_sends_is_refused(text: str) -> None:
    with pytest.raises(FrameError):
        read_datagram(bytes.fromhex(text[: len(text) // 2 * 2]))


@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda tail: bytes.fromhex("02123400" + EUI) + tail))
def test_hostile_datagram_is_refused_or_harmless(data: bytes) -> None:
    try:
        datagram = read_datagram(data)
    except FrameError as error:
        assert str(error).isprintable()
        return
    assert len(datagram.gateway) == 16
    assert_events_are_sound(read_push_data(datagram.body, datagram.gateway, NOW_US).events)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["rxpk", "stat", "data", "rsig", "lsnr", "rxnb", "time", "temp"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_harmless(value: object) -> None:
    found = read_push_data(json.dumps(value).encode(), EUI, NOW_US)
    assert_events_are_sound(found.events)
    assert all(isinstance(number, (int, float)) for number in found.stat.values())


def test_datagram_with_more_packets_than_a_concentrator_holds_is_cut_there() -> None:
    events = read_push_data(json.dumps({"rxpk": [RXPK] * 1000}).encode(), EUI, NOW_US).events
    assert len(events) == MAX_PACKETS + 1 and isinstance(events[-1], Noise)


def test_gateways_are_told_apart_and_each_is_answered() -> None:
    with udp_input() as (input_, gateway):
        assert answered(gateway, PULL) == PULL_ACK
        assert answered(gateway, push(RXPK, stat={"rxnb": 2, "rxok": 1, "time": "x"})).hex() == "02123401"
        assert answered(gateway, push(RXPK, eui=OTHER, token=7)).hex() == "02000701"
        frames = input_.events(10)
        assert [(frame.gateway, frame.phy_payload) for frame in frames if isinstance(frame, Frame)] == [
            (EUI, LAB_1),
            (OTHER, LAB_1),
        ]
        health = {one.gateway: one for one in input_.gateways.snapshot(9)}
        assert health[EUI].stat == {"rxnb": 2, "rxok": 1} and health[EUI].datagrams == 2
        assert health[OTHER].datagrams == 1


def test_repeated_datagram_is_acknowledged_and_not_doubled() -> None:
    metrics = Metrics()
    with udp_input(metrics=metrics) as (input_, gateway):
        for _ in range(3):
            assert answered(gateway, push(RXPK)).hex() == "02123401"
        assert answered(gateway, push(RXPK, token=9)).hex() == "02000901"
        assert len(input_.events(10)) == 2
    assert metrics.labels("noise") == {"repeated-datagram": 2}


def test_frame_with_a_wrong_crc_is_counted_and_dropped() -> None:
    with udp_input() as (input_, gateway):
        answered(gateway, push(RXPK | {"stat": -1}))
        (event,) = input_.events(10)
    assert isinstance(event, Noise) and event.reason is NoiseReason.CRC


def test_only_listed_gateways_are_heard() -> None:
    with udp_input(OTHER) as (input_, gateway):
        gateway.send(push(RXPK))
        assert answered(gateway, push(RXPK, eui=OTHER, token=2)).hex() == "02000201"
        noise, frame = input_.events(10)
        assert isinstance(noise, Noise) and noise.reason is NoiseReason.UNKNOWN_GATEWAY
        assert f'add "{EUI}" to gateways' in noise.detail
        assert isinstance(frame, Frame) and frame.gateway == OTHER
        assert [health.gateway for health in input_.gateways.snapshot(9)] == [OTHER]


def test_flood_of_strange_datagrams_is_counted_without_being_kept() -> None:
    metrics = Metrics()
    with udp_input(metrics=metrics) as (input_, gateway):
        for _ in range(100):
            gateway.send(b"hello")
        assert answered(gateway, PULL) == PULL_ACK
        events = input_.events(10)
    assert {event.reason for event in events if isinstance(event, Noise)} == {NoiseReason.BAD_DATAGRAM}
    assert len(events) + metrics.labels("noise")["bad-datagram"] == 100


def test_what_does_not_fit_is_not_acknowledged_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    metrics, clock = Metrics(), Clock()
    with udp_input(metrics=metrics, clock=clock) as (input_, gateway):
        body = b'{"rxpk":[]}' + b" " * 60_000
        head = bytes.fromhex(EUI)
        acknowledged = [answered(gateway, bytes((2, 0, token, 0)) + head + body) for token in range(4)]
        assert len(acknowledged) == 4
        gateway.send(bytes((2, 0, 99, 0)) + head + body)
        # The next answer is that of another gateway, whose share is its own.
        assert answered(gateway, push(RXPK, eui=OTHER)).hex() == "02123401"
        clock.now = 61.0
        assert [event.gateway for event in input_.events(10) if isinstance(event, Frame)] == [OTHER]
    assert metrics.labels("dropped") == {"udp-queue-full": 1}
    assert caplog.text.count("too many datagrams; lost since the start") == 1


def test_what_was_acknowledged_is_given_when_no_more_is_waited_for() -> None:
    with udp_input() as (input_, gateway):
        for token in range(200):
            assert answered(gateway, push(RXPK, token=token))
        assert len(input_.drain()) == 200


def test_queue_gives_a_bounded_batch() -> None:
    queue = PushQueue()
    for token in range(100):
        assert queue.put(Push(EUI, token, b"{}", NOW_US, 0.0)) is Taken.QUEUED
    assert [len(queue.take(64, 0)) for _ in range(3)] == [64, 36, 0]


def test_one_gateway_cannot_take_the_room_of_the_others() -> None:
    queue = PushQueue()
    verdicts = [queue.put(Push(EUI, token, bytes(1000), NOW_US, 0.0)) for token in range(2000)]
    assert verdicts.count(Taken.QUEUED) == MAX_SHARE // (1000 + push_queue.OVERHEAD)
    assert queue.put(Push(OTHER, 1, bytes(1000), NOW_US, 0.0)) is Taken.QUEUED
    while queue.take(64, 0):
        pass
    assert queue.put(Push(EUI, 5000, bytes(1000), NOW_US, 0.0)) is Taken.QUEUED


def test_same_datagram_later_is_another_one() -> None:
    queue = PushQueue()
    assert queue.put(Push(EUI, 1, b"{}", NOW_US, 0.0)) is Taken.QUEUED
    assert queue.put(Push(EUI, 1, b"{}", NOW_US + 1_000_000, 0.0)) is Taken.REPEATED
    assert queue.put(Push(EUI, 1, b"{}", NOW_US + DATAGRAM_WINDOW_US, 0.0)) is Taken.QUEUED


def test_memory_of_repeats_is_bounded() -> None:
    queue = PushQueue()
    for token in range(push_queue.KEEP_RECENT + 1):
        queue.put(Push(EUI, token, b"{}", NOW_US, 0.0))
        queue.take(1, 0)
    assert queue.put(Push(EUI, 0, b"{}", NOW_US, 0.0)) is Taken.QUEUED
    assert queue.put(Push(EUI, push_queue.KEEP_RECENT, b"{}", NOW_US, 0.0)) is Taken.REPEATED


def test_gateway_that_comes_goes_and_returns_is_told_once_each(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock()
    book = GatewayBook("udp :1700", clock)
    for _ in range(3):
        book.heard(EUI, "10.0.0.2:5000")
    book.told(EUI, {"rxnb": 4})
    clock.now = gateway_book.SILENT_AFTER_S + 1
    book.look_for_silent()
    book.look_for_silent()
    assert [health.silent for health in book.snapshot(1)] == [True]
    book.heard(EUI, "10.0.0.3:5000")
    assert [record.getMessage() for record in caplog.records] == [
        f"udp :1700: gateway {EUI} at 10.0.0.2:5000",
        f"udp :1700: gateway {EUI} at 10.0.0.2:5000 is silent, for 120 s; rxnb=4",
        f"udp :1700: gateway {EUI} is back after 121 s",
    ]
    assert [(health.address, health.silent) for health in book.snapshot(1)] == [("10.0.0.3:5000", False)]


def test_made_up_gateways_fill_neither_the_book_nor_the_log_and_displace_none_that_speaks(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(gateway_book, "MAX_GATEWAYS", 500)
    clock = Clock()
    book = GatewayBook("udp", clock)
    for number in range(2000):
        book.heard(EUI, "10.0.0.1:1700")
        book.heard(f"{number:016x}", "10.0.0.2:5000")
    assert len(book) == 500
    assert len(caplog.records) == gateway_book.MAX_LINES
    clock.now = gateway_book.SILENT_AFTER_S
    book.heard(EUI, "10.0.0.1:1700")
    clock.now += 1
    book.look_for_silent()
    assert (
        f"udp: {2001 - gateway_book.MAX_LINES} gateways more came"
        in caplog.records[gateway_book.MAX_LINES].getMessage()
    )
    assert book.missing() is None
    book.heard(OTHER, "10.0.0.2:5000")
    assert len(book) == 500
    assert [health.gateway for health in book.snapshot(500) if not health.silent] == sorted([EUI, OTHER])


def test_more_gateways_than_one_book_page_shows_are_all_heard() -> None:
    clock = Clock()
    every = [f"{number:016x}" for number in range(300)]
    book = GatewayBook("udp", clock, every)
    for now in range(0, 200, 20):
        clock.now = now
        for eui in every:
            book.heard(eui, "10.0.0.2:5000")
        book.look_for_silent()
    assert book.missing() is None
    clock.now = 200 + gateway_book.SILENT_AFTER_S
    for eui in every[:-1]:
        book.heard(eui, "10.0.0.2:5000")
    book.look_for_silent()
    assert f"gateway {every[-1]} is silent" in str(book.missing())
    assert [health.gateway for health in book.snapshot(3)] == [every[0], every[1], every[-1]]


def test_without_a_host_only_this_machine_can_send() -> None:
    with bind_udp("udp://:0") as listener:
        assert listener.getsockname()[0] == "127.0.0.1"
    with bind_udp("udp://0.0.0.0:0") as listener:
        assert listener.getsockname()[0] == "0.0.0.0"


@pytest.mark.parametrize(
    "url", ["udp://:99999", "udp://:x", "udp://1.2.3.4:1700/x", "udp://:0?a=b", "udp://me@:0", "udp://no such:1"]
)
def test_strange_url_is_a_mistake_that_names_the_fix(url: str) -> None:
    with pytest.raises(ConfigError, match=r"udp://|is the address one of"):
        bind_udp(url)


def test_port_that_is_taken_is_a_mistake(tmp_path: Path) -> None:
    with bind_udp("udp://:0") as listener:
        url = f"udp://:{listener.getsockname()[1]}"
        with pytest.raises(ConfigError, match="is another program using the port"):
            open_input(InputConfig(url, "rxpk"), Surroundings("gw1", Metrics()))
        config = tmp_path / "lora-post.toml"
        config.write_text(f'[gateway]\nid = "gw1"\n[[input]]\nurl = "{url}"\n')
        assert "fine if that is `lora-post run`" in lora_post("check", "-c", config).out


def test_check_warns_of_a_port_that_is_open_to_everybody(tmp_path: Path) -> None:
    config = tmp_path / "lora-post.toml"
    config.write_text('[gateway]\nid = "gw1"\n[[input]]\nurl = "udp://0.0.0.0:0"\n')
    assert "name your gateways" in lora_post("check", "-c", config).out
    config.write_text(f'[gateway]\nid = "gw1"\n[[input]]\nurl = "udp://0.0.0.0:0"\ngateways = ["{EUI}"]\n')
    assert "name your gateways" not in lora_post("check", "-c", config).out


def test_silent_gateway_is_the_trouble_of_an_input_that_expects_it_or_hears_nobody_else() -> None:
    clock = Clock()
    books = listed, anybody = GatewayBook("udp", clock, [EUI, OTHER]), GatewayBook("udp", clock)
    assert listed.missing() is None  # it may still come
    for book in books:
        book.heard(OTHER, "192.0.2.1:5")
    clock.now = gateway_book.SILENT_AFTER_S + 1
    for book in books:
        book.look_for_silent()
    assert f"gateway {EUI}, {OTHER} is silent" in str(listed.missing())
    assert f"gateway {OTHER} is silent" in str(anybody.missing())
    for book in books:
        book.heard(EUI, "192.0.2.1:6")
    assert anybody.missing() is None
    assert OTHER in str(listed.missing())


def test_input_without_any_gateway_yet_is_in_no_trouble() -> None:
    clock = Clock()
    book = GatewayBook("udp", clock)
    clock.now = 10_000
    assert book.missing() is None
