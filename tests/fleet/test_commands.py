"""Commands through a fleet: queued once, sealed once, sent by the gateway that hears the device, and told of."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from lora_post.command import Command, Fate
from lora_post.downlink.network import Network
from lora_post.downlink.transmit import Transmission
from lora_post.fleet.judging.desk import Errand, Sent
from lora_post.fleet.judging.reply import Reply
from lora_post.fleet.judging.state_book import KEEP_DONE
from lora_post.fleet.log.entry import Entry, decode, encode
from lora_post.fleet.log.ownership import given_back
from lora_post.fleet.uploader.errands import decode_errand, encode_errand
from lora_post.lorawan.phy_payload import MType, parse_data_frame
from lora_post.lorawan.region import load_region
from lora_post.model import Device, DeviceClass, Link
from lora_post.uplink.unlock import seal_lorawan
from tests.support.command import dev_addr, keys
from tests.support.fleet_worker import OneWorker, S
from tests.support.memory_log import MemoryLog

NETWORK = Network(load_region("EU868"), 0, 1)
POND = Device("pond", "pond", Link.LORAWAN, dev_addr(1), "cayenne-lpp", keys(1))
VALVE = replace(POND, id="valve", address=dev_addr(2), keys=keys(2), device_class=DeviceClass.C)
LPP = bytes((1, 2, 0, 5))
ACK = 0x20


def uplink(number: int, fcnt: int, *, confirmed: bool = False, flags: int = 0) -> bytes:
    mtype = MType.CONFIRMED_UP if confirmed else MType.UNCONFIRMED_UP
    return seal_lorawan(keys(number), dev_addr(number), fcnt, 2, LPP, mtype=mtype, flags=flags)


def errand(worker: OneWorker, device: str, id_: int, **more: object) -> Errand:
    return Errand("desk", Command(device, 10, b"\x01\xff", worker.now(), id=id_, **more))  # type: ignore[arg-type]


def entries(log: MemoryLog) -> list[Entry]:
    return [decode(each.data) for each in log.entries]


def sent(reply: Reply | None, *, is_sent: bool | None = True, why: str = "") -> Sent:
    """What the gateway tells that was asked first."""
    assert reply is not None
    return Sent(reply.device, reply.command, Transmission(reply.ways[0].gateway, "RX1", is_sent, why))


def test_command_goes_after_an_uplink_and_its_fate_comes_back() -> None:
    log = MemoryLog()
    worker = OneWorker(log, [POND], NETWORK)
    given = decode_errand(encode_errand(errand(worker, "pond", 7)))
    for _ in range(2):  # handed in twice
        worker.do(given)
    assert [entry.kind for entry in entries(log)] == ["command"]
    worker = OneWorker(log, [POND], NETWORK)  # another one goes on
    reply = worker.hear(uplink(1, 0), 10, ("gw1", "gw2")).reply
    assert reply is not None
    assert (reply.command, [way.gateway for way in reply.ways]) == (7, ["gw1", "gw2"])
    data = parse_data_frame(reply.phy_payload)
    assert keys(1).crypt(dev_addr(1), 0, 1, 10, data.frm_payload) == b"\x01\xff"
    assert worker.entry is not None and worker.entry.down is not None
    assert (worker.entry.down.fcnt, worker.entry.down.phy_payload) == (0, reply.phy_payload)
    worker.do(sent(reply))
    (over,) = entries(log)[-1].commands
    assert (over.store, over.command.id, over.command.fate) == ("desk", 7, Fate.SENT)
    assert entries(log)[-1].state.waiting == ()
    worker.do(given)  # once more, after it is over
    assert entries(log)[-1].kind == "command" and len(log.entries) == 3
    assert worker.hear(uplink(1, 1), 20).reply is None


def test_confirmed_command_goes_again_with_the_same_bytes_until_it_is_acknowledged() -> None:
    log = MemoryLog()
    worker = OneWorker(log, [POND], NETWORK)
    worker.do(errand(worker, "pond", 1, is_confirmed=True))
    first = worker.hear(uplink(1, 0), 10).reply
    worker.do(sent(first))
    second = worker.hear(uplink(1, 1), 20).reply
    assert first is not None and second is not None
    assert first.phy_payload == second.phy_payload
    worker.do(sent(second))
    assert worker.hear(uplink(1, 2, flags=ACK), 30).reply is None
    assert [each.command.fate for each in entries(log)[-1].commands] == [Fate.ACKNOWLEDGED]
    assert {entry.down.fcnt: entry.down.phy_payload for entry in entries(log) if entry.down} == {0: first.phy_payload}


def test_command_that_no_gateway_could_send_goes_later() -> None:
    log = MemoryLog()
    worker = OneWorker(log, [POND], NETWORK)
    worker.do(errand(worker, "pond", 1))
    reply = worker.hear(uplink(1, 0), 10).reply
    worker.do(sent(reply, is_sent=False, why="gw1 cannot send"))
    (waiting,) = entries(log)[-1].state.waiting
    assert "gw1 cannot send" in waiting.command.steps[-1].text
    again = worker.hear(uplink(1, 1), 20).reply
    assert again is not None and again.command == 1


def test_late_cancelled_and_replaced_commands_are_over() -> None:
    log = MemoryLog()
    worker = OneWorker(log, [POND], NETWORK)
    given = errand(worker, "pond", 1)
    worker.do(given)
    worker.do(replace(given, is_cancelled=True))
    assert entries(log)[-1].commands[0].command.fate is Fate.CANCELLED
    worker.do(errand(worker, "pond", 2, life_s=60.0))
    assert worker.tick() == []
    worker.time_us += 61 * S  # type: ignore[assignment]
    worker.tick()
    assert entries(log)[-1].commands[0].command.fate is Fate.EXPIRED
    for id_ in (3, 4):
        worker.do(errand(worker, "pond", id_, actuator="valve"))
    assert [each.command.id for each in entries(log)[-1].state.waiting] == [4]
    told = [(each.device, each.row.name, each.row.value) for each in entries(log)[-1].told]
    assert told == [("pond", "valve_state", "cancelled")]


def test_device_that_listens_always_gets_it_at_once_by_the_gateway_that_heard_it_last() -> None:
    log = MemoryLog()
    worker = OneWorker(log, [VALVE], NETWORK)
    worker.do(errand(worker, "valve", 1))
    worker.hear(uplink(2, 0), 0, ("gw2",))
    assert worker.heard.reply is not None  # that is the first way
    worker.do(sent(worker.heard.reply))
    worker.do(errand(worker, "valve", 2))
    assert worker.tick() == []  # it may be in the windows of its uplink
    reached = worker.judge._desk._server.class_c  # type: ignore[union-attr]
    reached._monotonic = lambda: 1e9
    (chore,) = worker.tick()
    assert chore.reply is not None
    assert (chore.reply.command, chore.reply.ways[0].gateway) == (2, "gw2")
    assert [(each.name, each.tmst) for each in chore.reply.ways[0].windows] == [("RX2, class C", None)]
    assert [entry.down.fcnt for entry in entries(log) if entry.down] == [0, 1]


def test_nothing_is_sent_for_a_device_that_another_decides_about_since_it_was_sealed() -> None:
    log = MemoryLog()
    worker = OneWorker(log, [replace(VALVE, home="north")], NETWORK)
    worker.hear(uplink(2, 0), 0, ("gw2",))
    worker.do(errand(worker, "valve", 1))
    worker.judge._desk._server.class_c._monotonic = lambda: 1e9  # type: ignore[union-attr]
    append = log.append

    def second(given: Sequence[tuple[str, bytes]]) -> Sequence[int | None]:
        log.append = append  # type: ignore[method-assign]
        last = decode(log.entries[-1].data)
        log.append([(log.entries[-1].subject, encode(given_back(last, [], "north", "")))])
        return log.append(given)

    log.append = second  # type: ignore[method-assign]
    (chore,) = worker.tick()
    assert entries(log)[-1].down is not None  # it is void
    assert chore.reply is None


def test_confirmed_uplink_that_is_repeated_is_answered_again_with_another_counter() -> None:
    log = MemoryLog()
    worker = OneWorker(log, [POND], NETWORK)
    data = uplink(1, 0, confirmed=True)
    replies = [worker.hear(data, at_s).reply for at_s in (0, 0.5, 4)]
    assert [reply is not None for reply in replies] == [True, False, True]  # the second one is a copy
    assert [entry.down.fcnt for entry in entries(log) if entry.down] == [0, 1]


def test_confirmed_uplink_that_is_repeated_is_answered_by_the_worker_that_took_over() -> None:
    log = MemoryLog()
    data = uplink(1, 0, confirmed=True)
    assert OneWorker(log, [POND], NETWORK).hear(data, 0).reply is not None
    assert OneWorker(log, [POND], NETWORK).hear(data, 4).reply is not None
    assert [entry.down.fcnt for entry in entries(log) if entry.down] == [0, 1]


def test_what_was_done_is_remembered_within_bounds() -> None:
    log = MemoryLog()
    worker = OneWorker(log, [POND], NETWORK)
    for id_ in range(1, KEEP_DONE + 10):
        given = errand(worker, "pond", id_)
        worker.do(given)
        worker.do(replace(given, is_cancelled=True))
    assert len(entries(log)[-1].state.done) == KEEP_DONE


def test_command_of_a_device_that_is_not_configured_changes_nothing() -> None:
    log = MemoryLog()
    worker = OneWorker(log, [POND], NETWORK)
    worker.do(errand(worker, "nobody", 1))
    assert log.entries == []
