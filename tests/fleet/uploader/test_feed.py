"""The uploader reads the log into its queue, each reading once: over reconnections to an older log, and a full disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from lora_post.command import Moment
from lora_post.config.fleet import FleetConfig, Role
from lora_post.errors import SpoolError
from lora_post.fleet.errors import LogUnavailable
from lora_post.fleet.hub.link import Link as HubLink
from lora_post.fleet.log.log import Logged
from lora_post.fleet.log.streams import ensure_streams
from lora_post.fleet.uploader.errands import Errands
from lora_post.fleet.uploader.feed import Feed
from lora_post.fleet.uploader.turns import Turn
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


def hear(log: MemoryLog, *fcnts: int) -> None:
    worker = OneWorker(log, [POND])
    for fcnt in fcnts:
        worker.hear(seal_lorawan(keys(1), dev_addr(1), fcnt, 2, bytes((1, 2)) + fcnt.to_bytes(2)), fcnt)
        assert worker.entry is not None


@pytest.fixture(scope="module")
def link(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubLink]:
    with (
        nats_servers(tmp_path_factory.mktemp("hub")) as nodes,
        closing(HubLink(FleetConfig(tuple(nodes.urls), frozenset({Role.UPLOADER}), replicas=1), "desk")) as link,
    ):
        assert link.wait(PATIENCE_S)
        ensure_streams(link, 1, may_make_log=True)
        yield link


class Uploader:
    """The uploader's part that reads. told: FCnts of uplinks that it has queued."""

    def __init__(self, link: HubLink, folder: Path) -> None:
        self.log, self.told = AwayLog(), list[int]()
        self.spool_file = SpoolFile(folder / "spool.db")
        ledger = SpoolLedger(self.spool_file, [POND], QueueWriter(self.spool_file, ["waziup"], 1 << 30))
        find = {POND.id: POND}.get
        errands = Errands(link, self.spool_file, "0f1e", find, lambda: Moment(WallUs(0), "", 0))
        me = Turn("desk", "0f1e")
        self.feed = Feed(link, self.log, ledger, self.spool_file, find, me, self._tell, errands)
        self.feed.step()

    def _tell(self, report: Report) -> None:
        self.told.append(report.uplink.fcnt)


@pytest.fixture
def uploader(link: HubLink, tmp_path: Path) -> Iterator[Uploader]:
    found = Uploader(link, tmp_path)
    yield found
    found.spool_file.close()


def test_older_log_is_found_out_though_its_hub_does_not_answer_at_first(uploader: Uploader, link: HubLink) -> None:
    log = uploader.log
    hear(log, 1)
    backup = list(log.entries)
    hear(log, 2)
    uploader.feed.step()
    log.entries = backup  # and another worker, which knows nothing of that, goes on
    hear(log, 3)
    link.reconnects += 1
    log.is_away = True
    with pytest.raises(LogUnavailable):
        uploader.feed.step()
    log.is_away = False
    uploader.feed.step()
    assert uploader.told == [1, 2, 3]


def test_full_disk_costs_no_reading(uploader: Uploader) -> None:
    db = uploader.spool_file.db
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    db.execute(f"PRAGMA max_page_count = {pages}")
    hear(uploader.log, *range(1, 400))
    for _ in range(3):
        with pytest.raises(SpoolError):
            uploader.feed.step()
    assert uploader.told == []
    db.execute("PRAGMA max_page_count = 1000000")
    uploader.feed.step()
    assert uploader.told == list(range(1, 400))
