from __future__ import annotations

import pytest

from lora_post.lorawan.cf_list import Frequencies, Masks
from lora_post.lorawan.region import DataRate, Region, Slot, load_region, region_names

NAMES = region_names()
# RX1 with offset 0 after an uplink on this channel, RX2, of the plans in RP002-1.0.4.
WINDOWS = [
    ("EU868", 868_100_000, "SF7BW125", 868_100_000, "SF7BW125", 869_525_000, "SF12BW125"),
    ("EU868", 868_500_000, "SF12BW125", 868_500_000, "SF12BW125", 869_525_000, "SF12BW125"),
    ("EU433", 433_375_000, "SF9BW125", 433_375_000, "SF9BW125", 434_665_000, "SF12BW125"),
    ("US915", 903_900_000, "SF10BW125", 923_300_000, "SF10BW500", 923_300_000, "SF12BW500"),
    ("US915", 905_300_000, "SF7BW125", 927_500_000, "SF7BW500", 923_300_000, "SF12BW500"),
    ("US915", 904_600_000, "SF8BW500", 923_900_000, "SF7BW500", 923_300_000, "SF12BW500"),
    ("AU915", 916_800_000, "SF12BW125", 923_300_000, "SF12BW500", 923_300_000, "SF12BW500"),
    ("AU915", 917_500_000, "SF8BW500", 923_900_000, "SF7BW500", 923_300_000, "SF12BW500"),
    ("AS923-1", 923_400_000, "SF10BW125", 923_400_000, "SF10BW125", 923_200_000, "SF10BW125"),
    ("AS923-2", 921_400_000, "SF7BW125", 921_400_000, "SF7BW125", 921_400_000, "SF10BW125"),
    ("AS923-3", 916_600_000, "SF7BW125", 916_600_000, "SF7BW125", 916_600_000, "SF10BW125"),
    ("AS923-4", 917_300_000, "SF7BW125", 917_300_000, "SF7BW125", 917_300_000, "SF10BW125"),
    ("IN865", 865_402_500, "SF8BW125", 865_402_500, "SF8BW125", 866_550_000, "SF10BW125"),
    ("KR920", 922_500_000, "SF11BW125", 922_500_000, "SF11BW125", 921_900_000, "SF12BW125"),
    ("RU864", 869_100_000, "SF7BW125", 869_100_000, "SF7BW125", 869_100_000, "SF12BW125"),
    ("CN470", 486_300_000, "SF7BW125", 506_700_000, "SF7BW125", 505_300_000, "SF12BW125"),
    ("CN470", 479_900_000, "SF12BW125", 500_300_000, "SF12BW125", 505_300_000, "SF12BW125"),
]


def heard(region: Region, hz: int, rate: str) -> Slot | None:
    sf, bw = rate[2:].split("BW")
    return region.rx1(hz, int(sf), int(bw) * 1000)


def test_every_region_has_a_case() -> None:
    assert {name for name, *_ in WINDOWS} == set(NAMES)


@pytest.mark.parametrize(("name", "hz", "rate", "rx1_hz", "rx1", "rx2_hz", "rx2"), WINDOWS)
def test_windows_follow_from_the_uplink(
    name: str, hz: int, rate: str, rx1_hz: int, rx1: str, rx2_hz: int, rx2: str
) -> None:
    region = load_region(name)
    first, second = heard(region, hz, rate), region.rx2_slot()
    assert first is not None
    assert ((first.hz, first.rate.text), (second.hz, second.rate.text)) == ((rx1_hz, rx1), (rx2_hz, rx2))


@pytest.mark.parametrize(
    ("name", "hz", "rate"),
    [
        ("EU868", 903_900_000, "SF10BW125"),
        ("EU868", 868_100_000, "SF10BW500"),
        ("US915", 868_100_000, "SF10BW125"),
        ("US915", 903_950_000, "SF10BW125"),
        ("US915", 903_900_000, "SF12BW125"),
    ],
)
def test_what_is_not_of_the_region_has_no_rx1(name: str, hz: int, rate: str) -> None:
    assert heard(load_region(name), hz, rate) is None


@pytest.mark.parametrize("name", NAMES)
def test_every_plan_leads_from_each_of_its_uplinks_to_a_downlink(name: str) -> None:
    region = load_region(name)
    for channels in region.channels:
        for at in range(channels.count):
            for dr in region.rx1_dr:
                rate = region.data_rates[dr]
                slot = region.rx1(channels.hz + at * channels.step, rate.sf, rate.bw_hz)
                assert slot is not None
                assert region.band[0] <= slot.hz <= region.band[1]
    assert region.band[0] <= region.rx2[0] <= region.band[1]


def test_power_and_duty_cycle_follow_the_sub_band() -> None:
    region = load_region("EU868")
    assert region.rx2_slot().power_dbm == 27
    first = heard(region, 868_100_000, "SF7BW125")
    assert first is not None and first.power_dbm == 14
    limits = region.sub_band(868_100_000)
    assert limits is not None and limits.duty == 0.01
    assert load_region("US915").sub_band(923_300_000) is None


@pytest.mark.parametrize(
    ("name", "hz", "channels"),
    [
        ("EU868", 868_100_000, Frequencies((867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000))),
        ("US915", 903_900_000, Masks((*range(8, 16), 65))),
        ("US915", 904_600_000, Masks((*range(8, 16), 65))),
        ("US915", 902_300_000, Masks((*range(8), 64))),
        ("CN470", 470_300_000 + 80 * 200_000, Masks(tuple(range(80, 88)))),
        ("IN865", 865_062_500, None),
    ],
)
def test_devices_are_given_the_channels_that_a_gateway_hears(name: str, hz: int, channels: object) -> None:
    assert load_region(name).cf_list(hz) == channels


# Semtech's formula; the table of an EU868 downlink without CRC.
@pytest.mark.parametrize(
    ("size", "milliseconds"),
    [
        (12, (41.2, 72.2, 144.4, 288.8, 577.5, 991.2)),
        (17, (46.3, 92.7, 164.9, 329.7, 659.5, 1155.1)),
        (24, (56.6, 102.9, 205.8, 370.7, 741.4, 1482.8)),
        (33, (71.9, 133.6, 246.8, 452.6, 905.2, 1810.4)),
        (51, (97.5, 174.6, 328.7, 575.5, 1232.9, 2302.0)),
        (64, (118.0, 205.3, 369.7, 698.4, 1478.7, 2793.5)),
    ],
)
def test_air_time_is_that_of_semtech_s_formula(size: int, milliseconds: tuple[float, ...]) -> None:
    found = [DataRate(sf, 125_000, 0).airtime_s(size) * 1000 for sf in range(7, 13)]
    assert found == pytest.approx(milliseconds, abs=0.06)
