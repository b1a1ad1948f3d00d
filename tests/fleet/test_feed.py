"""The uploader reads the log from where it may: after each reconnection it looks first whether it is the same log."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from lora_post.command import Moment
from lora_post.config.fleet import FleetConfig, Role
from lora_post.fleet.errands import Errands
from lora_post.fleet.errors import LogUnavailable
from lora_post.fleet.feed import Feed
from lora_post.fleet.link import Link as HubLink
from lora_post.fleet.log import Logged
from lora_post.fleet.streams import ensure_streams
from lora_post.fleet.turns import Turn
from lora_post.model import Device, Link
from lora_post.spool.ledger import SpoolLedger
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from lora_post.times import WallUs
from lora_post.uplink.model import Report
from lora_post.uplink.unlock import seal_lorawan
from tests.support.command import PATIENCE_S, dev_addr, keys
from tests.support.fleet_worker import OneWorker
from tests.support.memory_log import MemoryLog
from tests.support.nats_servers import nats_servers

POND = Device("pond", "pond", Link.LORAWAN, dev_addr(1), "cayenne-lpp", keys(1))


class AwayLog(MemoryLog):
    """A log whose hub does not answer for a while."""

    is_away = False

    def read(self, prefix: str, after: int) -> Sequence[Logged]:
        if self.is_away:
            raise LogUnavailable("the hub is choosing its leader")
        return super().read(prefix, after)


def hear(log: MemoryLog, fcnt: int) -> None:
    worker = OneWorker(log, [POND])
    worker.hear(seal_lorawan(keys(1), dev_addr(1), fcnt, 2, bytes((1, 2)) + fcnt.to_bytes(2)), fcnt)
    assert worker.entry is not None


def test_older_log_is_found_out_though_its_hub_does_not_answer_at_first(tmp_path: Path) -> None:
    log, told = AwayLog(), list[Report]()
    with (
        nats_servers(tmp_path) as nodes,
        closing(HubLink(FleetConfig(tuple(nodes.urls), frozenset({Role.UPLOADER}), replicas=1), "desk")) as link,
        closing(SpoolFile(tmp_path / "spool.db")) as spool_file,
    ):
        assert link.wait(PATIENCE_S)
        ensure_streams(link, 1, may_make_log=True)
        ledger = SpoolLedger(spool_file, [POND], QueueWriter(spool_file, ["waziup"], 1 << 30))
        find = {POND.id: POND}.get
        errands = Errands(link, spool_file, "0f1e", find, lambda: Moment(WallUs(0), "", 0))
        feed = Feed(link, log, ledger, spool_file, find, Turn("desk", "0f1e"), told.append, errands)
        feed.step()
        hear(log, 1)
        backup = list(log.entries)
        hear(log, 2)
        feed.step()
        log.entries = backup  # and another worker, which knows nothing of that, goes on
        hear(log, 3)
        link.reconnects += 1
        log.is_away = True
        with pytest.raises(LogUnavailable):
            feed.step()
        log.is_away = False
        feed.step()
    assert [report.uplink.fcnt for report in told] == [1, 2, 3]
