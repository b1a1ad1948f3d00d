"""Joins answered, from the frame to what is sent, with a real spool."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from lora_post.clocks.scale import boot_zero
from lora_post.downlink.duty_cycle import DutyCycle
from lora_post.downlink.join_server import (
    COPY_WINDOW_US,
    MAX_JOIN_NONCE,
    REPEAT_WINDOW_US,
    next_join_nonce,
)
from lora_post.downlink.transmit import Downlink, Station
from lora_post.lorawan.cf_list import Masks, parse_cf_list
from lora_post.lorawan.mac_commands import RXParamSetupAns
from lora_post.lorawan.root_keys import RootKeys
from lora_post.spool.joins import save_joins
from lora_post.spool.spool_file import SpoolFile
from lora_post.spool.upkeep import reset_nonces
from lora_post.times import StampUs
from lora_post.uplink.join_state import JoinState
from lora_post.uplink.model import Refusal
from lora_post.uplink.sessions import join_key
from tests.support.build import NOON_US, device
from tests.support.forwarder import JoiningDevice
from tests.support.network_site import EU868, US915, Site, otaa
from tests.support.rejoining import RejoiningDevice
from tests.support.seal import ROOT_10, ROOT_11

LAB_4 = RootKeys(0x0004A30B001C0004, 0x70B3D57ED0000004, bytes(range(0x50, 0x60)))
LAB_4_REQUEST = bytes.fromhex("00040000d07ed5b37004001c000ba30400110036092038")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path / "spool.db", otaa(ROOT_10))
    yield site
    site.store.close()


def test_join_accept_is_built_byte_for_byte(tmp_path: Path) -> None:
    site = Site(tmp_path / "spool.db", otaa(LAB_4), dev_addr=0x01CAFE04)
    site.time_us = boot_zero(1)  # the clock is not trusted: JoinNonces count from 1
    assert site.hear(LAB_4_REQUEST) == "join-request"
    (downlink,) = site.gateway.sent
    assert downlink.phy_payload.hex() == "201834805ca2d35e438bc543a286173f177ded23bc594636a1f1ea964ce2aa9b4a"
    assert [
        (each.name, each.tmst, each.slot.hz, each.slot.rate.text, each.slot.power_dbm) for each in downlink.windows
    ] == [
        ("RX1", 6_000_000, 868_100_000, "SF7BW125", 14),
        ("RX2", 7_000_000, 869_525_000, "SF12BW125", 27),
    ]


def test_join_accept_of_a_plan_with_fixed_channels_is_built_byte_for_byte(tmp_path: Path) -> None:
    lab_4 = otaa(LAB_4)
    site = Site(tmp_path / "spool.db", lab_4, network=US915, dev_addr=0x01CAFE04)
    with site.store.transaction() as db:
        save_joins(db, {join_key(lab_4): JoinState(join_nonce=1)})
    site.time_us = boot_zero(1)
    site.hear(LAB_4_REQUEST, freq=903.9)
    (downlink,) = site.gateway.sent
    assert downlink.phy_payload.hex() == "20dab316bbe07b5de62be65cc186c45dadffba98f597e4dfe24da28e6ee46568c6"
    assert [(each.slot.hz, each.slot.rate.text) for each in downlink.windows] == [
        (923_300_000, "SF10BW500"),
        (923_300_000, "SF12BW500"),
    ]


@pytest.mark.parametrize("root", [ROOT_10, ROOT_11], ids=["1.0", "1.1"])
def test_device_joins_and_its_uplinks_are_accepted_also_after_a_restart(root: RootKeys, tmp_path: Path) -> None:
    site = Site(tmp_path / "spool.db", otaa(root))
    end = JoiningDevice(root)
    site.join(end)
    assert end.accept is not None
    assert (end.accept.rx_delay_s, end.accept.dev_addr >> 25) == (5, 0)
    site.start()
    assert [site.hear(end.uplink(b"x")), site.hear(end.uplink(b"y"))] == ["uplink", "uplink"]


def test_session_is_kept_before_its_join_accept_leaves(site: Site) -> None:
    kept: list[object] = []

    def send(downlink: Downlink) -> None:
        with closing(SpoolFile(site.store.path)) as other, other.transaction() as db:
            kept.extend(db.execute("SELECT state FROM joined").fetchall())

    site.gateway.send = send  # type: ignore[method-assign]
    site.hear(JoiningDevice(ROOT_10).request())
    ((state,),) = kept  # type: ignore[misc]
    assert b"sessions" in state and b'"rx_delay_s":5' in state


def test_old_session_lives_until_the_first_uplink_of_the_new_one(site: Site) -> None:
    end = JoiningDevice(ROOT_10)
    site.join(end)
    assert site.hear(end.uplink(b"a")) == "uplink"
    rest = [end.uplink(b"b"), end.uplink(b"c")]
    again = JoiningDevice(ROOT_10)
    again.dev_nonce = end.dev_nonce
    site.join(again)
    assert [site.hear(each) for each in rest] == ["uplink", "uplink"]
    assert site.hear(again.uplink(b"d")) == "uplink"


def test_copies_of_one_join_through_two_gateways_are_one(site: Site) -> None:
    request = JoiningDevice(ROOT_10).request()
    assert site.hear(request) == "join-request"
    assert site.hear(request, gateway="gw2", tmst=5, after_us=COPY_WINDOW_US - 1) == "copy"
    assert "gw2" in site.detail
    assert [each.gateway for each in site.gateway.sent] == ["gw1"]


def test_same_request_again_gets_the_same_bytes_at_its_own_time_also_after_a_restart(site: Site) -> None:
    request = JoiningDevice(ROOT_10).request()
    site.hear(request)
    site.start()
    assert site.hear(request, tmst=9_000_000, after_us=8_000_000) == "join-request"
    first, second = site.gateway.sent
    assert first.phy_payload == second.phy_payload
    assert (first.windows[0].tmst, second.windows[0].tmst) == (6_000_000, 14_000_000)
    assert site.hear(request, after_us=REPEAT_WINDOW_US) == "join-replay"
    assert len(site.gateway.sent) == 2


def test_used_dev_nonce_is_refused_with_the_command_that_helps(site: Site) -> None:
    end = JoiningDevice(ROOT_10)
    first = end.request()
    site.hear(first)
    site.hear(end.request())
    assert site.hear(first) == "join-replay"
    assert isinstance(site.outcome, Refusal)
    assert "lora-post devices reset-nonces buoy" in site.outcome.fix
    with closing(SpoolFile(site.store.path)) as other:  # as another process has it
        assert reset_nonces(other, site.devices[0])
        assert not reset_nonces(other, otaa(ROOT_11))
    fresh = JoiningDevice(ROOT_10)
    fresh.join_nonce = 0
    site.join(fresh)


def test_board_that_forgets_its_dev_nonces_joins_again_where_that_is_allowed(tmp_path: Path) -> None:
    site = Site(tmp_path / "spool.db", otaa(ROOT_10, any_dev_nonce=True))
    with closing(site.store):
        for _ in range(3):
            end = JoiningDevice(ROOT_10)  # begins to count anew
            site.join(end)
            assert site.hear(end.uplink(b"a")) == "uplink"


def test_recorded_joins_do_not_end_the_session_of_a_device_that_may_repeat_its_nonces(tmp_path: Path) -> None:
    site = Site(tmp_path / "spool.db", otaa(ROOT_10, any_dev_nonce=True))
    with closing(site.store):
        end = JoiningDevice(ROOT_10)
        recorded = [end.request() for _ in range(3)]
        site.join(end)
        assert site.hear(end.uplink(b"a")) == "uplink"
        for _ in range(10):
            assert {site.hear(each) for each in recorded} == {"join-request"}
        assert site.hear(end.uplink(b"b")) == "uplink"
        assert site.hear(end.uplink(b"c")) == "uplink"


def test_any_number_of_recorded_joins_does_not_end_a_session_that_a_new_dev_nonce_has_got(tmp_path: Path) -> None:
    site = Site(tmp_path / "spool.db", otaa(ROOT_10, any_dev_nonce=True))
    with closing(site.store):
        end = JoiningDevice(ROOT_10)
        recorded = [end.request() for _ in range(12)]
        for before in (True, False):
            for each in recorded:
                assert site.hear(each) == "join-request"
            if before:
                site.join(end)
        assert site.hear(end.uplink(b"a")) == "uplink"


@pytest.mark.parametrize("kind", [0, 2])
def test_rejoin_request_gives_another_session_and_the_old_one_lives_until_that_is_used(
    tmp_path: Path, kind: int
) -> None:
    site = Site(tmp_path / "spool.db", otaa(ROOT_11))
    with closing(site.store):
        end = RejoiningDevice(ROOT_11)
        site.join(end)
        assert site.hear(end.uplink(b"a")) == "uplink"
        old = [end.uplink(b"b"), end.uplink(b"c")]
        request, before = end.rejoin(kind, 0), len(site.gateway.sent)
        assert site.hear(request) == "rejoin-request"
        answer = site.gateway.sent[-1]
        assert [(each.name, each.tmst) for each in answer.windows] == [("RX1", 6_000_000), ("RX2", 7_000_000)]
        assert site.hear(request, gateway="gw2", after_us=1000) == "copy"
        assert len(site.gateway.sent) == before + 1
        site.start()
        assert site.hear(old[0]) == "uplink"
        end.take(answer.phy_payload, kind, 0)
        assert site.hear(end.uplink(b"d")) == "uplink"
        assert site.hear(end.rejoin(kind, 0)) == "rejoin-request"  # it counts anew in each session


def test_request_is_not_answered_where_nobody_knows_when_it_came(site: Site) -> None:
    assert site.hear(JoiningDevice(ROOT_10).request(), tmst=None) == "join-request"
    assert site.detail.endswith("not answered: gateway gw1 does not tell when it came") and site.gateway.sent == []


def test_rejoin_request_is_answered_where_the_device_listens_in_its_session(tmp_path: Path) -> None:
    site = Site(tmp_path / "spool.db", otaa(ROOT_11), network=replace(EU868, own_rx2=(869_525_000, 3)))
    with closing(site.store):
        end = RejoiningDevice(ROOT_11)
        site.join(end)
        site.hear(end.uplink(b"a"))
        site.hear(end.uplink(b"b", fopts=RXParamSetupAns(True, True, True).to_bytes()))
        assert site.hear(end.rejoin(0, 0)) == "rejoin-request"
        assert [each.slot.rate.text for each in site.gateway.sent[-1].windows] == ["SF7BW125", "SF9BW125"]


def test_rejoin_request_that_was_heard_before_or_is_forged_or_of_type_1_is_refused(tmp_path: Path) -> None:
    site = Site(tmp_path / "spool.db", otaa(ROOT_11))
    with closing(site.store):
        end = RejoiningDevice(ROOT_11)
        site.join(end)
        site.hear(end.uplink(b"a"))
        first = end.rejoin(0, 3)
        site.hear(first)
        assert site.hear(end.rejoin(0, 4)) == "rejoin-request"
        sent = len(site.gateway.sent)
        assert site.hear(first) == "join-replay"
        assert site.hear(first[:-1] + b"x") == "mic"
        assert site.hear(b"\xc0\x01" + bytes(22)) == "frame"
        assert "not of type 0 or 2" in site.detail
        site.gateway.now = None
        assert site.hear(end.rejoin(0, 5)) == "rejoin-request" and "not answered" in site.detail
        assert len(site.gateway.sent) == sent


def test_join_nonce_rises_also_after_an_old_backup_was_restored(site: Site) -> None:
    end = JoiningDevice(ROOT_10)
    site.join(end)
    with closing(SpoolFile(site.store.path)) as other, other.transaction() as db:
        (backup,) = db.execute("SELECT device, state FROM joined").fetchall()
    for _ in range(3):
        site.join(end)
    with closing(SpoolFile(site.store.path)) as other, other.transaction() as db:
        db.execute("INSERT OR REPLACE INTO joined VALUES (?, ?)", backup)
    site.join(end)  # a device that is locked out fails there
    with closing(SpoolFile(site.store.path)) as other, other.transaction() as db:
        db.execute("DELETE FROM joined")
    site.join(end)


@pytest.mark.parametrize(
    ("state", "now_us", "nonce"),
    [
        (JoinState(), boot_zero(1), 1),
        (JoinState(join_nonce=7), boot_zero(1), 8),
        (JoinState(), NOON_US, 1_138_320),
        (JoinState(join_nonce=1_138_320), NOON_US, 1_138_321),
        (JoinState(join_nonces=(MAX_JOIN_NONCE,)), boot_zero(1), 1),
        (JoinState(), NOON_US * 10, 0xF00000),
        (JoinState(), 0, 1),
    ],
)
def test_join_nonce_is_above_all_before(state: JoinState, now_us: StampUs, nonce: int) -> None:
    assert next_join_nonce(state, now_us) == nonce


def test_device_whose_join_nonces_are_used_up_is_refused(site: Site) -> None:
    with site.store.transaction() as db:
        save_joins(db, {join_key(site.devices[0]): JoinState(join_nonce=MAX_JOIN_NONCE)})
    assert site.hear(JoiningDevice(ROOT_10).request()) == "join-replay"
    assert "all JoinNonces are used" in site.detail and site.gateway.sent == []


def test_dev_addr_is_one_that_no_session_has(tmp_path: Path) -> None:
    fixed = device("pond-7", address=0x1000)
    other = RootKeys(ROOT_10.dev_eui + 1, ROOT_10.join_eui, bytes(16))
    site = Site(tmp_path / "spool.db", fixed, otaa(ROOT_10), otaa(other, "raft"))
    ends = [JoiningDevice(ROOT_10), JoiningDevice(other)]
    for end in ends:
        site.draws = iter(range(0x1000, 0x2000))
        site.join(end)
    assert [end.accept and end.accept.dev_addr for end in ends] == [0x1001, 0x1002]


def test_net_id_leads_the_dev_addr(tmp_path: Path) -> None:
    site = Site(tmp_path / "spool.db", otaa(ROOT_10), network=replace(EU868, net_id=0x000013))
    end = JoiningDevice(ROOT_10)
    site.join(end)
    assert end.accept is not None
    assert (end.accept.dev_addr, end.accept.net_id) == (0x26001000, 0x13)


def test_gateway_of_one_channel_gets_no_list_of_channels(site: Site) -> None:
    site.gateway.now = Station(many_channels=False)
    assert len(site.join(JoiningDevice(ROOT_10)).phy_payload) == 17


def test_plan_of_fixed_channels_always_tells_which(tmp_path: Path) -> None:
    site = Site(tmp_path / "spool.db", otaa(ROOT_10), network=US915)
    site.gateway.now = Station(many_channels=False)
    end = JoiningDevice(ROOT_10)
    site.hear(end.request(), freq=902.5)
    accept = end.hear({"data": b64encode(site.gateway.sent[0].phy_payload), "ipol": True, "size": 33})
    assert parse_cf_list(accept.cf_list) == Masks((*range(8), 64))


@pytest.mark.parametrize(
    ("freq", "asks", "why"),
    [(868.1, False, "does not ask for downlinks"), (915.2, True, "915.2 MHz, SF7 is not of the [network] region")],
)
def test_request_that_cannot_be_answered_says_why(freq: float, asks: bool, why: str, site: Site) -> None:
    end = JoiningDevice(ROOT_10)
    site.gateway.now = Station(many_channels=True) if asks else None
    request = end.request()
    assert site.hear(request, freq=freq) == "join-request"
    assert why in site.detail and site.gateway.sent == []
    # the copy of a gateway that can answer is answered
    site.gateway.now = Station(many_channels=True)
    site.hear(request, gateway="gw2", after_us=100_000)
    assert [each.gateway for each in site.gateway.sent] == ["gw2"]


def test_input_that_tells_no_counter_is_only_heard(site: Site) -> None:
    assert site.hear(JoiningDevice(ROOT_10).request(), tmst=None) == "join-request"
    assert site.gateway.sent == []


def test_counter_of_the_gateway_wraps(site: Site) -> None:
    site.hear(JoiningDevice(ROOT_10).request(), tmst=(1 << 32) - 1_000_000)
    assert [each.tmst for each in site.gateway.sent[0].windows] == [4_000_000, 5_000_000]


def test_forged_request_changes_nothing(site: Site) -> None:
    end = JoiningDevice(ROOT_10)
    request = end.request()
    assert site.hear(request[:-1] + bytes((request[-1] ^ 1,))) == "mic"
    assert site.hear(request) == "join-request"


def test_duty_cycle_of_a_gateway_is_kept(tmp_path: Path) -> None:
    now = [0.0]
    region = EU868.region
    duty_cycle = DutyCycle(region, lambda: now[0])
    site = Site(tmp_path / "spool.db", otaa(ROOT_10))
    site.hear(JoiningDevice(ROOT_10).request())
    (downlink,) = site.gateway.sent
    slow = replace(downlink.windows[0], slot=replace(downlink.windows[0].slot, rate=region.data_rates[0]))
    sent = 0
    while duty_cycle.within("gw1", [slow], 33):
        duty_cycle.spend("gw1", slow, 33)
        sent += 1
    assert sent == 19  # of 1.81 s in the 36 s of an hour
    assert duty_cycle.within("gw2", [slow], 33)
    assert duty_cycle.within("gw1", (slow, downlink.windows[1]), 33) == downlink.windows[1:]
    now[0] = 3600.0
    assert duty_cycle.within("gw1", [slow], 33)
