"""The worker's thread, with a real hub."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from threading import Event, Thread

import pytest

from lora_post.config.fleet import FleetConfig, Role
from lora_post.decoding.choice import Decoding
from lora_post.fleet.hub.link import REQUEST_S, Link
from lora_post.fleet.hub.raw import Raw, hand_in
from lora_post.fleet.hub.subjects import address_of, raw_subject
from lora_post.fleet.judging.judge import Judge
from lora_post.fleet.log import hub_state
from lora_post.fleet.log.nats_log import NatsLog
from lora_post.fleet.log.streams import ensure_streams
from lora_post.fleet.worker.worker import Worker
from lora_post.metrics import Metrics
from lora_post.model import Device, Frame
from lora_post.model import Link as Kind
from lora_post.spool import log_places
from lora_post.spool.spool_file import SpoolFile
from lora_post.times import WallUs
from lora_post.uplink.model import Report
from lora_post.uplink.outcome import Outcome
from lora_post.uplink.unlock import seal_lorawan
from tests.support.command import PATIENCE_S, dev_addr, keys, wait_until
from tests.support.fleet_worker import RX, shipped
from tests.support.nats_servers import nats_servers

POND = Device("pond", "pond", Kind.LORAWAN, dev_addr(1), "cayenne-lpp", keys(1))


def hand(link: Link, fcnt: int) -> None:
    phy_payload = seal_lorawan(keys(1), dev_addr(1), fcnt, 2, bytes((1, 2)) + fcnt.to_bytes(2))
    frame = Frame("gw", WallUs(1_790_000_000_000_000 + fcnt), phy_payload, RX)
    part, address = address_of(frame)
    raw = Raw.of(frame, fcnt, "gw", kept=True, age_us=None)
    link.call(link.inbox.store(raw_subject(part, [address], "gw"), hand_in("s", [raw]), REQUEST_S))


@pytest.mark.long
def test_worker_whose_disk_takes_nothing_leaves_its_frames_to_others(tmp_path: Path) -> None:
    heard: list[Outcome] = []
    over = Event()
    with nats_servers(tmp_path) as nodes, closing(SpoolFile(tmp_path / "spool.db")) as spool_file:
        with closing(Link(FleetConfig(tuple(nodes.urls), frozenset({Role.WORKER}), replicas=1), "desk")) as link:
            assert link.wait(PATIENCE_S)
            ensure_streams(link, 1, may_make_log=True)
            judge = Judge([POND], Decoding([POND], shipped()).decode)
            worker = Worker(link, NatsLog(link), spool_file, judge, "desk", 1, Metrics(), heard.append, {})
            thread = Thread(target=worker.run, args=(over, lambda: None), daemon=True)
            thread.start()

            def sign() -> int:
                return max((each.position for each in hub_state.read_state(link, "worker.*")), default=0)

            try:
                hand(link, 0)
                wait_until(lambda: heard, "the first was not accepted")
                spool_file.db.execute("PRAGMA query_only = 1")
                wait_until(lambda: not worker.parts, "it goes on")
                said = sign()
                hand(link, 1)
                spool_file.db.execute("PRAGMA query_only = 0")
                wait_until(lambda: len(heard) == 2, "the second was not accepted")
                assert sign() > said
            finally:
                over.set()
                thread.join(PATIENCE_S)
        with spool_file.transaction() as db:
            assert log_places.knows_any(db)
    assert [outcome.uplink.fcnt for outcome in heard if isinstance(outcome, Report)] == [0, 1]
