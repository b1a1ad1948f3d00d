"""What a start, a frame and a join cost with more and more devices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Literal

from lora_post.config import load_config
from lora_post.errors import UnlockError
from lora_post.lorawan.session_keys import SessionKeys
from lora_post.spool.facts import Facts
from lora_post.spool.ledger import SpoolLedger
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from lora_post.uplink.sessions import SessionBook
from lora_post.uplink.unlock import seal_lorawan, unlock
from tests.bench.bench_config import write_site
from tests.bench.growth.cost import Cost, Prepare
from tests.bench.growth.site import FIRST_ADDRESS, PAYLOAD, SINK, Joins, Traffic, devices, joiners, running
from tests.support.build import frame

GROUP = 64
STRANGER = SessionKeys(b"\x55" * 16, b"\x55" * 16)


@contextmanager
def _configuration(folder: Path, size: int) -> Iterator[Prepare]:
    path = write_site(folder, size)
    yield lambda: (partial(load_config, path), 1)


@contextmanager
def _start(folder: Path, size: int) -> Iterator[Prepare]:
    """Until the first frame could be taken; every device has a counter in the spool."""
    of = devices(size)
    with running(folder, of) as site:
        site.pipeline.handle(Traffic(of).frames(size))

    def start() -> None:
        with closing(SpoolFile(folder / "spool.db")) as spool_file:
            ledger = SpoolLedger(spool_file, of, QueueWriter(spool_file, [SINK], 1 << 40))
            with ledger.group():
                pass

    yield lambda: (start, 1)


@contextmanager
def _unlocking(of: Literal["known", "unknown", "forged"], clash: bool, folder: Path, size: int) -> Iterator[Prepare]:
    """Unlocking alone; nothing is kept, so that a frame can come again."""
    known = devices(size, clash=clash)
    book = SessionBook(known)
    if of == "known":
        frames = Traffic(known).frames(GROUP)
    else:
        address = FIRST_ADDRESS if of == "forged" else 0x01020304
        frames = [frame(seal_lorawan(STRANGER, address, 1, 2, PAYLOAD))]

    def work() -> None:
        for one in frames:
            try:
                unlock(one, book.find, book.joiners)
            except UnlockError:
                assert of != "known"

    yield lambda: (work, len(frames))


@contextmanager
def _commit(folder: Path, size: int) -> Iterator[Prepare]:
    of = devices(size)
    with running(folder, of) as site:
        traffic = Traffic(of)
        for _ in range(0, size, GROUP):  # each has its lanes
            site.pipeline.handle(traffic.frames(GROUP))
        yield lambda: (partial(site.pipeline.handle, traffic.frames(GROUP)), GROUP)


@contextmanager
def _after_upload(folder: Path, size: int) -> Iterator[Prepare]:
    """The first frame after another connection has committed something."""
    of = devices(size)
    with running(folder, of) as site, closing(SpoolFile(folder / "spool.db")) as other:
        traffic, facts = Traffic(of), Facts(other, "bench")
        for _ in range(0, size, GROUP):
            site.pipeline.handle(traffic.frames(GROUP))

        def prepare() -> tuple[Callable[[], object], int]:
            frames = traffic.frames(1)
            facts.remember("at", str(traffic.now_us))
            return partial(site.pipeline.handle, frames), 1

        yield prepare


@contextmanager
def _join(folder: Path, size: int) -> Iterator[Prepare]:
    with running(folder, joiners(size)) as site:
        joins = Joins(size)
        yield lambda: (partial(site.pipeline.handle, joins.next_pair()), 1)


DEVICES = (
    Cost("load the configuration, by devices", _configuration, of_all=True),
    Cost("start with their counters, by devices", _start, of_all=True),
    Cost("unlock a known frame, by devices", partial(_unlocking, "known", False)),
    Cost("refuse an unknown DevAddr, by devices", partial(_unlocking, "unknown", False)),
    Cost("unlock a frame, by devices of one DevAddr", partial(_unlocking, "known", True)),
    Cost("refuse a forged one, by devices of one DevAddr", partial(_unlocking, "forged", True)),
    Cost("frame to commit, in groups, by devices", _commit),
    Cost("frame after an upload's commit, by devices", _after_upload),
    Cost("join-request and join-accept, by devices", _join),
)
