"""Devices join through a fleet: one join whoever hears it, and nothing of it used twice."""

from __future__ import annotations

from base64 import b64encode

import msgspec
import pytest

from lora_post.downlink.network import Network
from lora_post.fleet.hub.subjects import log_subject, on_air_of, part_of
from lora_post.fleet.log.entry import Entry, decode
from lora_post.fleet.log.inheritance import inherited, moved
from lora_post.fleet.log.loss import JUMP, jump
from lora_post.lorawan.phy_payload import MType
from lora_post.lorawan.region import load_region
from lora_post.lorawan.root_keys import RootKeys
from lora_post.model import Device, Link
from lora_post.uplink.join_state import Join, JoinedSession, JoinState
from lora_post.uplink.joins import joined_device
from lora_post.uplink.model import Refusal, Report
from lora_post.uplink.sessions import downlink_key, join_key, session_key
from tests.support.fleet_worker import OneWorker
from tests.support.forwarder import JoiningDevice
from tests.support.memory_log import MemoryLog
from tests.support.seal import ROOT_10, ROOT_11, join_request

NETWORK = Network(load_region("EU868"), 0, 5)
WARM = bytes.fromhex("036700e1")
GW = ("gw1", "gw2", "gw3")


def otaa(root: RootKeys) -> Device:
    return Device("buoy", "buoy", Link.LORAWAN, None, "cayenne-lpp", root=root)


def joined(worker: OneWorker, end: JoiningDevice, at_s: float) -> None:
    """Let a device join."""
    worker.hear(end.request(), at_s, gateways=GW)
    reply = worker.heard.reply
    assert reply is not None and [way.gateway for way in reply.ways] == list(GW)
    assert [(each.name, each.tmst) for each in reply.ways[0].windows] == [
        ("RX1", round(at_s * 1e6) + 5_000_000),
        ("RX2", round(at_s * 1e6) + 6_000_000),
    ]
    end.hear({"data": b64encode(reply.phy_payload), "ipol": True, "size": len(reply.phy_payload)})


def entries(log: MemoryLog) -> list[Entry]:
    return [decode(each.data) for each in log.entries]


@pytest.mark.parametrize("root", [ROOT_10, ROOT_11], ids=["1.0", "1.1"])
def test_request_that_three_gateways_heard_is_one_join_and_its_uplinks_are_accepted(root: RootKeys) -> None:
    log, end = MemoryLog(), JoiningDevice(root)
    worker = OneWorker(log, [otaa(root)], NETWORK)
    joined(worker, end, 0)
    assert [entry.kind for entry in entries(log)] == ["join"]
    assert end.accept is not None and end.accept.rx_delay_s == 5
    assert part_of(on_air_of(end.accept.dev_addr)) == int(log.entries[0].subject.split(".")[1])
    worker = OneWorker(log, [otaa(root)], NETWORK)  # another one goes on
    for at_s in (10, 20):
        heard = worker.hear(end.uplink(WARM), at_s, gateways=GW)
        assert isinstance(heard.outcome, Report)
        assert [each.value for each in heard.outcome.readings] == [22.5]
    assert [entry.kind for entry in entries(log)] == ["join", "up", "up"]


def test_keys_do_not_stand_in_the_log() -> None:
    log, end = MemoryLog(), JoiningDevice(ROOT_10)
    worker = OneWorker(log, [otaa(ROOT_10)], NETWORK)
    joined(worker, end, 0)
    worker.hear(end.uplink(WARM), 10)
    assert end.keys is not None
    written = b"".join(each.data for each in log.entries)
    for key in (*end.keys.secrets, *ROOT_10.secrets):
        assert key.hex().encode() not in written.lower() and b64encode(key) not in written


def test_copy_repeat_and_replay_of_a_request() -> None:
    log, end = MemoryLog(), JoiningDevice(ROOT_10)
    worker = OneWorker(log, [otaa(ROOT_10)], NETWORK)
    joined(worker, end, 0)
    first = entries(log)[0].state.joins
    assert first is not None
    same = join_request(ROOT_10, end.dev_nonce)
    assert worker.hear(same, 1).reply is None  # a gateway that was slow
    assert isinstance(worker.heard.outcome, Join) and worker.heard.outcome.message == "copy"
    again = worker.hear(same, 12).reply
    assert again is not None and again.phy_payload == first.answer
    assert worker.hear(same, 50).reply is None
    assert isinstance(worker.heard.outcome, Refusal) and worker.heard.outcome.check == "join-replay"
    assert isinstance(worker.hear(same, 0, kept=True).outcome, Join)  # what a gateway had kept is no replay
    assert len(log.entries) == 1


def test_old_session_lives_until_the_first_uplink_of_the_new_one() -> None:
    log, end = MemoryLog(), JoiningDevice(ROOT_10)
    worker = OneWorker(log, [otaa(ROOT_10)], NETWORK)
    joined(worker, end, 0)
    worker.hear(end.uplink(WARM), 10)
    old = [end.uplink(WARM) for _ in range(3)]
    joined(worker, end, 100)
    assert isinstance(worker.hear(old[0], 110).outcome, Report)
    assert isinstance(worker.hear(end.uplink(WARM), 120).outcome, Report)
    assert isinstance(worker.hear(old[1], 115, kept=True).outcome, Report)  # one that a gateway had kept
    joined(worker, end, 200)
    worker.hear(end.uplink(WARM), 210)
    assert isinstance(worker.hear(old[2], 220).outcome, Refusal)


def test_late_request_is_noted_and_not_answered() -> None:
    log, end = MemoryLog(), JoiningDevice(ROOT_10)
    worker = OneWorker(log, [otaa(ROOT_10)], NETWORK)
    data = end.request()
    assert worker.hear(data, 0, kept=True).reply is None
    assert isinstance(worker.heard.outcome, Join) and "too late" in worker.heard.outcome.detail
    assert worker.hear(data, 300).reply is None
    assert isinstance(worker.heard.outcome, Refusal)


def test_two_workers_on_one_request_give_one_session() -> None:
    log, end = MemoryLog(), JoiningDevice(ROOT_10)
    workers = [OneWorker(log, [otaa(ROOT_10)], NETWORK) for _ in range(2)]
    data = end.request()
    answers = [reply.phy_payload for each in workers if (reply := each.hear(data, 0, gateways=GW).reply)]
    assert len(answers) == 1
    assert len(entries(log)) == 1


def test_confirmed_uplinks_of_a_session_are_acknowledged_with_its_own_counter() -> None:
    log, end = MemoryLog(), JoiningDevice(ROOT_10)
    worker = OneWorker(log, [otaa(ROOT_10)], NETWORK)
    for round_ in range(2):
        joined(worker, end, round_ * 100)
        for at_s in (10, 20):
            reply = worker.hear(end.uplink(WARM, confirmed=True), round_ * 100 + at_s).reply
            assert reply is not None
            assert end.commands(reply.phy_payload) == []
        assert end.fcnt_down == 1


def test_requests_of_strangers_and_with_a_wrong_key_are_refused() -> None:
    worker = OneWorker(MemoryLog(), [otaa(ROOT_10)], NETWORK)
    stranger = RootKeys(1, 2, bytes(16))
    assert isinstance(worker.hear(join_request(stranger, 1), 0).outcome, Refusal)
    wrong = RootKeys(ROOT_10.dev_eui, ROOT_10.join_eui, bytes(16))
    assert isinstance(worker.hear(join_request(wrong, 1), 0).outcome, Refusal)
    accept = bytes((MType.JOIN_ACCEPT << 5,)) + bytes(16)
    assert isinstance(worker.hear(accept, 0).outcome, Refusal)


def test_other_root_keys_forget_the_joins_before() -> None:
    log, end = MemoryLog(), JoiningDevice(ROOT_10)
    joined(OneWorker(log, [otaa(ROOT_10)], NETWORK), end, 0)
    changed = RootKeys(ROOT_10.dev_eui, ROOT_10.join_eui, bytes(range(16)))
    end = JoiningDevice(changed)
    worker = OneWorker(log, [otaa(changed)], NETWORK)
    joined(worker, end, 100)
    assert isinstance(worker.hear(end.uplink(WARM), 110).outcome, Report)


def test_join_that_the_log_has_lost_goes_on() -> None:
    log, end = MemoryLog(), JoiningDevice(ROOT_10)
    worker = OneWorker(log, [otaa(ROOT_10)], NETWORK)
    joined(worker, end, 0)
    first = end.uplink(WARM, confirmed=True)
    worker.hear(first, 10)
    remembered = entries(log)[-1]
    assert remembered.state.joins is not None
    log.entries.clear()
    after = jump(None, remembered, "j")
    log.append([(log_subject(otaa(ROOT_10)), msgspec.json.encode(after))])
    worker = OneWorker(log, [otaa(ROOT_10)], NETWORK)
    assert isinstance(worker.hear(join_request(ROOT_10, end.dev_nonce), 100).outcome, Refusal)
    assert isinstance(worker.hear(first, 10, kept=True).outcome, Report)  # the gateway offers it again
    reply = worker.hear(end.uplink(WARM, confirmed=True), 110).reply
    assert reply is not None
    end.commands(reply.phy_payload)
    assert end.fcnt_down > JUMP
    joined(worker, end, 200)
    assert end.join_nonce >= remembered.state.joins.join_nonce + JUMP


def test_box_that_has_become_a_worker_goes_on_with_its_sessions() -> None:
    device, keys = otaa(ROOT_10), ROOT_10.session_keys(700, 0, 3, opt_neg=False)
    session = JoinedSession(0x01234567, keys.secrets, 5)
    key = session_key(joined_device(device, session))
    state = JoinState((1, 3), (), 0, (session,), (session,), b"", 700)  # type: ignore[arg-type]
    states = inherited([device], {key: 40, downlink_key(key): 12}, {join_key(device): state}, 0)
    (found,) = states.values()
    assert found.joins is not None
    (given,) = found.joins.sessions
    assert (given.dev_nonce, given.join_nonce, given.counters.window.up, given.counters.down) == (3, 700, 40, 12)
    assert given.is_proved
    home = int(log_subject(device).split(".")[1])
    assert moved(states) == ({} if part_of(on_air_of(0x01234567)) == home else {"01234567": home})
    log = MemoryLog()
    for _ in range(2):  # what stands in the log already is not written again
        worker = OneWorker(log, [device], NETWORK, states)
    assert len(log.entries) == 1
    end = JoiningDevice(ROOT_10)
    end.dev_nonce, end.join_nonce = 3, 700
    assert isinstance(worker.hear(join_request(ROOT_10, 3), 0).outcome, Refusal)
    joined(worker, end, 10)


def test_device_that_is_added_later_joins_and_sessions_go_on_over_a_change_of_the_configuration() -> None:
    log, end = MemoryLog(), JoiningDevice(ROOT_10)
    worker = OneWorker(log, [], NETWORK)
    assert isinstance(worker.hear(end.request(), 0).outcome, Refusal)
    for at_s in (100, 200):
        worker.use([otaa(ROOT_10)])
        if at_s == 100:
            joined(worker, end, at_s)
        assert isinstance(worker.hear(end.uplink(WARM), at_s + 10).outcome, Report)


def test_address_that_nobody_has_is_refused_only_when_it_comes_again() -> None:
    """The server that shows the log may have lost its part in the cluster, and not know of the join yet."""
    log, end = MemoryLog(), JoiningDevice(ROOT_10)
    worker = OneWorker(log, [otaa(ROOT_10)], NETWORK)
    joined(worker, end, 0)
    hidden, log.entries = log.entries, []
    late = OneWorker(log, [otaa(ROOT_10)], NETWORK)
    data = end.uplink(WARM)
    first = late.copied(data, 10, deliveries=1)
    list(late.acceptance.accept([first]))
    assert first.is_doubted
    log.entries = hidden
    assert isinstance(late.hear(data, 10).outcome, Report)


def test_repeat_is_acknowledged_by_whoever_is_the_worker_and_a_recording_of_the_session_before_is_not() -> None:
    log, end = MemoryLog(), JoiningDevice(ROOT_10)
    worker = OneWorker(log, [otaa(ROOT_10)], NETWORK)
    joined(worker, end, 0)
    first, second = (end.uplink(WARM, confirmed=True) for _ in range(2))
    assert worker.hear(first, 10).reply
    other = OneWorker(log, [otaa(ROOT_10)], NETWORK)
    assert other.hear(second, 20).reply
    assert OneWorker(log, [otaa(ROOT_10)], NETWORK).hear(second, 30).reply
    joined(other, end, 100)
    other.hear(end.uplink(WARM), 110)
    assert other.hear(second, 120).reply is None
