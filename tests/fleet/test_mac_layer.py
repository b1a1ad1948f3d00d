"""What devices are told through a fleet: requests, answers, and sessions that a device asks for anew."""

from __future__ import annotations

from base64 import b64encode

import pytest
from msgspec.structs import replace

from lora_post.downlink.network import Network
from lora_post.fleet.hub.subjects import address_of, log_subject
from lora_post.fleet.log.entry import decode
from lora_post.fleet.log.inheritance import inherited
from lora_post.lorawan import mac_commands as mac
from lora_post.lorawan.region import load_region
from lora_post.lorawan.root_keys import RootKeys
from lora_post.model import Device, Frame, Link
from lora_post.times import WallUs
from lora_post.uplink.join_state import Join
from lora_post.uplink.model import Refusal, Report
from lora_post.uplink.sessions import join_key, session_key
from tests.support.fleet_worker import RX, OneWorker
from tests.support.forwarder import JoiningDevice
from tests.support.memory_log import MemoryLog
from tests.support.rejoining import RejoiningDevice
from tests.support.seal import ROOT_10, ROOT_11

NETWORK = Network(load_region("EU868"), 0, 5)
OTHER_RX2 = replace(NETWORK, own_rx2=(869_525_000, 3))


def otaa(root: RootKeys, dev_status_every_s: float = 0.0) -> Device:
    return Device("buoy", "buoy", Link.LORAWAN, None, "cayenne-lpp", root=root, dev_status_every_s=dev_status_every_s)


def join(worker: OneWorker, end: JoiningDevice) -> None:
    reply = worker.hear(end.request(), 0).reply
    assert reply is not None
    end.hear({"data": b64encode(reply.phy_payload), "ipol": True, "size": len(reply.phy_payload)})


def commands(worker: OneWorker, end: JoiningDevice, at_s: float, fopts: bytes = b"") -> list[object]:
    """Send an uplink; return the MAC commands in the answer."""
    reply = worker.hear(end.uplink(b"\x01\x67\x00\xe1", fopts=fopts), at_s).reply
    assert isinstance(worker.heard.outcome, Report)
    return list(end.commands(reply.phy_payload)) if reply else []


def rx2(worker: OneWorker) -> tuple[int, int]:
    """Return where the last answer would go in RX2: frequency and spreading factor."""
    assert worker.heard.reply is not None
    slot = next(each.slot for each in worker.heard.reply.ways[0].windows if each.name == "RX2")
    return slot.hz, slot.rate.sf


@pytest.mark.parametrize("root", [ROOT_10, ROOT_11], ids=["1.0", "1.1"])
def test_device_is_told_where_to_listen_and_every_worker_knows_whether_it_obeys(root: RootKeys) -> None:
    log, end = MemoryLog(), JoiningDevice(root)
    join(OneWorker(log, [otaa(root)], NETWORK), end)
    request = mac.RXParamSetupReq(3, 0, 869_525_000)
    worker = OneWorker(log, [otaa(root)], OTHER_RX2)
    assert commands(worker, end, 10) == [request]
    assert rx2(worker) == (869_525_000, 12)  # until it has answered, it may listen where it did
    answer = mac.RXParamSetupAns(True, True, True).to_bytes()
    worker = OneWorker(log, [otaa(root)], OTHER_RX2)  # another one goes on
    assert request not in commands(worker, end, 20, answer)
    worker = OneWorker(log, [otaa(root)], OTHER_RX2)
    assert commands(worker, end, 30, mac.LinkCheckReq().to_bytes())
    assert rx2(worker) == (869_525_000, 9)


def test_battery_of_a_device_is_asked_for_and_told_once() -> None:
    log, end = MemoryLog(), JoiningDevice(ROOT_10)
    devices = [otaa(ROOT_10, 3600.0)]
    worker = OneWorker(log, devices, NETWORK)
    join(worker, end)
    assert commands(worker, end, 10) == [mac.DevStatusReq()]
    worker = OneWorker(log, devices, NETWORK)
    assert commands(worker, end, 20, mac.DevStatusAns(128, 7).to_bytes()) == []
    entry = decode(log.entries[-1].data)
    assert [(each.device, each.row.name, each.row.value) for each in entry.told] == [
        ("buoy", "device_battery", 50),
        ("buoy", "device_margin", 7),
    ]
    assert commands(OneWorker(log, devices, NETWORK), end, 30) == []
    assert commands(OneWorker(log, devices, NETWORK), end, 4000) == [mac.DevStatusReq()]


def test_link_check_counts_the_gateways_that_heard_the_frame() -> None:
    end = JoiningDevice(ROOT_10)
    worker = OneWorker(MemoryLog(), [otaa(ROOT_10)], NETWORK)
    join(worker, end)
    request = end.uplink(b"\x01\x67\x00\xe1", fopts=mac.LinkCheckReq().to_bytes())
    reply = worker.hear(request, 10, gateways=("gw1", "gw2")).reply
    assert reply is not None
    found = [each.gateways for each in end.commands(reply.phy_payload) if isinstance(each, mac.LinkCheckAns)]
    assert found == [2]


@pytest.mark.parametrize("kind", [0, 2])
def test_rejoin_request_is_one_join_and_the_old_session_lives_until_the_new_one_is_used(kind: int) -> None:
    log, end, devices = MemoryLog(), RejoiningDevice(ROOT_11), [otaa(ROOT_11)]
    worker = OneWorker(log, devices, NETWORK)
    join(worker, end)
    commands(worker, end, 10)
    old, request = end.uplink(b"\x01\x67\x00\xe1"), end.rejoin(kind, 0)
    reply = worker.hear(request, 20, gateways=("gw1", "gw2")).reply
    assert reply is not None and {way.gateway for way in reply.ways} == {"gw1", "gw2"}
    worker = OneWorker(log, devices, NETWORK)
    assert worker.hear(request, 21).reply is None
    assert isinstance(worker.heard.outcome, Join) and worker.heard.outcome.message == "copy"
    assert isinstance(worker.hear(old, 30).outcome, Report)
    end.take(reply.phy_payload, kind, 0)
    commands(worker, end, 40)
    assert [decode(each.data).kind for each in log.entries] == ["join", "up", "join", "up", "up"]
    again = end.rejoin(kind, 0)  # it counts anew in each session
    assert worker.hear(again, 50).reply is not None
    assert isinstance(worker.hear(end.rejoin(kind, 1), 60, kept=True).outcome, Join)
    assert worker.heard.reply is None  # nobody listens any more
    assert isinstance(worker.hear(again[:-1] + b"x", 70).outcome, Refusal)
    assert isinstance(worker.hear(again, 80).outcome, Refusal)


def test_settings_go_on_in_a_session_for_new_keys_and_from_a_box_to_a_fleet() -> None:
    log, end, device = MemoryLog(), RejoiningDevice(ROOT_11), otaa(ROOT_11)
    worker = OneWorker(log, [device], NETWORK)
    join(worker, end)
    worker = OneWorker(log, [device], OTHER_RX2)
    commands(worker, end, 10)
    commands(worker, end, 20, mac.RXParamSetupAns(True, True, True).to_bytes())
    (before,) = worker.joins(device).sessions
    reply = worker.hear(end.rejoin(2, 0), 30).reply
    assert reply is not None and rx2(worker) == (869_525_000, 9)  # it listens as in the session that it has
    assert [each.counters.told for each in worker.joins(device).sessions] == [before.counters.told] * 2
    assert before.counters.told
    end.take(reply.phy_payload, 2, 0)
    commands(worker, end, 40)
    joins = worker.join_state(device)
    counters = {session_key(each): 3 for each in worker.sessions(device)}
    told = {session_key(each): before.counters.told for each in worker.sessions(device)}
    states = inherited([device], counters, {join_key(device): joins}, 0, told)
    found = states[log_subject(device)].joins
    assert found is not None and found.sessions[-1].counters.told == before.counters.told


def test_requests_to_join_anew_go_where_the_log_of_their_device_is() -> None:
    end = RejoiningDevice(ROOT_11)
    worker = OneWorker(MemoryLog(), [otaa(ROOT_11)], NETWORK)
    request = end.request()
    join(worker, end)
    places = {
        address_of(Frame("gw1", WallUs(0), phy_payload, RX))
        for phy_payload in (request, end.rejoin(0, 0), end.rejoin(2, 5))
    }
    assert len(places) == 1
