"""What devices are told besides answers, from the frame to what is sent, with a real spool."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from lora_post.downlink.mac_layer import MAX_SKIPPED
from lora_post.downlink.settings import Known, Settings
from lora_post.downlink.transmit import Station
from lora_post.lorawan import mac_commands as mac
from lora_post.lorawan.mac_commands import parse_mac_commands
from lora_post.lorawan.phy_payload import MType, parse_data_frame
from lora_post.lorawan.session_keys import DOWNLINK
from lora_post.model import Device, FCntPolicy
from lora_post.spool import told
from lora_post.spool.lanes import sensor_states
from lora_post.spool.spool_file import SpoolFile
from lora_post.spool.upkeep import reset_counter
from lora_post.uplink.sessions import session_key
from tests.support.build import KEYS, device
from tests.support.network_site import EU868, Site
from tests.support.uplinks import up as up_with

ADR = 0x80
DEV_ADDR = 0x26011BDA
TIMING_ANS, PARAM_ANS = "08", "0507"
NEW_NETWORK = replace(EU868, rx_delay_s=2, own_rx2=(869_525_000, 3))


def up(fcnt: int, *, fopts: str = "", confirmed: bool = True, flags: int = 0) -> bytes:
    return up_with(fcnt, fopts=bytes.fromhex(fopts), confirmed=confirmed, flags=flags)


def managed(**changes: object) -> Device:
    return device(adr=True, **changes)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path / "spool.db", managed(), network=NEW_NETWORK)
    site.gateway.now = Station(many_channels=False)
    yield site
    site.store.close()


def said(site: Site) -> list[str]:
    """What the last downlink tells the device."""
    data = parse_data_frame(site.gateway.sent[-1].phy_payload)
    commands = data.fopts
    if data.fport == 0:
        commands = KEYS.crypt(DEV_ADDR, data.fcnt16, DOWNLINK, 0, data.frm_payload)
    return [each.raw.hex() for each in parse_mac_commands(commands, MType.UNCONFIRMED_DOWN)]


def windows(site: Site) -> list[tuple[int | None, str]]:
    return [(each.tmst, each.slot.rate.text) for each in site.gateway.sent[-1].windows]


OLD_WINDOWS = [(2_000_000, "SF7BW125"), (3_000_000, "SF12BW125")]
NEW_WINDOWS = [(3_000_000, "SF7BW125"), (4_000_000, "SF9BW125")]


def test_windows_move_once_the_device_has_answered_and_not_before(site: Site) -> None:
    site.hear(up(0, confirmed=False))
    assert (said(site), windows(site)) == (["0802", "0503d2ad84"], OLD_WINDOWS)
    site.hear(up(1))  # it has not heard that
    assert (said(site), windows(site)) == (["0802", "0503d2ad84"], OLD_WINDOWS)
    site.start()  # as after a kill
    site.hear(up(3, fopts=TIMING_ANS + PARAM_ANS))
    assert (said(site), windows(site)) == ([], NEW_WINDOWS)
    site.start()
    site.hear(up(4))
    assert (said(site), windows(site)) == ([], NEW_WINDOWS)


@pytest.mark.parametrize(
    "state",
    [
        b"\xff",
        b"{}",
        b'{"settings":{"rx_delay_s":99,"rx2":[869525000,3]}}',
        b'{"settings":{"rx_delay_s":2,"rx2":[923300000,8]}}',
        b'{"settings":{"rx_delay_s":2,"rx2":[869525000,13]}}',
        b'{"settings":{"rx_delay_s":2,"rx2":[869525000,3]},"pending":[""]}',
    ],
)
def test_state_that_is_damaged_or_of_another_region_is_as_none(site: Site, state: bytes) -> None:
    site.hear(up(0))
    with closing(SpoolFile(site.store.path)) as other, other.transaction() as db:
        db.execute("UPDATE told SET state = ?", (state,))
    site.start()
    site.hear(up(2))
    assert windows(site) == OLD_WINDOWS


def test_answer_that_comes_before_the_request_changes_nothing(site: Site) -> None:
    site.hear(up(0, fopts=TIMING_ANS + PARAM_ANS))
    assert windows(site) == OLD_WINDOWS


def test_repeat_of_an_uplink_that_answers_is_answered_where_the_device_listens_now(site: Site) -> None:
    site.hear(up(0, confirmed=False))
    site.hear(up(1, fopts=TIMING_ANS + PARAM_ANS))
    site.hear(up(1, fopts=TIMING_ANS + PARAM_ANS), after_us=8_000_000)
    assert len(site.gateway.sent) == 3 and windows(site) == NEW_WINDOWS


def test_device_that_says_that_it_was_reset_has_forgotten(site: Site) -> None:
    site.hear(up(0))
    site.hear(up(1, fopts=TIMING_ANS + PARAM_ANS))
    assert windows(site) == NEW_WINDOWS
    site.hear(up(2, fopts="0101"))
    assert (said(site), windows(site)) == (["0101", "0802", "0503d2ad84"], OLD_WINDOWS)


def test_counter_that_is_reset_means_a_device_that_has_forgotten(site: Site) -> None:
    site.hear(up(0))
    site.hear(up(1, fopts=TIMING_ANS + PARAM_ANS))
    assert windows(site) == NEW_WINDOWS
    with closing(SpoolFile(site.store.path)) as other:
        reset_counter(other, managed())
    site.hear(up(0))
    assert (said(site), windows(site)) == (["0802", "0503d2ad84"], OLD_WINDOWS)


def test_device_that_may_restart_has_forgotten_when_it_does(tmp_path: Path) -> None:
    site = Site(tmp_path / "spool.db", managed(fcnt=FCntPolicy.UNCHECKED), network=NEW_NETWORK)
    with closing(site.store):
        site.gateway.now = Station(many_channels=False)
        site.hear(up(40))
        site.hear(up(41, fopts=TIMING_ANS + PARAM_ANS))
        site.hear(up(42))
        assert windows(site) == NEW_WINDOWS
        site.hear(up(0))
        assert windows(site) == OLD_WINDOWS


def test_what_does_not_fit_into_fopts_goes_on_fport_0(tmp_path: Path) -> None:
    site = Site(tmp_path / "spool.db", managed())
    with closing(site.store):
        site.hear(up(0, fopts="02"))
        assert parse_data_frame(site.gateway.sent[-1].phy_payload).fport == 0
        assert [each[:2] for each in said(site)] == ["02", "08", "07", "07", "07", "07", "07"]


def test_beside_a_command_goes_what_fopts_hold(tmp_path: Path) -> None:
    site = Site(tmp_path / "spool.db", managed())
    with closing(site.store):
        site.queue(payload=b"on")
        site.hear(up(0))
        assert [each[:4] for each in said(site)] == ["0805", "0703", "0704"]
        assert parse_data_frame(site.gateway.sent[-1].phy_payload).fport == 7
        site.hear(up(1, fopts="08" + "0703" * 2))
        assert [each[:4] for each in said(site)] == []  # it has heard what it repeats; the rest: next time
        site.hear(up(2))
        assert [each[:4] for each in said(site)] == ["0705", "0706", "0707"]


def test_device_with_fixed_keys_is_told_nothing_without_adr(tmp_path: Path) -> None:
    site = Site(tmp_path / "spool.db", device(), network=NEW_NETWORK)
    with closing(site.store):
        site.hear(up(0))
        assert (said(site), windows(site)) == ([], OLD_WINDOWS)


@pytest.mark.parametrize(
    ("flags", "many_channels", "is_told"), [(ADR, True, True), (0, True, False), (ADR, False, False)]
)
def test_data_rate_is_set_where_device_and_gateway_allow(
    tmp_path: Path, flags: int, many_channels: bool, is_told: bool
) -> None:
    site = Site(tmp_path / "spool.db", managed(), network=replace(EU868, rx_delay_s=1))
    with closing(site.store):
        site.gateway.now = Station(many_channels)
        site.hear(up(0, flags=flags))
        site.hear(up(1, fopts="0703" * 5 if many_channels else "", flags=flags))
        for fcnt in range(2, 20):
            site.hear(up(fcnt, flags=flags))
        requests = [each for each in said(site) if each.startswith("03")]
        assert requests == (["0351ff0001"] if is_told else [])  # 8 dB: 15.5 above SF7, so 5.5 are left: one step


def test_counters_of_a_restored_backup_go_on_above_all_that_can_have_been_used(tmp_path: Path) -> None:
    site = Site(tmp_path / "spool.db", device())
    with closing(site.store), closing(SpoolFile(site.store.path)) as other:
        for fcnt in range(5):
            site.hear(up(fcnt))
        with other.transaction() as db:
            backup = db.execute("SELECT * FROM session").fetchall()
        for fcnt in range(5, 40):
            site.hear(up(fcnt))
            site.hear(up(fcnt), after_us=8_000_000)  # and a repeat
        with other.transaction() as db:
            db.executemany("INSERT OR REPLACE INTO session VALUES (?, ?)", backup)
        site.start()
        site.hear(up(41))
        counters = [parse_data_frame(each.phy_payload).fcnt16 for each in site.gateway.sent]
        assert counters[-1] > max(counters[:-1]) and counters[-1] == 5 + 4 * 36


def test_counter_never_leaves_out_more_than_a_device_follows(tmp_path: Path) -> None:
    site = Site(tmp_path / "spool.db", device())
    with closing(site.store):
        site.hear(up(0))
        for fcnt in range(5_000, 30_000, 5_000):
            site.start()
            site.hear(up(fcnt))
        counters = [parse_data_frame(each.phy_payload).fcnt16 for each in site.gateway.sent]
        assert counters == [0, 8193, 8194, 8195, 8196, 8197]


def test_restart_alone_leaves_no_counter_out(tmp_path: Path) -> None:
    site = Site(tmp_path / "spool.db", device())
    with closing(site.store):
        for fcnt in range(3):
            site.hear(up(fcnt))
            site.start()
        assert [parse_data_frame(each.phy_payload).fcnt16 for each in site.gateway.sent] == [0, 1, 2]


def test_battery_and_margin_become_readings_when_asked_for(tmp_path: Path) -> None:
    site = Site(tmp_path / "spool.db", device(dev_status_every_s=86_400.0))
    with closing(site.store):
        site.hear(up(0, confirmed=False))
        assert said(site) == ["06"]
        site.hear(up(1, confirmed=False, fopts=mac.DevStatusAns(127, -3).to_bytes().hex()))
        assert [each.name for each in sensor_states(site.store)] == ["device_battery", "device_margin"]
        sent = len(site.gateway.sent)
        site.hear(up(2, confirmed=False))
        assert len(site.gateway.sent) == sent
        site.hear(up(3, confirmed=False), after_us=86_400_000_000)
        assert said(site) == ["06"]


def keep(site: Site, known: Known) -> None:
    """Have the spool say that the device was told this, and start anew."""
    with closing(SpoolFile(site.store.path)) as other, other.transaction() as db:
        told.save(db, {session_key(site.devices[0]): msgspec.json.encode(known)})
    site.start()


def test_settings_of_another_region_are_forgotten(site: Site) -> None:
    site.hear(up(0))
    new_channel = mac.NewChannelReq(2, 903_000_000, 0, 3).to_bytes()
    keep(site, Known(Settings(1, (923_300_000, 8)), (new_channel,)))
    assert site.hear(up(1, fopts="0703")) == "uplink"
    assert windows(site) == OLD_WINDOWS


def test_counter_never_goes_back_over_a_damaged_row(site: Site) -> None:
    for fcnt in range(20):
        site.hear(up(fcnt))
    keep(site, Known(Settings(1, EU868.region.rx2, ()), skipped=MAX_SKIPPED + 10))
    site.hear(up(30))
    counters = [parse_data_frame(each.phy_payload).fcnt16 for each in site.gateway.sent]
    assert counters == list(range(len(counters)))
