from __future__ import annotations

import pytest

from lora_post.config import Config, parse_config
from lora_post.errors import ConfigError
from lora_post.lorawan.region import region_names
from tests.support.config_text import GATEWAY, PATH

UDP = '[[input]]\nurl = "udp://0.0.0.0:1700"\n'


def read(text: str) -> Config:
    return parse_config(GATEWAY + text, PATH, {})


def test_without_the_table_nothing_is_sent() -> None:
    config = read(UDP)
    assert (config.network, [each.transmit for each in config.inputs]) == (None, [False])


@pytest.mark.parametrize("name", [*region_names(), "eu868"])
def test_network_of_each_region_is_read(name: str) -> None:
    config = read(f'[network]\nregion = "{name}"\n{UDP}')
    assert config.network is not None
    assert (config.network.net_id, config.network.rx_delay_s) == (0, 5)
    assert [each.transmit for each in config.inputs] == [True]


def test_all_its_keys_are_read() -> None:
    config = read(f'[network]\nregion = "US915"\nnet_id = "000013"\nrx_delay_s = 1\n{UDP}transmit = false\n{UDP}')
    assert config.network is not None
    assert (config.network.net_id, config.network.rx_delay_s) == (0x13, 1)
    assert [each.transmit for each in config.inputs] == [False, True]


def test_what_devices_are_told_is_read() -> None:
    text = f'[network]\nregion = "AS923-1"\nrx2_data_rate = 3\nuplink_dwell = true\ndevice_duty_cycle = 0.01\n{UDP}'
    network = read(text).network
    assert network is not None
    assert (network.rx2, network.tx_params, network.duty_exponent) == ((923_200_000, 3), (5, True), 7)
    usual = read(f'[network]\nregion = "US915"\nsub_band = 2\n{UDP}').network
    assert usual is not None
    assert (usual.sub_band, usual.rx2, usual.tx_params, usual.duty_exponent) == (2, (923_300_000, 8), None, 0)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (f"[network]\n{UDP}", "[network] region is missing"),
        (f'[network]\nregion = "EU86"\n{UDP}', "[network] region is 'EU86'; did you mean 'EU868'"),
        (f'[network]\nregion = "AS923"\n{UDP}', "[network] region is 'AS923'; did you mean 'AS923-"),
        (f'[network]\nregion = "EU868"\nrx_delay_s = 0\n{UDP}', "rx_delay_s is 0; it must be between 1 and 15"),
        (f'[network]\nregion = "EU868"\nrx_delay_s = 16\n{UDP}', "rx_delay_s is 16; it must be between 1 and 15"),
        (f'[network]\nregion = "EU868"\nnet_id = "13"\n{UDP}', "net_id has 2 characters; it must be 6 hex digits"),
        (f'[network]\nregion = "EU868"\nnet_id = "60001d"\n{UDP}', 'net_id 60001d is of type 3; write "000000"'),
        (f'[network]\nregion = "EU868"\nsub_band = 2\n{UDP}', "[network] sub_band: this region has none"),
        (f'[network]\nregion = "US915"\nsub_band = 9\n{UDP}', "sub_band is 9; it must be between 1 and 8"),
        (f'[network]\nregion = "EU868"\nrx2_mhz = 915\n{UDP}', "rx2_mhz is 915; it must be between 863 and 870"),
        (f'[network]\nregion = "US915"\nrx2_data_rate = 0\n{UDP}', "downlinks here have one of 8, 9, 10, 11, 12, 13"),
        (f'[network]\nregion = "EU868"\nuplink_dwell = true\n{UDP}', "only AS923 and AU915 have a limit"),
        (f'[network]\nregion = "EU868"\ndevice_duty_cycle = 0\n{UDP}', "it must be above 0, and at most 1"),
        (f"{UDP}transmit = true\n", "transmit: nothing is transmitted without a [network]; add [network]"),
        ('[[input]]\nurl = "stdin:"\ntransmit = true\n', "transmit: only gateways (udp://…, station://…) can transmit"),
        (f'[network]\nregion = "EU868"\nchannel = 5\n{UDP}', "[network]: unknown key 'channel'"),
    ],
)
def test_mistake_names_the_field_and_the_fix(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as error:
        read(text)
    assert complaint in str(error.value)


def test_network_that_cannot_send_is_a_warning() -> None:
    (warning,) = read('[network]\nregion = "EU868"\n[[input]]\nurl = "stdin:"\n').warnings
    assert str(warning).startswith("[network]: no [[input]] can transmit")


STATION = '[[input]]\nurl = "station://0.0.0.0:3001"\n'


def test_station_is_told_of_the_network() -> None:
    (item,) = read(f'[network]\nregion = "eu868"\n{STATION}cert_file = "a.pem"\n').inputs
    assert item.network is not None and item.network.name == "EU868"
    assert (item.format, item.transmit, item.cert_file, item.key_file) == ("station", True, PATH.parent / "a.pem", None)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (STATION, "a station is told the channels of a region"),
        ('[[input]]\ndownlink_dir = "d"\n', r"nothing is transmitted without a \[network\]"),
        (f'[network]\nregion = "EU868"\n{UDP}downlink_dir = "d"\n', "only LowCostLoRaGw's radio program has one"),
        (f'[network]\nregion = "EU868"\n{STATION}format = "rxpk"\n', "with station:// it is station"),
        (f'[network]\nregion = "EU868"\n{STATION}key_file = "a.pem"\n', "there is no cert_file"),
        (f'[network]\nregion = "EU868"\n{UDP}cert_file = "a.pem"\n', r"only stations \(station://…\) see them"),
        (f'[network]\nregion = "EU868"\n{STATION.replace("3001", "3001/x")}', "write station://0.0.0.0:3001"),
    ],
)
def test_mistakes_of_stations_are_told(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        read(text)


def test_radio_program_is_answered_by_its_folder() -> None:
    (item,) = read('[network]\nregion = "EU868"\n[[input]]\ndownlink_dir = "downlink"\n').inputs
    assert item.transmit and item.downlink_dir == PATH.parent / "downlink"


def test_forwarder_that_sends_at_once() -> None:
    (item,) = read(f'[network]\nregion = "EU868"\n{UDP}downlink_at = "window"\n').inputs
    assert item.at_window
    with pytest.raises(ConfigError, match=r'downlink_at is .later.; it must be "window"'):
        read(f'[network]\nregion = "EU868"\n{UDP}downlink_at = "later"\n')
    with pytest.raises(ConfigError, match="only packet forwarders"):
        read(f'[network]\nregion = "EU868"\n{STATION}downlink_at = "window"\n')
