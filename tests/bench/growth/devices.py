"""What a start, a frame and a join cost with more and more devices."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Literal

from lora_post.config import load_config
from lora_post.errors import UnlockError
from lora_post.lorawan.session_keys import SessionKeys
from lora_post.model import Device, Frame, Reading
from lora_post.spool.facts import Facts
from lora_post.spool.ledger import SpoolLedger
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from lora_post.spool.trend_book import TrendBook
from lora_post.spool.trends import KEEP_S, MAX_ROWS, SHORT_S
from lora_post.uplink.model import Report, Session
from lora_post.uplink.sessions import SessionBook
from lora_post.uplink.shared_address import TRIES_PER_SECOND
from lora_post.uplink.unlock import seal_lorawan, unlock
from tests.bench.bench_config import write_site
from tests.bench.growth.cost import Cost, Prepare
from tests.bench.growth.site import FIRST_ADDRESS, PAYLOAD, SINK, STEP, Joins, Traffic, devices, joiners, running
from tests.support.build import NOON_US, frame, report

GROUP = 64
FORGED = 1_000
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
def _unlocking(of: Literal["known", "unknown"], folder: Path, size: int) -> Iterator[Prepare]:
    """Unlocking alone; nothing is kept, so that a frame can come again."""
    known = devices(size)
    book = SessionBook(known)
    if of == "known":
        frames = Traffic(known).frames(GROUP)
        yield lambda: (partial(_unlock_all, book, frames), len(frames))
    else:
        yield lambda: (partial(_refuse_all, book, [_strange(0x01020304)]), 1)


@contextmanager
def _sharing(is_first: bool, folder: Path, size: int) -> Iterator[Prepare]:
    """Devices of one DevAddr whose counters are the same. is_first: none was heard before; else each was, once."""
    of = devices(size, clash=True)
    book = SessionBook(of)
    if not is_first:
        for one in Traffic.turns(of):
            book.advance(Session(one, 1))
    frames = Traffic(of, first=0 if is_first else size).frames(GROUP)
    if not is_first:  # a frame comes again, and then its device is not the one heard longest ago: those before it are
        frames = frames[:1]
    yield lambda: (partial(_unlock_all, book, frames), len(frames))


@contextmanager
def _forging(folder: Path, size: int) -> Iterator[Prepare]:
    """What is forged within a second."""
    of = devices(size, clash=True)
    forged = [_strange(FIRST_ADDRESS)] * FORGED
    yield lambda: (partial(_refuse_all, SessionBook(of), forged), len(forged))


def _strange(address: int) -> Frame:
    return frame(seal_lorawan(STRANGER, address, 1, 2, PAYLOAD))


def _unlock_all(book: SessionBook, frames: Sequence[Frame]) -> None:
    for one in frames:
        unlock(one, book.find, book.joiners)


def _refuse_all(book: SessionBook, frames: Sequence[Frame]) -> None:
    for one in frames:
        with suppress(UnlockError):
            unlock(one, book.find, book.joiners)


@contextmanager
def _commit(folder: Path, size: int) -> Iterator[Prepare]:
    of = devices(size)
    with running(folder, of) as site:
        traffic = Traffic(of)
        for _ in range(0, size, GROUP):  # each has its lanes
            site.pipeline.handle(traffic.frames(GROUP))
        yield lambda: (partial(site.pipeline.handle, traffic.frames(GROUP)), GROUP)


@contextmanager
def _plots(folder: Path, size: int) -> Iterator[Prepare]:
    """Means for plots: a report of each device in each quarter of an hour, for more than a day before."""
    of, numbers = devices(size), count()
    book = TrendBook()

    def reports() -> list[Report]:
        return [_report(of, next(numbers)) for _ in range(GROUP)]

    with closing(SpoolFile(folder / "spool.db")) as spool_file:

        def work(heard: list[Report]) -> None:
            with spool_file.unsynced() as db:
                book.hear(heard)
                book.save(db)
            book.saved()

        for _ in range(0, min((KEEP_S[SHORT_S] // SHORT_S + 16) * size, MAX_ROWS + size), GROUP):
            work(reports())
        yield lambda: (partial(work, reports()), GROUP)


def _report(of: Sequence[Device], number: int) -> Report:
    time_us = NOON_US + number * SHORT_S * 1_000_000 // len(of)
    return report(Reading("t", 20.5), Reading("h", number), time_us=time_us, of=of[number * STEP % len(of)])


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
    Cost("unlock a known frame, by devices", partial(_unlocking, "known")),
    Cost("refuse an unknown DevAddr, by devices", partial(_unlocking, "unknown")),
    Cost("unlock a frame, by devices of one DevAddr", partial(_sharing, False)),
    Cost("the first frame of each there, ms of one", partial(_sharing, True), of_all=True, most=TRIES_PER_SECOND),
    Cost("refuse 1,000 forged a second, one DevAddr", _forging),
    Cost("frame to commit, in groups, by devices", _commit),
    Cost("means for plots, of a frame, by devices", _plots),
    Cost("frame after an upload's commit, by devices", _after_upload),
    Cost("join-request and join-accept, by devices", _join),
)
