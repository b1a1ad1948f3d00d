"""Uplinks answered, from the frame to what is sent, with a real spool."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from lora_post.clocks.scale import boot_zero
from lora_post.downlink.mac_answers import answers, gps_time, margin_db
from lora_post.downlink.transmit import Station
from lora_post.downlink.uplink_answers import MAX_REPEATS
from lora_post.lorawan import mac_commands as mac
from lora_post.lorawan.mac_body import Body
from lora_post.lorawan.mac_commands import parse_mac_commands
from lora_post.lorawan.phy_payload import DataFrame, MType, build_data_frame, parse_data_frame
from lora_post.lorawan.root_keys import RootKeys
from lora_post.lorawan.session_keys import UPLINK, SessionKeys11
from lora_post.model import RxInfo
from lora_post.spool.spool_file import SpoolFile
from lora_post.times import WallUs
from lora_post.uplink.model import Uplink
from tests.support.build import KEYS, device, frame
from tests.support.forwarder import JoiningDevice
from tests.support.network_site import EU868, Site, otaa
from tests.support.seal import ROOT_10, ROOT_11, join_accept, join_request, seal_11

DEV_ADDR = 0x26011BDA
ADR_ACK_REQ = 0x40
SECOND_US = 1_000_000


def up(
    fcnt: int, *, fopts: str = "", confirmed: bool = True, fport: int | None = 2, payload: bytes = b"x", flags: int = 0
) -> bytes:
    """An uplink of the device that is activated by personalisation."""
    signed = build_data_frame(
        mtype=MType.CONFIRMED_UP if confirmed else MType.UNCONFIRMED_UP,
        dev_addr=DEV_ADDR,
        fcnt=fcnt,
        fport=fport,
        frm_payload=KEYS.crypt(DEV_ADDR, fcnt, UPLINK, fport or 0, payload) if fport is not None else b"",
        fopts=bytes.fromhex(fopts),
        flags=flags,
    )
    return signed + KEYS.data_mic(DEV_ADDR, fcnt, UPLINK, signed)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path / "spool.db", device())
    yield site
    site.store.close()


def sent(site: Site) -> DataFrame:
    """The last downlink, whose MIC is right."""
    phy_payload = site.gateway.sent[-1].phy_payload
    data = parse_data_frame(phy_payload)
    assert data.mic == KEYS.downlink_mic(DEV_ADDR, data.fcnt16, data.signed)
    return data


def said(site: Site) -> list[str]:
    return [
        str(each.kind and each.kind.__name__) for each in parse_mac_commands(sent(site).fopts, MType.CONFIRMED_DOWN)
    ]


def test_confirmed_uplink_is_acknowledged_in_the_device_s_windows(site: Site) -> None:
    assert site.hear(up(0)) == "uplink"
    data = sent(site)
    assert (data.mtype, data.fctrl, data.fcnt16, data.fport) == (MType.UNCONFIRMED_DOWN, 0x20, 0, None)
    windows = site.gateway.sent[-1].windows
    assert [(each.name, each.tmst) for each in windows] == [("RX1", 2_000_000), ("RX2", 3_000_000)]


def test_uplink_that_wants_nothing_gets_nothing(site: Site) -> None:
    assert site.hear(up(0, confirmed=False)) == "uplink"
    assert site.gateway.sent == []


def test_repeat_is_acknowledged_again_and_gives_no_second_reading(site: Site) -> None:
    site.hear(up(0))
    assert site.hear(up(0), after_us=3 * SECOND_US, tmst=4_000_000) == "repeat"
    first, second = site.gateway.sent
    assert first.phy_payload != second.phy_payload  # a counter of its own
    assert sent(site).fctrl == 0x20 and second.windows[0].tmst == 5_000_000


def test_repeat_after_a_restart_is_acknowledged_where_it_is_the_newest(site: Site) -> None:
    for fcnt, confirmed in ((0, True), (1, False), (2, True)):
        site.hear(up(fcnt, confirmed=confirmed))
    site.start()
    site.gateway.sent.clear()
    assert site.hear(up(0), after_us=3 * SECOND_US) == "replay"
    assert site.hear(up(1, confirmed=False)) == "replay"
    assert site.gateway.sent == []
    for _ in range(2 * MAX_REPEATS):
        assert site.hear(up(2), after_us=3 * SECOND_US, tmst=9_000_000) == "replay"
    assert (sent(site).fctrl, site.gateway.sent[0].windows[0].tmst) == (0x20, 10_000_000)
    assert [parse_data_frame(each.phy_payload).fcnt16 for each in site.gateway.sent] == list(range(2, 3 + MAX_REPEATS))


def test_copy_of_another_gateway_is_not_answered(site: Site) -> None:
    site.hear(up(0))
    assert site.hear(up(0), after_us=SECOND_US // 5, gateway="gw2") == "copied"
    assert len(site.gateway.sent) == 1


def test_recording_costs_a_bounded_number_of_answers(site: Site) -> None:
    site.hear(up(0))
    for _ in range(2 * MAX_REPEATS):
        site.hear(up(0), after_us=3 * SECOND_US)
    assert len(site.gateway.sent) == 1 + MAX_REPEATS


def test_older_frame_and_one_without_request_are_not_answered_again(site: Site) -> None:
    site.hear(up(0))
    site.hear(up(1, confirmed=False))
    assert site.hear(up(0), after_us=5 * SECOND_US) == "replay"
    assert site.hear(up(1, confirmed=False), after_us=5 * SECOND_US) == "repeat"
    assert len(site.gateway.sent) == 1


@pytest.mark.parametrize(
    ("fopts", "flags", "names"),
    [
        ("", ADR_ACK_REQ, []),
        ("02", 0, ["LinkCheckAns"]),
        ("0d", 0, ["DeviceTimeAns"]),
        ("020d02", 0, ["DeviceTimeAns", "LinkCheckAns"]),
        ("0101", 0, ["ResetConf"]),
        ("2002", 0, ["DeviceModeConf"]),
        ("0507", 0, []),
        ("08", 0, []),
        ("0d800d02", 0, ["DeviceTimeAns"]),
    ],
)
def test_what_a_device_asks_is_answered(fopts: str, flags: int, names: list[str], site: Site) -> None:
    site.hear(up(0, fopts=fopts, flags=flags, confirmed=False))
    assert said(site) == names
    assert sent(site).fctrl & 0xF0 == 0


def test_commands_on_fport_0_are_answered(site: Site) -> None:
    site.hear(up(0, fport=0, payload=b"\x02", confirmed=False))
    assert said(site) == ["LinkCheckAns"]


@pytest.mark.parametrize("fopts", ["0307", "06c80a", "0707"])
def test_answers_of_a_device_are_not_answered(fopts: str, site: Site) -> None:
    site.hear(up(0, fopts=fopts, confirmed=False))
    assert site.gateway.sent == []


def test_time_is_not_told_while_the_clock_is_not_trusted(site: Site) -> None:
    site.time_us = boot_zero(1)
    site.hear(up(0, fopts="0d", confirmed=False))
    assert site.gateway.sent == []


def test_counters_rise_over_restarts_and_another_writer(site: Site) -> None:
    for fcnt in range(3):
        site.hear(up(fcnt))
    site.start()
    site.hear(up(3))
    with closing(SpoolFile(site.store.path)) as other, other.transaction() as db:
        db.execute("UPDATE session SET next_fcnt = 70000 WHERE device LIKE '%:down'")
    site.hear(up(4))
    fcnts = [parse_data_frame(each.phy_payload).fcnt16 for each in site.gateway.sent]
    assert fcnts == [0, 1, 2, 3, 70000 & 0xFFFF]


def test_counter_goes_on_when_the_spool_is_removed(site: Site) -> None:
    site.hear(up(0))
    for path in site.store.path.parent.iterdir():
        path.unlink()
    site.store.follow()
    site.hear(up(1))
    assert [parse_data_frame(each.phy_payload).fcnt16 for each in site.gateway.sent] == [0, 1]


def test_counter_is_kept_before_its_frame_leaves(site: Site) -> None:
    kept: list[int] = []

    def send(downlink: object) -> None:
        with closing(SpoolFile(site.store.path)) as other:
            kept.extend(row[0] for row in other.rows("SELECT next_fcnt FROM session WHERE device LIKE '%:down'"))

    site.gateway.send = send  # type: ignore[assignment,method-assign]
    site.hear(up(0))
    assert kept == [1]


def test_gateway_that_cannot_send_takes_no_counter(site: Site) -> None:
    site.gateway.now = None
    site.hear(up(0))
    site.gateway.now = Station(many_channels=True)
    site.hear(up(1))
    assert [parse_data_frame(each.phy_payload).fcnt16 for each in site.gateway.sent] == [0]


@pytest.mark.parametrize("root", [ROOT_10, ROOT_11], ids=["1.0", "1.1"])
def test_device_that_joined_here_is_answered_after_the_delay_that_it_was_told(root: RootKeys, tmp_path: Path) -> None:
    site = Site(tmp_path / "spool.db", otaa(root), network=replace(EU868, rx_delay_s=3))
    end = JoiningDevice(root)
    site.join(end)
    assert site.hear(end.uplink(b"x", fopts=b"\x02")) == "uplink"
    answer = site.gateway.sent[-1]
    assert answer.windows[0].tmst == 4_000_000
    assert end.commands(answer.phy_payload) == [mac.LinkCheckAns(15, 1)]


def test_1_1_device_is_told_that_its_keys_are_known(tmp_path: Path) -> None:
    site = Site(tmp_path / "spool.db", otaa(ROOT_11))
    end = JoiningDevice(ROOT_11)
    site.join(end)
    site.hear(end.uplink(b"x", fopts=b"\x0b\x01"))
    assert end.commands(site.gateway.sent[-1].phy_payload) == [mac.RekeyConf(1)]


def test_session_of_another_network_is_not_answered(tmp_path: Path) -> None:
    site = Site(tmp_path / "spool.db", otaa(ROOT_11))
    site.gateway.now = None
    site.hear(join_request(ROOT_11, 7))
    site.hear(join_accept(ROOT_11, 7, 0x02345678), after_us=SECOND_US)
    site.gateway.now = Station(many_channels=True)
    keys = ROOT_11.session_keys(0x2A, 1, 7, opt_neg=True)
    assert isinstance(keys, SessionKeys11)
    assert site.hear(seal_11(keys, 0x02345678, 0, 2, b"x", fopts=b"\x02")) == "uplink"
    assert site.gateway.sent == []


def test_link_check_counts_the_gateways_that_heard_the_device_lately(tmp_path: Path) -> None:
    site = Site(tmp_path / "spool.db", otaa(ROOT_10))
    end = JoiningDevice(ROOT_10)
    site.join(end)
    counts = []
    for number in range(6):
        phy_payload = end.uplink(b"x", fopts=b"\x02")
        site.hear(phy_payload)
        if number == 0:
            assert site.hear(phy_payload, gateway="gw2", after_us=1000) == "copied"
        (check,) = end.commands(site.gateway.sent[-1].phy_payload)
        assert isinstance(check, mac.LinkCheckAns)
        counts.append(check.gateways)
    assert counts == [1, 2, 2, 2, 1, 1]


def test_answers_that_do_not_fit_are_left_for_the_next_time() -> None:
    uplink = Uplink(frame(), device(), 0, 2, b"", True)
    commands: list[Body] = [mac.RekeyInd(1), mac.ResetInd(1), mac.DeviceTimeReq(), mac.LinkCheckReq()]
    commands += [mac.DeviceModeInd(number) for number in (0, 2, 2)]
    found = [each.body for each in parse_mac_commands(answers(commands, uplink, 1), MType.CONFIRMED_DOWN)]
    assert found[:2] == [mac.RekeyConf(1), mac.ResetConf(1)]
    assert found[-1] == mac.DeviceModeConf(0)


def test_gps_time_is_that_of_the_uplink_s_end() -> None:
    assert gps_time(WallUs(1_715_674_530_123_456)) == mac.DeviceTimeAns(1_399_709_748, 31)
    assert gps_time(WallUs(1_715_674_530_123_456)).to_bytes().hex() == "0d34e06d531f"


@pytest.mark.parametrize(
    ("sf", "snr_db", "margin"),
    [(7, 8.5, 16), (12, -25.0, 0), (10, -14.9, 0), (7, 1000, 254), (None, 5, 0), (7, None, 0)],
)
def test_margin_is_what_is_left_of_the_signal(sf: int | None, snr_db: float | None, margin: int) -> None:
    assert margin_db(RxInfo(snr_db=snr_db, sf=sf)) == margin


def test_recording_of_a_session_that_is_over_is_not_answered(tmp_path: Path) -> None:
    site = Site(tmp_path / "spool.db", otaa(ROOT_10))
    end = JoiningDevice(ROOT_10)
    site.join(end)
    recorded = end.uplink(b"x", confirmed=True)
    site.hear(recorded)
    site.join(end)
    site.hear(end.uplink(b"x"))
    site.gateway.sent.clear()
    assert site.hear(recorded) == "replay"
    site.start()
    assert site.hear(recorded) == "replay"
    assert site.gateway.sent == []
    site.store.close()
