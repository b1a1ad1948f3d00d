"""What a person changes of a device in a fleet: it stands in the log, and every worker goes on from it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lora_post.config.fleet import FleetConfig, Role
from lora_post.downlink.network import Network
from lora_post.fleet.hub.link import Link as HubLink
from lora_post.fleet.hub.subjects import log_prefix, log_subject, part_of_log
from lora_post.fleet.log.by_hand import change_by_hand, last_view, with_down_counter, without_counter, without_nonces
from lora_post.fleet.log.entry import decode
from lora_post.fleet.log.nats_log import NatsLog
from lora_post.fleet.log.place import WORKER, Place
from lora_post.fleet.log.streams import ensure_streams
from lora_post.fleet.log.view import View
from lora_post.lorawan.phy_payload import MType, parse_data_frame
from lora_post.lorawan.region import load_region
from lora_post.model import Device, Link
from lora_post.spool.spool_file import SpoolFile
from lora_post.uplink.model import Refusal, Report
from lora_post.uplink.unlock import seal_lorawan
from tests.support.command import PATIENCE_S, dev_addr, keys, run
from tests.support.fleet_worker import OneWorker
from tests.support.forwarder import JoiningDevice
from tests.support.memory_log import MemoryLog
from tests.support.nats_servers import nats_servers
from tests.support.seal import ROOT_10

NETWORK = Network(load_region("EU868"), 0, 1)
FIXED = Device("tank", "tank", Link.LORAWAN, dev_addr(1), "cayenne-lpp", keys(1), rx_delay_s=1)
JOINING = Device("buoy", "buoy", Link.LORAWAN, None, "cayenne-lpp", root=ROOT_10)
WARM = b"\x01\x67\x00\xe1"


@pytest.fixture
def spool_file(tmp_path: Path) -> Iterator[SpoolFile]:
    with closing(SpoolFile(tmp_path / "spool.db")) as found:
        yield found


def uplink(fcnt: int) -> bytes:
    return seal_lorawan(keys(1), dev_addr(1), fcnt, 2, WARM, mtype=MType.CONFIRMED_UP)


def remember(worker: OneWorker, spool_file: SpoolFile, device: Device) -> None:
    """Write down how far a worker has read."""
    view, subject = worker.acceptance.view, log_subject(device)
    place = Place(WORKER, log_prefix(part_of_log(subject)))
    mine = View(log_prefix(part_of_log(subject)), view.position, view.anchor, {subject: view.fold(subject).last})  # type: ignore[dict-item]
    place.note_all(mine)
    with spool_file.transaction() as db:
        place.save(db, mine)


@pytest.mark.parametrize("has_read", [False, True])
def test_counter_is_forgotten_by_the_worker_that_runs(spool_file: SpoolFile, has_read: bool) -> None:
    log = MemoryLog()
    worker = OneWorker(log, [FIXED], NETWORK)
    assert not change_by_hand(log, last_view(log, spool_file, FIXED), FIXED, without_counter)
    for number in range(3):
        worker.hear(uplink(1000 + number), 10 * number)
    if has_read:
        remember(worker, spool_file, FIXED)
    worker.hear(uplink(1010), 40)
    assert isinstance(worker.hear(uplink(5), 5000).outcome, Refusal)
    assert change_by_hand(log, last_view(log, spool_file, FIXED), FIXED, without_counter)
    assert isinstance(worker.hear(uplink(5), 5010).outcome, Report)
    assert [decode(each.data).kind for each in log.entries][-2:] == ["set", "up"]


def test_downlinks_count_on_from_a_number_and_never_back(spool_file: SpoolFile) -> None:
    log = MemoryLog()
    worker = OneWorker(log, [FIXED], NETWORK)
    worker.hear(uplink(1), 0)
    for wanted, fcnt in ((5000, 5000), (10, 5001)):
        assert change_by_hand(log, last_view(log, spool_file, FIXED), FIXED, with_down_counter(wanted))
        reply = worker.hear(uplink(fcnt), fcnt).reply
        assert reply is not None and parse_data_frame(reply.phy_payload).fcnt16 == fcnt


def test_device_that_lost_its_memory_joins_with_a_nonce_that_it_has_used(spool_file: SpoolFile) -> None:
    log, end = MemoryLog(), JoiningDevice(ROOT_10)
    worker = OneWorker(log, [JOINING], NETWORK)
    assert not change_by_hand(log, last_view(log, spool_file, JOINING), JOINING, without_nonces)
    assert not change_by_hand(log, last_view(log, spool_file, JOINING), JOINING, without_counter)
    reply = worker.hear(end.request(), 0).reply
    assert reply is not None
    end.hear({"data": b64encode(reply.phy_payload), "ipol": True, "size": len(reply.phy_payload)})
    worker.hear(end.uplink(WARM), 10)
    again = JoiningDevice(ROOT_10)
    assert isinstance(worker.hear(again.request(), 100).outcome, Refusal)
    assert change_by_hand(log, last_view(log, spool_file, JOINING), JOINING, without_nonces)
    assert isinstance(worker.hear(end.uplink(WARM), 110).outcome, Report)  # its session goes on
    reply = worker.hear(JoiningDevice(ROOT_10).request(), 120).reply
    assert reply is not None


@pytest.mark.long
def test_commands_change_the_log_at_the_hub_and_a_gateway_says_who_can(tmp_path: Path) -> None:
    fixed = f'[[device]]\nid = "tank"\ndev_addr = "{dev_addr(1):08x}"\ndecoder = "cayenne-lpp"\n'
    fixed += f'nwk_skey = "{"01" * 16}"\napp_skey = "{"81" * 16}"\n'
    with nats_servers(tmp_path) as nodes:
        paths = {}
        for role in ("gateway", "worker"):
            path = paths[role] = tmp_path / f"{role}.toml"
            path.write_text(
                f'[gateway]\nid = "{role}"\n[spool]\npath = "{role}.db"\n[network]\nregion = "EU868"\n'
                f'[fleet]\nservers = ["{nodes.urls[0]}"]\nrole = "{role}"\nreplicas = 1\n{fixed}'
            )
            path.chmod(0o600)
            SpoolFile(tmp_path / f"{role}.db").close()
        fleet = FleetConfig(tuple(nodes.urls), frozenset({Role.WORKER}), replicas=1)
        with closing(HubLink(fleet, "look")) as link:
            assert link.wait(PATIENCE_S)
            ensure_streams(link, 1, may_make_log=True)
            log = NatsLog(link)
            worker = OneWorker(log, [FIXED], NETWORK)
            worker.hear(uplink(1000), 0)
            for words in (["spool", "reset-counter", "tank", "--yes"], ["downlink", "counter", "tank", "77"]):
                done = run(*words, "-c", str(paths["worker"]))
                assert done.returncode == 0, done
                refused = run(*words, "-c", str(paths["gateway"]))
                assert refused.returncode != 0 and b"do it on a worker, or on the uploader" in refused.stderr
            reply = worker.hear(uplink(5), 5000).reply
            assert reply is not None and parse_data_frame(reply.phy_payload).fcnt16 == 77
