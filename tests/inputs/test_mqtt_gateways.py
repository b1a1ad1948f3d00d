"""Gateways behind a real broker, in JSON and protobuf."""

from __future__ import annotations

import signal
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.config import parse_config
from lora_post.downlink.mac_answers import margin_db
from lora_post.downlink.transmit import Downlink, Transmission, Window
from lora_post.errors import ConfigError, FrameError
from lora_post.formats import gateway_events
from lora_post.formats.gateway_events import HeardUp, TxAck, gateway_in, read_ack, read_stats, read_up
from lora_post.inputs import Surroundings, open_input
from lora_post.inputs.mqtt_gateways import CONFIRMS_WITHIN_S, KNOWN_FOR_S, GatewayDownlinks, MqttGateways
from lora_post.lorawan.region import load_region
from lora_post.metrics import Metrics
from lora_post.model import Frame, Heard, Noise, RxInfo
from lora_post.times import WallUs
from tests.support.broker import mosquitto
from tests.support.build import NOON_US
from tests.support.command import PATIENCE_S, started, wait_until
from tests.support.config_text import GATEWAY, PATH
from tests.support.forwarder import JoiningDevice
from tests.support.joining_site import WARM, Site
from tests.support.mqtt_forwarder import EUI, MqttForwarder, pdu
from tests.support.ports import free_port
from tests.support.seal import ROOT_10

REGION = load_region("EU868")
ACCEPT = bytes.fromhex("201834805ca2d35e438bc543a286173f177ded23bc594636a1f1ea964ce2aa9b4a")
NETWORK = '[network]\nregion = "EU868"\n'
PHY = bytes.fromhex("40da1b0126805b000001762ea6f60d0a0b0c")


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    found = free_port()
    with mosquitto(tmp_path_factory.mktemp("broker"), found):
        yield found


class Server:
    def __init__(self, port: int) -> None:
        text = f'[[input]]\nurl = "mqtt://127.0.0.1:{port}/+/gateway/+/event/+?qos=1"\nformat = "gateway"\n'
        (item,) = parse_config(GATEWAY + NETWORK + text, PATH, {}).inputs
        self.metrics = Metrics()
        found = open_input(item, Surroundings("gw1", self.metrics))
        assert isinstance(found, MqttGateways) and found.is_awaited
        self.input = found
        self.got: list[Heard] = []
        while self.input.trouble is None and not self.input._subscribed:
            self.input.events(0.1)

    def wait(self, count: int) -> list[Heard]:
        def got() -> bool:
            self.got += self.input.events(0.05)
            self.input.kept()
            return len(self.got) >= count

        wait_until(got, "nothing came")
        return self.got


@pytest.fixture
def server(port: int) -> Iterator[Server]:
    server = Server(port)
    yield server
    server.input.close()


@pytest.mark.parametrize("json", [True, False], ids=["json", "protobuf"])
def test_uplink_comes_in_and_its_answer_goes_out(server: Server, port: int, json: bool) -> None:
    with MqttForwarder(port, json=json) as gateway:
        tmst = 2**32 - 500_000
        gateway.push(PHY, tmst)
        (frame,) = server.wait(1)
        rx = RxInfo(-60, 8.5, 7, 125, "4/5", 868.1)
        assert isinstance(frame, Frame)
        assert (frame.gateway, frame.phy_payload, frame.rx, frame.tmst) == (EUI, PHY, rx, tmst)
        told: list[Transmission] = []
        assert server.input.transmitter is not None
        server.input.transmitter.send(downlink(tmst, told.append))
        server.input.events(0.0)
        found = gateway.command("TOO_LATE", "OK")
        assert pdu(found) == ACCEPT and found["gatewayId"] == EUI
        first, second = (item["txInfo"] for item in found["items"])
        lora = {"bandwidth": 125_000, "spreadingFactor": 7, "polarizationInversion": True, "codeRate": "CR_4_5"}
        assert first["modulation"]["lora"] == lora
        assert (first["frequency"], first["power"], first["timing"]) == (868_100_000, 14, {"delay": {"delay": "5s"}})
        assert (second["frequency"], second["timing"]) == (869_525_000, {"delay": {"delay": "6s"}})
        assert first["context"] == b64encode(tmst.to_bytes(4)).decode()

        def acked() -> bool:
            server.input.events(0.05)
            return len(told) == 2

        wait_until(acked, "no ack")
        assert [(each.window, each.is_sent) for each in told] == [("RX1", False), ("RX2", True)]
        assert told[0].why.startswith("the gateway refused it: TOO_LATE, ")


def downlink(tmst: int, tell: Any = lambda transmission: None, windows: str = "RX1 RX2") -> Downlink:
    rx1 = REGION.rx1(868_100_000, 7, 125_000)
    assert rx1 is not None
    found = {
        "RX1": Window("RX1", (tmst + 5_000_000) % 2**32, rx1),
        "RX2": Window("RX2", (tmst + 6_000_000) % 2**32, REGION.rx2_slot()),
        "C": Window("C", None, REGION.rx2_slot()),
    }
    return Downlink("answer", EUI, ACCEPT, tuple(found[name] for name in windows.split()), tell)


def test_figures_damaged_frames_and_nonsense(server: Server, port: int) -> None:
    with MqttForwarder(port, json=True) as gateway:
        gateway.event("stats", "GatewayStats", {"gatewayId": EUI, "rxPacketsReceived": 7, "txPacketsEmitted": 2})
        gateway.event("nonsense", "GatewayStats", {})
        gateway.push(PHY, 1, crcStatus="BAD_CRC")
        gateway.event("up", "UplinkFrame", {"phyPayload": 7})
        gateway.push(PHY, 1)
        got = server.wait(3)
    assert [type(each) for each in got] == [Noise, Noise, Frame]
    (health,) = server.input.gateways.snapshot(9)
    assert health.stat == {"rxnb": 7, "rxok": 0, "dwnb": 0, "txnb": 2}


class Book:
    """Downlinks of a gateway that was heard, without a broker; the clock stands still."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.told: list[Transmission] = []
        self.downlinks = GatewayDownlinks(Metrics(), lambda: self.now, lambda: None)
        self.hear(1_000_000)

    def hear(self, tmst: int) -> None:
        frame = Frame(EUI, NOON_US, b"x", RxInfo(freq_mhz=868.1), tmst=tmst)
        self.downlinks.heard(EUI, f"a/b/gateway/{EUI}/event/up", writes_json=False, up=HeardUp(frame, b"ctx", False))

    def send(self, tmst: int, windows: str = "RX1 RX2") -> Any:
        self.downlinks.send(downlink(tmst, self.told.append, windows))
        if self.downlinks.to_publish.empty():
            return None
        topic, body = self.downlinks.to_publish.get()
        assert topic == f"a/b/gateway/{EUI}/command/down"
        message = gateway_events.new_message("DownlinkFrame")
        message.ParseFromString(body)
        return message


def test_window_alone_and_class_c() -> None:
    book = Book()
    (item,) = book.send(1_000_000, "RX2").items
    assert item.tx_info.timing.delay.delay.seconds == 6 and item.tx_info.context == b"ctx"
    (item,) = book.send(0, "C").items
    assert item.tx_info.timing.HasField("immediately") and item.tx_info.context == b""


def test_answer_to_an_unknown_uplink_is_told_as_failed() -> None:
    book = Book()
    assert book.send(1_000_001) is None
    assert book.told[0].is_sent is False and "does not know the uplink" in book.told[0].why


def test_gateway_that_says_nothing() -> None:
    book = Book()
    assert book.downlinks.station(EUI) is not None
    message = book.send(1_000_000)
    book.now += CONFIRMS_WITHIN_S + 1
    book.downlinks.look_for_unconfirmed()
    assert book.told == [Transmission(EUI, "RX1", None)]
    book.downlinks.confirmed(EUI, TxAck(message.downlink_id, ("",)))
    assert len(book.told) == 1
    book.now += KNOWN_FOR_S
    assert book.downlinks.station(EUI) is None


def test_ack_of_another_gateway_is_none() -> None:
    book = Book()
    message = book.send(1_000_000)
    book.downlinks.confirmed("0" * 16, TxAck(message.downlink_id, ("",)))
    assert book.told == []


def test_gateway_that_refuses_a_power_is_given_less_from_then_on() -> None:
    book = Book()
    message = book.send(1_000_000)
    asked = [item.tx_info.power for item in message.items]
    book.downlinks.confirmed(EUI, TxAck(message.downlink_id, ("TX_POWER", "TX_POWER")))
    assert not any(each.is_sent for each in book.told)
    assert (asked, [item.tx_info.power for item in book.send(1_000_000).items]) == ([14, 27], [10, 10])


@pytest.mark.parametrize("errors", [(), ("IGNORED",), ("IGNORED", "IGNORED")])
def test_ack_that_tells_nothing_leaves_the_frame_unconfirmed(errors: tuple[str, ...]) -> None:
    book = Book()
    message = book.send(1_000_000)
    book.downlinks.confirmed(EUI, TxAck(message.downlink_id, errors))
    book.now += CONFIRMS_WITHIN_S + 1
    book.downlinks.look_for_unconfirmed()
    assert book.told == [Transmission(EUI, "RX1", None)]


@pytest.mark.parametrize("level", [float("nan"), float("inf"), float("-inf"), 1e38])
def test_level_that_means_nothing_is_left_out(level: float) -> None:
    message = gateway_events.new_message("UplinkFrame")
    message.phy_payload, message.rx_info.snr, message.rx_info.rssi = PHY, level, -(1 << 31)
    message.tx_info.modulation.lora.spreading_factor = 7
    rx = read_up(message.SerializeToString(), EUI, WallUs(1)).frame.rx
    assert (rx.snr_db, rx.rssi_dbm) == (None, None)
    assert margin_db(rx) == 0


def test_context_that_would_fill_memory_is_refused() -> None:
    message = gateway_events.new_message("UplinkFrame")
    message.phy_payload, message.rx_info.context = PHY, bytes(100_000)
    with pytest.raises(FrameError, match="a context of 100000 bytes"):
        read_up(message.SerializeToString(), EUI, WallUs(1))


@pytest.mark.parametrize("read", [lambda body: read_up(body, "gw", WallUs(1)), read_ack, read_stats])
@given(body=st.binary() | st.text().map(str.encode) | st.binary().map(lambda body: b'{"phyPayload":"' + body + b'"}'))
def test_hostile_events_cost_themselves(read: Any, body: bytes) -> None:
    try:
        read(body)
    except FrameError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("topic", ["", "gateway/x/event/up", "eu868/gateway/0016c001f150081/event/up", "a/b/c/d/e"])
def test_topics_that_are_none_are_told(topic: str) -> None:
    with pytest.raises(FrameError, match="is not like"):
        gateway_in(topic)


def test_topics_with_and_without_prefix() -> None:
    assert gateway_in(f"gateway/{EUI}/event/up") == (EUI, "up")
    assert gateway_in(f"a/b/gateway/{EUI.upper()}/event/ack") == (EUI, "ack")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[[input]]\nurl = "udp://"\nformat = "gateway"\n', "behind a broker"),
        ('[[input]]\nurl = "mqtt://b/t"\ntransmit = true\n', "only gateways"),
    ],
)
def test_mistakes_are_told(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        parse_config(GATEWAY + NETWORK + text, PATH, {})


def test_gateways_only_listen_where_nothing_is_to_be_sent() -> None:
    text = '[[input]]\nurl = "mqtt://b/t"\nformat = "gateway"\n'
    for more, network, transmits in (("", NETWORK, True), ("", "", False), ("transmit = false\n", NETWORK, False)):
        (item,) = parse_config(GATEWAY + network + text + more, PATH, {}).inputs
        assert item.transmit is transmits


@pytest.mark.parametrize("json", [True, False], ids=["json", "protobuf"])
def test_device_joins_and_is_acknowledged_at_the_installed_command(tmp_path: Path, port: int, json: bool) -> None:
    site, end = Site(tmp_path, ROOT_10), JoiningDevice(ROOT_10)
    path, prefix = tmp_path / "site.toml", f"test{json}"
    url = f'mqtt://127.0.0.1:{port}/{prefix}/gateway/+/event/+"\nformat = "gateway'
    path.write_text(path.read_text().replace(f"udp://127.0.0.1:{site.port}", url))
    with (
        started("run", "-c", "site.toml", cwd=tmp_path) as process,
        MqttForwarder(port, json=json, prefix=prefix) as gateway,
    ):
        assert process.stderr is not None
        while b"subscribed" not in process.stderr.readline():
            pass
        gateway.push(end.request(), 1_000_000)
        accept = gateway.command("OK")
        end.hear({"data": accept["items"][0]["phyPayload"], "ipol": True, "size": len(pdu(accept))})
        gateway.push(end.uplink(WARM, confirmed=True), 60_000_000)
        answer = gateway.command("OK")
        assert pdu(answer)[5] & 0x20
        wait_until(lambda: site.values() == [22.5], "no reading")
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, log.decode()
        assert f"is sent by gateway {EUI} in RX1".encode() in log


@pytest.mark.parametrize("read", [lambda body: read_up(body, EUI, WallUs(NOON_US)), read_ack, read_stats])
def test_lengths_that_lie_and_cuts_are_errors_of_the_frame(read: Any) -> None:
    frame = gateway_events.new_message("UplinkFrame")
    frame.phy_payload, frame.rx_info.gateway_id, frame.rx_info.context = PHY, EUI, b"1234"
    frame.tx_info.frequency, frame.tx_info.modulation.lora.spreading_factor = 868_100_000, 7
    good = gateway_events.written(frame, json=False)
    lies = [good[:at] for at in range(len(good))]
    lies += [good[:at] + bytes([lie]) + good[at + 1 :] for at in range(len(good)) for lie in (0, 0x7F, 0x80, 0xFF)]
    lies += [good[:at] + b"\xff\xff\xff\xff\x0f" + good[at:] for at in range(len(good))]
    assert lies
    for body in lies:
        try:
            read(body)
        except FrameError as error:
            assert str(error).isprintable()
