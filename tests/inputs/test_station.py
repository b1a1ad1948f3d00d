"""LoRa Basics Stations, over real WebSockets."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus
from websockets.sync.client import connect

from lora_post.downlink.transmit import Downlink, Transmission, Window
from lora_post.errors import FrameError
from lora_post.formats.router_config import router_config
from lora_post.formats.station_json import Message, decode_message, frame_of
from lora_post.inputs import station as station_module
from lora_post.inputs.station import StationConfig, StationInput, bind_station, read_router, timesync
from lora_post.inputs.station_downlinks import CONFIRMS_WITHIN_S, Say, StationDownlinks
from lora_post.lorawan.region import load_region, region_names
from lora_post.metrics import Metrics
from lora_post.model import Frame, Noise
from lora_post.times import WallUs
from tests.support.basics_station import EUI, SESSION, BasicsStation, taken_apart
from tests.support.certificate import write_certificate
from tests.support.command import PATIENCE_S, wait_until

REGION = load_region("EU868")
ACCEPT = bytes.fromhex("201834805ca2d35e438bc543a286173f177ded23bc594636a1f1ea964ce2aa9b4a")
UPLINK = bytes.fromhex("40da1b0126805b000001762ea6f60d0a0b0c")
JOIN = bytes(range(1)) + bytes(range(1, 23))


class Server:
    """The input, and what it gave."""

    def __init__(self, **changes: Any) -> None:
        self.listener = bind_station("station://127.0.0.1:0")
        self.port = self.listener.getsockname()[1]
        self.metrics = Metrics()
        config = StationConfig("EU868", REGION, transmits=True, **changes)
        self.input = StationInput(self.listener, config, self.metrics)
        self.got: list[Frame | Noise] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._pump)
        self._thread.start()

    def _pump(self) -> None:
        while not self._stop.is_set():
            self.got += self.input.events(0.05)

    def wait(self, count: int) -> list[Frame | Noise]:
        deadline = time.monotonic() + PATIENCE_S
        while len(self.got) < count:
            assert time.monotonic() < deadline, self.got
            time.sleep(0.01)
        return self.got

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self.input.close()


@contextmanager
def serving(**changes: Any) -> Iterator[Server]:
    server = Server(**changes)
    try:
        yield server
    finally:
        server.close()


@pytest.mark.parametrize("phy", [UPLINK, JOIN, b"\xc0" + JOIN[1:], b"\xe0hello", UPLINK[:8] + UPLINK[-4:]])
def test_frames_come_out_as_they_were_on_air(phy: bytes) -> None:
    with serving() as server, BasicsStation(server.port) as station:
        station.push(phy, 7_000_000)
        (frame,) = server.wait(1)
        assert isinstance(frame, Frame)
        assert (frame.gateway, frame.phy_payload, frame.tmst) == (EUI, phy, 7_000_000)
        rx = frame.rx
        assert (rx.sf, rx.bw_khz, rx.freq_mhz, rx.rssi_dbm, rx.snr_db) == (7, 125, 868.1, -60, 8.5)


@given(st.binary(min_size=12, max_size=255))
def test_every_frame_comes_out_byte_for_byte(phy: bytes) -> None:
    kind = phy[0] & 0xE0
    if kind in (0x20, 0x60, 0xA0) or (kind in (0, 0xC0) and len(phy) != 23):
        return
    if kind in (0x40, 0x80) and 8 + (phy[5] & 0x0F) > len(phy) - 4:
        return
    message = decode_message(json.dumps(taken_apart(phy)).encode())
    assert frame_of(message, "gw", WallUs(1)).phy_payload == phy


@pytest.mark.parametrize("router", ["b827:ebff:fe11:2233", "B8-27-EB-FF-FE-11-22-33", 0xB827EBFFFE112233])
def test_station_is_told_where_to_connect_and_the_channels(router: object) -> None:
    with serving() as server, BasicsStation(server.port, router) as station:
        told = station.discover()
        assert told["uri"] == f"ws://127.0.0.1:{server.port}/traffic/{EUI}" and told["router"] == router
        config = station.config
        assert (config["msgtype"], config["region"], config["hwspec"]) == ("router_config", "EU863", "sx1301/1")
        assert config["DRs"][5] == [7, 125, 0] and len(config["DRs"]) == 16


@pytest.mark.parametrize(
    ("text", "eui"), [("::1", "0000000000000001"), ("f::1", "000f000000000001"), ("1:2:3:4", "0001000200030004")]
)
def test_id6_is_an_eui(text: str, eui: str) -> None:
    assert read_router(text) == eui


@pytest.mark.parametrize("router", ["1:2:3", "1:2:3:4:5", "", None, -1, 1 << 64, "gggg::1", [], "1:2::3:4:5", ":" * 30])
def test_what_is_no_eui_is_refused(router: object) -> None:
    with pytest.raises(FrameError):
        read_router(router)


def test_answer_names_the_uplink_and_both_windows() -> None:
    with serving() as server, BasicsStation(server.port) as station:
        us = 2**32 - 500_000  # RX1 lies behind the wrap of the lower half
        station.push(JOIN, us)
        (frame,) = server.wait(1)
        assert isinstance(frame, Frame) and frame.tmst == us
        told: list[Transmission] = []
        done = threading.Event()
        assert server.input.transmitter is not None
        server.input.transmitter.send(
            downlink(us + 5_000_000, tell=lambda transmission: (told.append(transmission), done.set()))
        )
        message = station.downlink()
        assert (message["dC"], message["RxDelay"], message["xtime"], message["rctx"]) == (0, 5, SESSION + us, 3)
        assert (message["RX1DR"], message["RX1Freq"]) == (5, 868_100_000)
        assert (message["RX2DR"], message["RX2Freq"]) == (0, 869_525_000)
        assert bytes.fromhex(message["pdu"]) == ACCEPT
        assert done.wait(PATIENCE_S) and told == [Transmission(EUI, "RX1", True)]


def downlink(rx1_us: int, *, windows: str = "RX1 RX2", tell: Any = lambda transmission: None) -> Downlink:
    rx1 = REGION.rx1(868_100_000, 7, 125_000)
    assert rx1 is not None
    found = {
        "RX1": Window("RX1", rx1_us % 2**32, rx1),
        "RX2": Window("RX2", (rx1_us + 1_000_000) % 2**32, REGION.rx2_slot()),
        "C": Window("C", None, REGION.rx2_slot()),
    }
    return Downlink("answer", EUI, ACCEPT, tuple(found[name] for name in windows.split()), tell)


class Book:
    """Downlinks of a station that is connected, without a socket; the clock stands still."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.said: list[dict[str, Any]] = []
        self.told: list[Transmission] = []
        self.downlinks = StationDownlinks(REGION, Metrics(), lambda: self.now)
        self.say = lambda body: self.said.append(json.loads(body))
        self.downlinks.linked(EUI, self.say)
        self.hear(self.say)

    def hear(self, say: Say) -> None:
        self.downlinks.heard(EUI, decode_message(b'{"upinfo":{"xtime":5000000,"rctx":1}}'), say)

    def send(self, rx1_us: int, windows: str) -> None:
        self.downlinks.send(downlink(rx1_us, windows=windows, tell=self.told.append))


def test_window_alone_is_sent_alone() -> None:
    book = Book()
    book.send(6_000_000, "RX2")
    (message,) = book.said
    assert message["RxDelay"] == 1 and message["xtime"] == 5_000_000
    assert message["RX2Freq"] == 869_525_000 and "RX1Freq" not in message


def test_class_c_goes_at_once() -> None:
    book = Book()
    book.send(0, "C")
    (message,) = book.said
    assert message["dC"] == 2 and message["RX2Freq"] == 869_525_000 and "xtime" not in message


def test_answer_to_an_unknown_uplink_is_told_as_failed() -> None:
    book = Book()
    book.send(6_000_001, "RX1")
    assert book.said == [] and book.told[0].is_sent is False and "does not know the uplink" in book.told[0].why


def test_station_that_has_gone_sends_nothing() -> None:
    book = Book()
    book.downlinks.unlinked(EUI, lambda body: None)
    assert book.downlinks.station(EUI) is not None, "a newer connection is there"
    book.downlinks.unlinked(EUI, book.say)
    assert book.downlinks.station(EUI) is None
    book.send(6_000_000, "RX1")
    assert book.told[0].is_sent is False and "not connected" in book.told[0].why


def test_answer_takes_the_connection_that_its_uplink_came_by_whoever_else_gives_the_same_eui() -> None:
    book, others = Book(), list[bytes]()
    book.downlinks.linked(EUI, others.append)
    book.hear(book.say)
    book.send(6_000_000, "RX1")
    assert len(book.said) == 1 and not others
    stranger = others.append
    book.downlinks.linked(EUI, stranger)
    book.downlinks.unlinked(EUI, stranger)
    assert book.downlinks.station(EUI) is None
    book.hear(book.say)
    book.send(6_000_000, "RX1")
    assert len(book.said) == 2 and not others


def test_station_that_says_nothing_of_a_frame_is_told_as_unknown() -> None:
    book = Book()
    book.send(6_000_000, "RX1 RX2")
    book.now += CONFIRMS_WITHIN_S - 1
    book.downlinks.look_for_unconfirmed()
    assert book.told == []
    book.now += 2
    book.downlinks.look_for_unconfirmed()
    assert book.told == [Transmission(EUI, "RX2", None)]
    book.downlinks.sent(EUI, Message(diid=book.said[0]["diid"]))
    assert len(book.told) == 1, "too late"


def test_a_reconnected_station_is_not_given_uplinks_of_its_last_session() -> None:
    book = Book()
    book.downlinks.linked(EUI, book.say)
    book.send(6_000_000, "RX1")
    assert book.said == [] and book.told[0].is_sent is False


def test_time_is_told() -> None:
    with serving() as server, BasicsStation(server.port) as station:
        station.say({"msgtype": "timesync", "txtime": 17})
        answer = station.hear()
        assert answer["msgtype"] == "timesync" and answer["txtime"] == 17
        assert abs(answer["gpstime"] / 1e6 - (time.time() - 315_964_800 + 18)) < PATIENCE_S
    assert set(timesync(Message())) == {"msgtype", "txtime", "gpstime"}


def test_only_listed_stations_are_let_in() -> None:
    with serving(gateways=frozenset({"0016c001f1500812"})) as server, BasicsStation(server.port, "16:c001:f150:812"):
        with pytest.raises(InvalidStatus, match="403"), connect(f"ws://127.0.0.1:{server.port}/traffic/{EUI}"):
            pass
        (noise,) = server.wait(1)
        assert isinstance(noise, Noise) and f'add "{EUI}" to gateways' in noise.detail
        with pytest.raises(InvalidStatus, match="404"), connect(f"ws://127.0.0.1:{server.port}/"):
            pass


def test_only_so_many_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(station_module, "MAX_CONNECTIONS", 1)
    with (
        serving() as server,
        BasicsStation(server.port),
        pytest.raises(InvalidStatus, match="503"),
        connect(f"ws://127.0.0.1:{server.port}/router-info"),
    ):
        pass


def test_one_host_cannot_take_the_place_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(station_module, "MAX_OF_HOST", 1)
    with serving() as server:
        url = f"ws://127.0.0.1:{server.port}/router-info"
        with BasicsStation(server.port):
            with pytest.raises(InvalidStatus, match="503"), connect(url):
                pass
            with connect(url, source_address=("127.0.0.2", 0)):
                pass
        wait_until(lambda: lets_in(server.port), "the first one is let in again")


def test_connections_that_say_nothing_have_a_bound_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(station_module, "MAX_OPEN", 3)
    with serving() as server:
        with contextlib.ExitStack() as silent:
            for _ in range(3):
                silent.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as one_more:
                assert one_more.recv(1) == b""
        wait_until(lambda: lets_in(server.port), "a station is let in again")


def lets_in(port: int) -> bool:
    try:
        with connect(f"ws://127.0.0.1:{port}/traffic/{EUI}"):
            return True
    except (OSError, InvalidMessage, ConnectionClosed):
        return False


@pytest.mark.parametrize(
    "body",
    [
        "", "{", "[]", "null", "1", "[" * 5000, '{"msgtype":"updf"}', '{"msgtype":"updf","DevAddr":99999999999}',
        '{"msgtype":"jreq","JoinEui":"x"}', '{"msgtype":"propdf","FRMPayload":"xx"}', '{"msgtype":"propdf"}',
        '{"msgtype":7}', '{"msgtype":"dntxed","diid":"x"}', '{"msgtype":"timesync","txtime":{}}', b"\xff\xfe",
        '{"msgtype":"nonsense"}', '{"msgtype":"dntxed","diid":1}', "x" * 10_000,
    ],
)  # fmt: skip
def test_hostile_messages_cost_themselves(body: str | bytes) -> None:
    with serving() as server, BasicsStation(server.port) as station:
        station.socket.send(body)
        station.push(UPLINK, 1)
        deadline = time.monotonic() + PATIENCE_S
        while not any(isinstance(each, Frame) for each in server.got):
            assert time.monotonic() < deadline
            time.sleep(0.01)


@settings(max_examples=2 * settings.default.max_examples)
@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), lambda of: st.lists(of) | st.dictionaries(
    st.sampled_from(["msgtype", "router", "upinfo", "DR", "FRMPayload", "diid", "MIC", "rxtime", "xtime"]), of), max_leaves=9).map(json.dumps))  # fmt: skip  # noqa: E501
def test_no_message_raises_anything_else(body: str) -> None:
    with contextlib.suppress(FrameError):
        message = decode_message(body.encode("utf-8", "surrogatepass"))
        frame_of(message, "gw", WallUs(1), REGION.data_rates)


def test_messages_beyond_the_bound_end_the_connection() -> None:
    with serving() as server, BasicsStation(server.port) as station:
        with pytest.raises(ConnectionClosed):
            station.socket.send("x" * 100_000)
            station.hear()
        with BasicsStation(server.port) as other:
            other.push(UPLINK, 1)
            server.wait(1)


def test_noise_on_the_port_costs_itself() -> None:
    with serving() as server, BasicsStation(server.port) as station:
        for junk in (b"\0" * 100, b"GET / HTTP/1.1\r\n" * 1000, b"\x16\x03\x01" + bytes(200)):
            with socket.create_connection(("127.0.0.1", server.port)) as raw, contextlib.suppress(OSError):
                raw.sendall(junk)
        station.push(UPLINK, 1)
        assert any(isinstance(each, Frame) for each in server.wait(1))


def test_discovery_that_asks_nothing_at_all_is_not_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as server:
        with monkeypatch.context() as hasty:  # not for the station behind it, which a busy machine may hold up
            hasty.setattr(station_module, "ASKS_WITHIN_S", 0.1)
            with connect(f"ws://127.0.0.1:{server.port}/router-info") as asked, pytest.raises(ConnectionClosed):
                asked.recv(PATIENCE_S)
        with BasicsStation(server.port) as station:
            station.push(UPLINK, 1)
            assert [type(each) for each in server.wait(1)] == [Frame]


def test_discovery_that_asks_nothing_sensible_is_answered() -> None:
    with serving() as server, connect(f"ws://127.0.0.1:{server.port}/router-info") as asked:
        asked.send('{"router":"no"}')
        assert "error" in json.loads(asked.recv(PATIENCE_S))
        (noise,) = server.wait(1)
        assert isinstance(noise, Noise)


@pytest.mark.parametrize("name", region_names())
def test_channels_of_every_region_lie_within_their_radios(name: str) -> None:
    config: Any = router_config(name, load_region(name))
    radios = config["sx1301_conf"][0]
    low, high = config["freq_range"]
    enabled = [each for key, each in radios.items() if key.startswith("chan_") and each["enable"]]
    assert enabled
    for channel in enabled:
        assert radios[f"radio_{channel['radio']}"]["enable"]
        assert abs(channel["if"]) + channel.get("bandwidth", 125_000) / 2 <= 550_000
        assert low <= radios[f"radio_{channel['radio']}"]["freq"] + channel["if"] <= high


def test_connection_is_encrypted_with_a_certificate(tmp_path: Path) -> None:
    certificate = write_certificate(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    trusting = ssl.create_default_context(cafile=certificate)
    with serving(tls=tls) as server, BasicsStation(server.port, tls=trusting) as station:
        assert station.discover()["uri"].startswith("wss://")
        station.push(UPLINK, 1)
        server.wait(1)
