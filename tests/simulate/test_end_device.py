"""The simulated device believes what a real one believes, and complains of the rest."""

from __future__ import annotations

from random import Random

import pytest

from lora_post.downlink.windows import JOIN_DELAY_S
from lora_post.lorawan.downlinks import Content, seal_downlink
from lora_post.lorawan.join_messages import OPT_NEG, build_join_accept, parse_join_request, parse_rejoin_request
from lora_post.lorawan.phy_payload import MType, parse_data_frame
from lora_post.lorawan.region import load_region
from lora_post.lorawan.root_keys import JOIN_REQUEST_TYPE, RootKeys
from lora_post.lorawan.session_keys import AnySessionKeys
from lora_post.simulate.end_device import ACK_DELAY, ACK_LIMIT, MAX_SENDS, SECOND_US, EndDevice, Radio, Sent
from lora_post.simulate.joining import Version
from tests.support.seal import ROOT_10, ROOT_11

DEV_ADDR = 0x0166D2B9
REGION = load_region("EU868")
RX2 = Radio(869_525_000, REGION.data_rates[0])


class End:
    """A device and the keys that its network has."""

    def __init__(
        self, version: Version = Version.V1_0_4, *, is_class_c: bool = False, seed: int = 1, rejoins: float = 0.0
    ) -> None:
        self.root: RootKeys = ROOT_11 if version is Version.V1_1 else ROOT_10
        self.device = EndDevice(self.root, version, REGION, Random(seed), is_class_c=is_class_c, rejoins=rejoins)
        self.keys: AnySessionKeys | None = None

    def accept(
        self, dev_nonce: int, join_nonce: int = 1, *, rx_delay: int = 2, answers: int = JOIN_REQUEST_TYPE
    ) -> bytes:
        is_11 = self.root.is_11
        signed = build_join_accept(
            join_nonce=join_nonce, net_id=0, dev_addr=DEV_ADDR, dl_settings=OPT_NEG * is_11, rx_delay=rx_delay
        )
        self.keys = self.root.session_keys(join_nonce, 0, dev_nonce, opt_neg=is_11)
        return self.root.sealed_accept(signed, dev_nonce, opt_neg=is_11, answers=answers)

    def join(self, join_nonce: int = 1) -> None:
        sent = self.device.send()
        nonce = parse_join_request(sent.phy_payload).dev_nonce
        self.device.hear(sent.end_us + JOIN_DELAY_S * SECOND_US, sent.radio, self.accept(nonce, join_nonce))
        self.device.close()

    def down(self, fcnt: int, *, acked_fcnt: int | None = None, is_confirmed: bool = False) -> bytes:
        assert self.keys is not None
        content = Content(fport=7, payload=b"on", acked_fcnt=acked_fcnt, is_confirmed=is_confirmed)
        return seal_downlink(self.keys, DEV_ADDR, fcnt, content)

    def until(self, *, confirmed: bool) -> Sent:
        """Let it send until an uplink is confirmed, or is not."""
        while True:
            sent = self.device.send()
            if (parse_data_frame(sent.phy_payload).mtype is MType.CONFIRMED_UP) is confirmed:
                return sent
            self.device.close()


@pytest.mark.parametrize("version", list(Version))
def test_it_joins_and_takes_a_downlink_in_either_window(version: Version) -> None:
    end = End(version)
    end.join()
    assert end.device.is_joined
    for fcnt, (delay_s, radio) in enumerate([(2, None), (3, RX2)]):
        sent = end.until(confirmed=False)
        end.device.hear(sent.end_us + delay_s * SECOND_US, radio or sent.radio, end.down(fcnt))
        end.device.close()
    assert [(got.fport, got.payload, got.fcnt) for got in end.device.received] == [(7, b"on", 0), (7, b"on", 1)]
    assert end.device.complaints == []


@pytest.mark.parametrize(
    ("late_us", "radio"),
    [(200, None), (-SECOND_US, None), (SECOND_US, None), (0, RX2), (0, Radio(868_100_000, REGION.data_rates[1]))],
    ids=["late", "early", "RX1's channel in RX2", "RX2's channel in RX1", "another data rate"],
)
def test_it_hears_nothing_but_in_its_windows(late_us: int, radio: Radio | None) -> None:
    end = End()
    end.join()
    sent = end.until(confirmed=False)
    end.device.hear(sent.end_us + 2 * SECOND_US + late_us, radio or sent.radio, end.down(0))
    assert end.device.received == []
    assert "while it listens to" in end.device.complaints[0]


def test_class_c_listens_all_the_time_as_in_rx2() -> None:
    end = End(is_class_c=True)
    end.join()
    sent = end.until(confirmed=False)
    end.device.close()
    end.device.hear(sent.end_us + 100 * SECOND_US, RX2, end.down(0))
    assert len(end.device.received) == 1 and end.device.complaints == []


def test_counter_that_was_used_is_not_believed() -> None:
    end = End()
    end.join()
    for fcnt in (3, 2):
        sent = end.until(confirmed=False)
        end.device.hear(sent.end_us + 2 * SECOND_US, sent.radio, end.down(fcnt))
        end.device.close()
    assert [got.fcnt for got in end.device.received] == [3]
    assert end.device.complaints == ["FCntDown 2 after 3: used before, or the MIC is wrong"]


def test_confirmed_downlink_is_acknowledged_again_and_taken_once() -> None:
    end = End(Version.V1_1)
    end.join()
    for _ in range(2):
        sent = end.until(confirmed=False)
        end.device.hear(sent.end_us + 2 * SECOND_US, sent.radio, end.down(0, is_confirmed=True))
        end.device.close()
        assert parse_data_frame(end.device.send().phy_payload).fctrl & 0x20
        end.device.close()
    assert len(end.device.received) == 1 and end.device.complaints == []


def test_confirmed_uplink_is_sent_again_as_it_is_until_it_is_acknowledged() -> None:
    end = End()
    end.join()
    sent = end.until(confirmed=True)
    end.device.close()
    again = end.device.send()
    assert again.phy_payload == sent.phy_payload
    end.device.hear(again.end_us + 2 * SECOND_US, again.radio, end.down(0, acked_fcnt=0))
    end.device.close()
    assert end.device.send().phy_payload != sent.phy_payload
    end.device.close()
    sent = end.until(confirmed=True)
    end.device.close()
    for _ in range(MAX_SENDS - 1):
        assert end.device.send().phy_payload == sent.phy_payload
        end.device.close()
    assert end.device.send().phy_payload != sent.phy_payload
    assert end.device.unacknowledged == 1


def test_device_of_lorawan_1_1_asks_for_another_session_and_has_its_own_until_it_is_answered() -> None:
    end = End(Version.V1_1, rejoins=1.0)
    end.join()
    delays = {}
    for number in range(12):
        sent = end.device.send()
        request, before = parse_rejoin_request(sent.phy_payload), end.device.told
        assert end.device.is_joined and end.device.asks and request.count == number % 2
        if number % 2:
            accept = end.accept(request.count, 2 + number, rx_delay=7, answers=request.kind)
            end.device.hear(sent.end_us + JOIN_DELAY_S * SECOND_US, sent.radio, accept)
            assert before is not None and end.device.told is not None
            assert (before is end.device.told) is (request.kind == 2)
            delays[request.kind] = end.device.told.rx_delay_s
        end.device.close()
        assert not end.device.asks, "others' join-accepts are not for it"
    assert delays.keys() == {0, 2} and end.device.rejoins == 6 and end.device.joins == 7
    end.device.send()
    sent_us = end.device.listens_from_us
    end.device.close()
    late = end.accept(2, 99, answers=0)
    end.device.hear(sent_us, sent.radio, late)
    assert end.device.joins == 7 and len(end.device.complaints) == 1


def test_device_that_nobody_answers_asks_and_then_joins_again() -> None:
    end = End()
    end.join()
    asks = 0
    for _ in range(ACK_LIMIT + ACK_DELAY + 1):
        asks += bool(parse_data_frame(end.device.send().phy_payload).fctrl & 0x40)
        end.device.close()
    assert not end.device.is_joined and asks
    assert "nothing was answered" in end.device.complaints[0]


@pytest.mark.parametrize("version", [Version.V1_0_4, Version.V1_1])
def test_join_nonce_that_does_not_rise_locks_the_device_out(version: Version) -> None:
    end = End(version)
    end.join(join_nonce=7)
    while end.device.is_joined:
        end.device.send()
        end.device.close()
    end.join(join_nonce=7)
    assert not end.device.is_joined
    assert "it is locked out" in end.device.complaints[-1]
