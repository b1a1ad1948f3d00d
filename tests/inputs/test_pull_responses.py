from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from lora_post.downlink.transmit import LEAD_S, Downlink, Transmission, Window
from lora_post.formats.semtech_udp import ERRORS, pull_resp, read_tx_ack
from lora_post.inputs.pull_responses import (
    ASKS_WITHIN_S,
    CONFIRMS_WITHIN_S,
    EARLY_S,
    MAX_GATEWAYS,
    MUTE_AFTER,
    PullResponses,
    txpk,
)
from lora_post.lorawan.region import load_region
from lora_post.metrics import Metrics
from lora_post.model import Frame, RxInfo
from tests.support.build import NOON_US

REGION = load_region("EU868")
ACCEPT = bytes.fromhex("201834805ca2d35e438bc543a286173f177ded23bc594636a1f1ea964ce2aa9b4a")
WHERE = ("10.0.0.2", 40000)


def windows(tmst: int) -> tuple[Window, Window]:
    rx1 = REGION.rx1(868_100_000, 7, 125_000)
    assert rx1 is not None
    return Window("RX1", (tmst + 5_000_000) % 2**32, rx1), Window("RX2", (tmst + 6_000_000) % 2**32, REGION.rx2_slot())


def downlink(tmst: int = 1_000_000, gateway: str = "gw1") -> Downlink:
    return Downlink("join-accept for buoy", gateway, ACCEPT, windows(tmst))


def heard(tmst: int | None, freq: float = 868.1) -> Frame:
    return Frame("gw1", NOON_US, b"x", RxInfo(freq_mhz=freq), tmst=tmst)


class Port:
    def __init__(self, *, broken: bool = False) -> None:
        self.now = 1000.0
        self.sent: list[tuple[bytes, Any]] = []
        self.metrics = Metrics()
        self.broken = broken
        self.responses = PullResponses("udp", self._send, self.metrics, lambda: self.now)

    def _send(self, datagram: bytes, address: Any) -> None:
        if self.broken:
            raise OSError(101, "Network is unreachable")
        self.sent.append((datagram, address))

    def ready(self, tmst: int = 1_000_000) -> Port:
        self.responses.asked("gw1", WHERE, 2)
        self.responses.heard("gw1", [heard(tmst)], self.now, WHERE[0])
        return self

    @property
    def txpk(self) -> dict[str, Any]:
        return json.loads(self.sent[-1][0][4:])["txpk"]  # type: ignore[no-any-return]

    def confirm(self, error: str = "", gateway: str = "gw1") -> None:
        token = int.from_bytes(self.sent[-1][0][1:3])
        body = json.dumps({"txpk_ack": {"error": error}}).encode() if error else b""
        self.responses.confirmed(gateway, token, body, WHERE[0])

    def results(self) -> dict[str, int]:
        return self.metrics.labels("downlinks")


def test_join_accept_is_handed_over_as_forwarders_want_it() -> None:
    rx1, rx2 = (json.loads(msgspec.json.encode(txpk(ACCEPT, window))) for window in windows(1_000_000))
    data = "IBg0gFyi015Di8VDooYXPxd97SO8WUY2ofHqlkziqptK"
    common = {"imme": False, "rfch": 0, "modu": "LORA", "codr": "4/5", "ipol": True, "size": 33, "data": data}
    assert rx1 == common | {"tmst": 6_000_000, "freq": 868.1, "powe": 14, "datr": "SF7BW125"}
    assert rx2 == common | {"tmst": 7_000_000, "freq": 869.525, "powe": 27, "datr": "SF12BW125"}
    assert pull_resp(2, 0x1234, {}) == b'\x02\x12\x34\x03{"txpk":{}}'


def test_frame_goes_to_where_its_gateway_asked_last(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    port = Port().ready()
    port.responses.asked("gw1", (WHERE[0], 5), 1)
    port.responses.send(downlink())
    ((datagram, address),) = port.sent
    assert (address, datagram[0], datagram[3]) == ((WHERE[0], 5), 1, 3)
    port.confirm()
    assert port.results() == {"sent": 1}
    assert caplog.messages == ["join-accept for buoy is sent by gateway gw1 in RX1"]


def test_who_asks_in_the_name_of_a_gateway_gets_none_of_its_frames() -> None:
    port = Port().ready()
    for number in range(40):
        port.responses.asked("gw1", (f"10.0.1.{number}", 5), 2)
        if number == 10:
            port.responses.send(downlink())
    port.responses.send(replace(downlink(), windows=(replace(windows(1_000_000)[0], tmst=None),)))
    assert [address for _, address in port.sent] == [WHERE, WHERE]
    # Nobody else knows the counter to the µs.
    port.responses.heard("gw1", [heard(tmst) for tmst in range(2_000_001, 2_000_400)], port.now, "10.0.1.39")
    port.responses.send(downlink())
    assert port.sent[-1][1] == WHERE


def test_what_strangers_confirm_counts_for_nothing() -> None:
    port = Port().ready()
    port.responses.send(downlink())
    token = int.from_bytes(port.sent[0][0][1:3])
    port.responses.confirmed("gw1", token, b'{"txpk_ack":{"error":"TOO_LATE"}}', "10.0.0.66")
    assert (port.results(), len(port.sent)) == ({}, 1)
    port.confirm()
    assert port.results() == {"sent": 1}


def test_gateway_with_two_addresses_is_answered_unless_another_one_asks_as_well(
    caplog: pytest.LogCaptureFixture,
) -> None:
    port = Port().ready()
    port.responses.heard("gw1", [heard(3_000_000)], port.now, "10.0.0.9")
    port.responses.send(downlink(3_000_000))
    assert port.sent[0][1] == WHERE
    port.responses.asked("gw1", ("10.0.0.66", 5), 2)
    told: list[Transmission] = []
    port.responses.send(replace(downlink(3_000_000), tell=told.append))
    assert len(port.sent) == 1
    assert told[0].why == "the host that its frames come from does not ask for downlinks"
    assert "does not ask for downlinks" in caplog.text


def test_error_of_the_first_window_leads_to_the_second(caplog: pytest.LogCaptureFixture) -> None:
    port = Port().ready()
    port.responses.send(downlink())
    port.confirm("TOO_LATE")
    assert port.txpk["tmst"] == 7_000_000
    port.confirm("COLLISION_PACKET")
    assert len(port.sent) == 2
    assert port.results() == {"too-late": 1, "collision-packet": 1}
    assert caplog.messages == [
        f"join-accept for buoy is not sent by gateway gw1 in RX1: TOO_LATE, {ERRORS['TOO_LATE']}",
        f"join-accept for buoy is not sent by gateway gw1 in RX2: COLLISION_PACKET, {ERRORS['COLLISION_PACKET']}",
    ]


def test_gateway_that_refuses_a_power_is_given_less_at_once_and_from_then_on() -> None:
    port = Port().ready()
    told: list[Transmission] = []
    port.now += 5.0
    port.responses.send(replace(downlink(), tell=told.append))
    powers = [port.txpk["powe"]]
    while not told:
        assert port.txpk["tmst"] == 7_000_000
        port.confirm("TX_POWER" if len(powers) < 3 else "")
        powers.append(port.txpk["powe"])
    assert powers == [27, 20, 14, 14] and told[0].is_sent and port.results() == {"sent": 1}
    port.responses.heard("gw1", [heard(9_000_000)], port.now, WHERE[0])
    port.responses.send(replace(downlink(9_000_000), windows=windows(9_000_000)[1:]))
    assert port.txpk["powe"] == 14
    port.responses.send(replace(downlink(9_000_000), tell=told.append))
    port.confirm("TX_POWER")
    port.confirm("TX_POWER")  # there is no lower one
    assert (port.txpk["tmst"], port.txpk["powe"]) == (15_000_000, 10)


def test_who_takes_the_name_of_a_gateway_does_not_make_it_weaker() -> None:
    port = Port().ready()
    port.responses.asked("gw1", ("10.6.6.6", 5), 2)
    port.responses.heard("gw1", [heard(2_000_007)], port.now, "10.6.6.6")
    port.responses.send(downlink(2_000_007))
    datagram, address = port.sent[-1]
    assert (address[0], port.txpk["powe"]) == ("10.6.6.6", 14)
    refused = b'{"txpk_ack":{"error":"TX_POWER"}}'
    port.responses.confirmed("gw1", int.from_bytes(datagram[1:3]), refused, "10.6.6.6")
    assert port.txpk["powe"] == 10
    port.responses.send(downlink())
    assert (port.sent[-1][1], port.txpk["powe"]) == (WHERE, 14)


def test_forwarder_that_sends_at_once_is_given_its_frame_before_the_window() -> None:
    waiting: list[tuple[float, Callable[[], None]]] = []
    port = Port()
    port.responses = PullResponses(
        "udp", port._send, port.metrics, lambda: port.now, at_window=True, later=lambda *what: waiting.append(what)
    )
    port.ready()
    port.responses.send(downlink())
    ((after_s, hand_over),) = waiting
    assert after_s == pytest.approx(5.0 - EARLY_S) and port.sent == []
    hand_over()
    assert port.txpk["tmst"] == 6_000_000
    port.now += 5.8  # no time is left to wait
    port.responses.send(downlink())
    assert len(waiting) == 1 and port.txpk["tmst"] == 7_000_000


@pytest.mark.parametrize("error", [*ERRORS, "SOMETHING_NEW"])
def test_every_error_is_told_in_words_and_counted(error: str, caplog: pytest.LogCaptureFixture) -> None:
    port = Port().ready()
    told: list[Transmission] = []
    port.responses.send(replace(downlink(), windows=windows(1_000_000)[:1], tell=told.append))
    while not told:
        port.confirm(error)
    assert port.results() == {error.lower().replace("_", "-") if error in ERRORS else "refused": 1}
    meaning = ERRORS.get(error, "")
    assert error in caplog.text and meaning in caplog.text and meaning in told[0].why


def test_forwarder_that_never_confirms_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    port = Port().ready()
    for number in range(5):
        port.responses.send(downlink())
        port.now += CONFIRMS_WITHIN_S + 0.1
        port.responses.look_for_unconfirmed()
        assert len([line for line in caplog.messages if "has confirmed none" in line]) == (number + 1 >= MUTE_AFTER)
        port.responses.heard("gw1", [heard(1_000_000)], port.now, WHERE[0])


def test_forwarder_of_version_1_confirms_nothing_and_is_not_blamed(caplog: pytest.LogCaptureFixture) -> None:
    port = Port().ready()
    port.responses.asked("gw1", WHERE, 1)
    for _ in range(5):
        port.responses.send(downlink())
        port.now += CONFIRMS_WITHIN_S + 0.1
        port.responses.look_for_unconfirmed()
        port.responses.heard("gw1", [heard(1_000_000)], port.now, WHERE[0])
    assert not [line for line in caplog.messages if "has confirmed none" in line]


def test_forwarder_that_was_started_anew_counts_from_there() -> None:
    port = Port().ready(3_000_000_000)
    port.now += 60
    port.responses.heard("gw1", [heard(20_000)], port.now, WHERE[0])
    port.responses.send(downlink(20_000))
    assert port.txpk["tmst"] == 5_020_000


@pytest.mark.parametrize(
    ("late_s", "tmst"), [(0.0, 6_000_000), (4.8, 6_000_000), (4.9, 7_000_000), (5.8, 7_000_000), (5.9, None)]
)
@pytest.mark.parametrize("counter", [1_000_000, 2**32 - 3_000_000])
def test_window_that_is_too_near_is_left_out(late_s: float, tmst: int | None, counter: int) -> None:
    port = Port().ready(counter)
    port.now += late_s
    port.responses.send(downlink(counter))
    if tmst is None:
        assert port.sent == [] and port.results() == {"late": 1}
    else:
        assert port.txpk["tmst"] == (tmst - 1_000_000 + counter) % 2**32


def test_window_that_is_missed_says_by_how_much(caplog: pytest.LogCaptureFixture) -> None:
    port = Port().ready()
    port.now += 6.0
    port.responses.send(downlink())
    assert caplog.messages == [
        f"join-accept for buoy is not sent by gateway gw1: it is {LEAD_S * 1000:.0f} ms too late for the last window"
    ]


def test_gateway_that_does_not_ask_is_no_way_back() -> None:
    port = Port()
    assert port.responses.station("gw1") is None
    port.responses.heard("gw1", [heard(5)], port.now, WHERE[0])
    assert port.responses.station("gw1") is None
    port.responses.asked("gw1", WHERE, 2)
    assert port.responses.station("gw1") is not None
    port.now += ASKS_WITHIN_S + 1
    assert port.responses.station("gw1") is None


def test_gateway_that_was_heard_on_two_frequencies_has_many_channels() -> None:
    port = Port().ready()
    found = []
    for freq in (868.1, 868.1, 868.3):
        port.responses.heard("gw1", [heard(5, freq), heard(None, 867.1)], port.now, WHERE[0])
        station = port.responses.station("gw1")
        found.append(station and station.many_channels)
    assert found == [False, False, True]


def test_confirmation_of_another_gateway_is_none() -> None:
    port = Port().ready()
    port.responses.send(downlink())
    port.confirm("TOO_LATE", gateway="gw2")
    assert len(port.sent) == 1 and port.results() == {}


def test_gateway_that_says_nothing_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    port = Port().ready()
    port.responses.send(downlink())
    for _ in range(3):
        port.responses.look_for_unconfirmed()
        port.now += CONFIRMS_WITHIN_S + 0.1
    assert port.results() == {"unconfirmed": 1}
    assert caplog.messages == ["join-accept for buoy was handed to gateway gw1, which did not confirm it"]
    port.confirm()
    assert port.results() == {"unconfirmed": 1}


def test_socket_that_fails_is_told_and_nothing_more(caplog: pytest.LogCaptureFixture) -> None:
    port = Port(broken=True).ready()
    port.responses.send(downlink())
    assert port.results() == {"failed": 1}
    assert "Network is unreachable" in caplog.messages[0]


def test_made_up_gateways_take_no_room() -> None:
    port = Port()
    for number in range(2 * MAX_GATEWAYS):
        port.responses.asked(f"{number:016x}", WHERE, 2)
    assert [port.responses.station(f"{number:016x}") is not None for number in (0, 2 * MAX_GATEWAYS - 1)] == [
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("body", "error", "warning"),
    [
        (b"", "", ""),
        (b"\0", "", ""),
        (b"{}", "", ""),
        (b"broken", "", ""),
        (b'{"txpk_ack":{"error":"NONE"}}', "", ""),
        (b'{"txpk_ack":{"error":"TOO_LATE"}}', "TOO_LATE", ""),
        (b'{"txpk_ack":{"warn":"TX_POWER","value":20}}', "", "TX_POWER"),
        (b'{"txpk_ack":{"error":5}}', "", ""),
        (b'{"txpk_ack":null}', "", ""),
    ],
)
def test_confirmation_is_read(body: bytes, error: str, warning: str) -> None:
    assert read_tx_ack(body) == (error, warning)


@given(st.binary(max_size=100) | st.text().map(lambda text: json.dumps({"txpk_ack": {"error": text}}).encode()))
def test_any_confirmation_is_one_short_line_or_nothing(body: bytes) -> None:
    for text in read_tx_ack(body):
        assert text.isprintable() and len(text) <= 40
