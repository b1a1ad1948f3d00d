"""From what a device does to what it is to do: requests, and what is believed of the answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from lora_post.downlink.network import Network
from lora_post.downlink.settings import (
    Known,
    Limits,
    Rate,
    Settings,
    answered,
    asked,
    due,
    first_settings,
    is_possible,
    requests,
    wanted_settings,
)
from lora_post.lorawan import mac_commands as mac
from lora_post.lorawan.cf_list import Frequencies
from lora_post.lorawan.mac_commands import parse_mac_commands
from lora_post.lorawan.phy_payload import MType
from lora_post.lorawan.region import Region, load_region, region_names
from lora_post.simulate.obedience import new_obedience
from tests.support.build import device

EU868, US915, AU915, CN470 = map(load_region, ("EU868", "US915", "AU915", "CN470"))
FRESH = Settings(1, EU868.rx2, ())
OK = mac.LinkADRAns(channel_mask_ok=True, data_rate_ok=True, power_ok=True)


def wanted(known: Settings, network: Network, rate: Rate | None = None, *, hz: int = 868_100_000) -> list[str]:
    settings = wanted_settings(known, network, hz, rate, many_channels=True)
    return [each.hex() for each in requests(known, settings, network.region, 5)]


def test_session_that_is_as_wanted_is_left_alone() -> None:
    joined = replace(device(), cf_list=Frequencies(EU868.more_channels).to_bytes(), rx_delay_s=5)
    assert wanted(first_settings(joined, EU868), Network(EU868, 0, 5)) == []


def test_requests_are_those_of_the_exchange_of_the_vectors() -> None:
    known = Settings(1, (868_100_000, 0), EU868.more_channels)
    assert wanted(known, Network(EU868, 0, 5), Rate(5, 1)) == ["0805", "0500d2ad84", "0351ff0001"]
    channels = [f"070{number}{hz}50" for number, hz in enumerate(["184f84", "e85684", "b85e84", "886684", "586e84"], 3)]
    assert wanted(Settings(5, EU868.rx2, ()), Network(EU868, 0, 5), Rate(5, 1)) == channels  # LinkADRReq: next time


@pytest.mark.parametrize(
    ("region", "sub_band", "hz", "on_air"),
    [
        (US915, 2, 902_300_000, "0350020071" + "035000ff01"),
        (US915, None, 902_300_000, "0350010071" + "0350ff0001"),
        (US915, 8, 902_300_000, "0350800071" + "035000ff31"),
        (AU915, 2, 916_800_000, "0350020071" + "035000ff01"),
        (CN470, 11, 486_300_000, "035000000103500000110350000021035000003103500000410350ff0051"),
    ],
)
def test_fixed_plan_is_told_its_channels_in_one_block(
    region: Region, sub_band: int | None, hz: int, on_air: str
) -> None:
    network = Network(region, 0, 1, sub_band=sub_band)
    assert wanted(Settings(1, region.rx2), network, hz=hz) == [on_air]
    block = bytes.fromhex(on_air)
    known = answered(Known(Settings(1, region.rx2), (block,)), [OK] * (len(block) // 5), region)
    assert known.settings.channels == region.used_channels(hz, sub_band)
    assert wanted(known.settings, network, hz=hz) == []


def test_answer_that_nobody_asked_for_is_not_believed() -> None:
    for pending in ((), (mac.DevStatusReq().to_bytes(),)):
        known = Known(FRESH, pending)
        assert answered(known, [OK, mac.RXTimingSetupAns(), mac.NewChannelAns(True, True)], EU868) == known


def test_refused_request_is_not_made_again_and_nothing_of_it_is_believed() -> None:
    request = mac.RXParamSetupReq(3, 0, 869_525_000).to_bytes()
    refusal = mac.RXParamSetupAns(channel_ok=True, rx2_data_rate_ok=False, rx1_offset_ok=True)
    known = answered(Known(FRESH, (request,)), [refusal], EU868)
    assert (known.settings, known.pending, known.refused) == (FRESH, (), (request,))
    assert due(known, [request], 1, ()) == []


@pytest.mark.parametrize(
    ("rate", "answer", "limits"),
    [
        (Rate(5, 0), mac.LinkADRAns(True, True, False), Limits(min_power=1)),
        (Rate(5, 4), mac.LinkADRAns(True, True, False), Limits(max_power=3)),
        (Rate(5, 0), mac.LinkADRAns(True, False, True), Limits(max_rate=4)),
        (Rate(5, 0), mac.LinkADRAns(False, True, True), Limits()),
    ],
)
def test_refused_rate_narrows_what_is_asked(rate: Rate, answer: mac.LinkADRAns, limits: Limits) -> None:
    (request,) = requests(FRESH, replace(FRESH, rate=rate), EU868, 0)
    assert answered(Known(FRESH, (request,)), [answer], EU868).limits == limits


def test_some_channels_are_taken_and_others_not() -> None:
    sent = requests(FRESH, replace(FRESH, channels=EU868.more_channels[:3]), EU868, 5)
    answers = [mac.NewChannelAns(True, True), mac.NewChannelAns(False, True)]  # the third did not fit
    known = answered(Known(FRESH, tuple(sent)), answers, EU868)
    assert known.settings.channels == (867_100_000,)
    assert (known.refused, known.pending) == ((sent[1],), (sent[2],))


def test_silent_device_is_asked_less_and_less() -> None:
    request, known, asked_at = mac.RXTimingSetupReq(5).to_bytes(), Known(FRESH), []
    for fcnt in range(100):
        if sent := due(known, [request], fcnt, ()):
            asked_at.append(fcnt)
            known = asked(known, sent, fcnt)
    assert asked_at == [0, 1, 3, 7, 15, 31, 63]


def test_answer_that_a_device_repeats_is_not_taken_for_that_to_a_new_request() -> None:
    first, second = (mac.RXTimingSetupReq(delay).to_bytes() for delay in (5, 2))
    known = answered(asked(Known(FRESH), [first], 0), [mac.RXTimingSetupAns()], EU868)
    assert known.settings.rx_delay_s == 5
    assert due(known, [second], 1, {mac.RXTimingSetupAns.cid}) == []
    assert due(known, [second], 2, ()) == [second]


rates = st.builds(Rate, st.integers(0, 3), st.integers(0, 5), st.integers(1, 3))


@given(st.sampled_from(region_names()), st.data())
def test_what_an_obedient_device_is_told_it_does_and_then_it_is_left_alone(name: str, data: st.DataObject) -> None:
    region = load_region(name)
    network = Network(
        region,
        0,
        data.draw(st.integers(1, 15)),
        sub_band=data.draw(st.integers(1, min(region.blocks, 8))) if region.is_fixed else None,
        own_rx2=(region.rx2[0], data.draw(st.sampled_from(sorted(set(region.rx1_dr.values()))))),
        duty_exponent=data.draw(st.integers(0, 15)),
        tx_params=(5, data.draw(st.booleans())) if region.eirp_dbm else None,
    )
    rate, hz = data.draw(st.none() | rates), region.channels[0].hz
    end, known = new_obedience(region, 1, region.rx2[1], None, 3), Known(first_settings(device(), region))
    for fcnt in range(3):
        settings = wanted_settings(known.settings, network, hz, rate, many_channels=True)
        sent = requests(known.settings, settings, region, 3)
        known = asked(known, sent, fcnt) if sent else known
        end.obey([each.body for each in parse_mac_commands(b"".join(sent), MType.UNCONFIRMED_DOWN) if each.body])
        known = answered(known, end.answers(), region)
        end.hears_downlink()
    assert (end.complaints, sent, known.pending, known.refused) == ([], [], (), ())
    assert (end.rx_delay_s, end.rx2, end.duty_exponent) == (network.rx_delay_s, network.rx2, network.duty_exponent)
    assert end.tx_params == network.tx_params
    assert rate is None or (end.data_rate, end.power, end.nb_trans) == (rate.data_rate, rate.power, rate.nb_trans)
    usual = [each.first + at for each in region.channels for at in range(each.count)]
    more = [len(usual) + at for at in range(len(region.more_channels))]
    assert end.enabled == set(region.used_channels(hz, network.sub_band) if region.is_fixed else usual + more)


@pytest.mark.parametrize("name", region_names())
def test_settings_of_one_region_are_possible_in_another_where_that_can_send_so(name: str) -> None:
    settings = first_settings(device(), load_region(name))
    for region in map(load_region, region_names()):
        if is_possible(Known(settings), region):
            assert region.slot(*settings.rx2).rate
    assert is_possible(Known(settings), load_region(name))
