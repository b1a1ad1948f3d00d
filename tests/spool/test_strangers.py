"""The last frames of strangers are kept: bounded whoever sends, with few writes, and never at the cost of a reading."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from lora_post.errors import BadMIC, StaleFCnt, UnknownDevice
from lora_post.metrics import Metrics
from lora_post.model import Frame, Reading
from lora_post.run.pipeline import Pipeline
from lora_post.spool import strangers
from lora_post.spool.ledger import SpoolLedger
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from lora_post.spool.strangers import KEEP_FRAMES, MAX_SENDERS, REFRESH_S, WRITE_EVERY_S, StrangerBook
from lora_post.uplink.model import Refusal, Report, Uplink
from lora_post.uplink.senders import claimed_sender
from lora_post.uplink.unlock import seal_lorawan
from tests.support.build import KEYS, NOON_US, device, frame

POND = device()


@pytest.fixture
def spool_file(tmp_path: Path) -> Iterator[SpoolFile]:
    with closing(SpoolFile(tmp_path / "spool.db")) as found:
        yield found


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def refused(address: int, fcnt: int = 1, check: str = UnknownDevice.check) -> Refusal:
    sent = seal_lorawan(KEYS, address, fcnt, 2, b"\x00\x67\x00\xe1")
    return Refusal(replace(frame(sent, NOON_US + fcnt), gateway="gw1"), check, "")


def heard(book: StrangerBook, spool_file: SpoolFile, *refusals: Refusal, is_writing: bool = False) -> None:
    with spool_file.transaction() as db:
        book.hear(refusals)
        book.save(db, is_writing=is_writing)


def test_last_frames_of_a_sender_are_kept_whole(spool_file: SpoolFile) -> None:
    clock = Clock()
    book = StrangerBook(clock)
    for fcnt in range(10):
        heard(book, spool_file, refused(0x26011F00, fcnt), is_writing=True)
        clock.now += REFRESH_S
    heard(book, spool_file, refused(0x26011F01, check=BadMIC.check), is_writing=True)
    other, first = strangers.load(spool_file)
    assert (other.sender, other.heard, other.check) == ("26011f01", 1, "mic")
    assert (first.sender, first.heard, first.check) == ("26011f00", 10, "unknown-device")
    assert first.frames == tuple(refused(0x26011F00, fcnt).frame for fcnt in range(10 - KEEP_FRAMES, 10))


def test_refusals_that_another_configuration_would_not_end_are_left_out(spool_file: SpoolFile) -> None:
    heard(StrangerBook(), spool_file, refused(1, check=StaleFCnt.check), Refusal(frame(b"\xff"), "frame", ""))
    assert strangers.load(spool_file) == []


def changes(spool_file: SpoolFile) -> int:
    return spool_file.db.total_changes


def test_writes_are_few(spool_file: SpoolFile) -> None:
    """The first frame at once, more of them once a minute or with other writes, of a known sender once an hour."""
    clock = Clock()
    book = StrangerBook(clock)
    heard(book, spool_file, refused(5, 0))
    assert len(strangers.load(spool_file)) == 1
    before = changes(spool_file)
    for fcnt in range(1, 20):
        heard(book, spool_file, refused(5, fcnt), refused(6, fcnt))
    assert changes(spool_file) == before
    clock.now += WRITE_EVERY_S
    heard(book, spool_file, refused(5, 20))
    assert {each.sender: len(each.frames) for each in strangers.load(spool_file)} == {
        "00000005": KEEP_FRAMES,
        "00000006": KEEP_FRAMES,
    }
    before = changes(spool_file)
    for fcnt in range(21, 40):
        heard(book, spool_file, refused(5, fcnt), is_writing=True)
    assert changes(spool_file) == before
    clock.now += REFRESH_S
    heard(book, spool_file, refused(5, 40), is_writing=True)
    newest = next(each for each in strangers.load(spool_file) if each.sender == "00000005")
    assert (newest.heard, newest.last) == (41, refused(5, 40).frame)


def test_flood_of_invented_addresses_is_bounded_and_does_not_push_out_who_is_heard_again(
    spool_file: SpoolFile,
) -> None:
    book = StrangerBook()
    for fcnt in range(3):
        heard(book, spool_file, refused(0xAAAA, fcnt), is_writing=True)
    for address in range(1, 2000, 10):
        heard(book, spool_file, *map(refused, range(address, address + 10)), is_writing=True)
    kept = strangers.load(spool_file)
    assert len(kept) <= MAX_SENDERS
    assert "0000aaaa" in {each.sender for each in kept}
    assert sum(len(each.frames) for each in kept) <= MAX_SENDERS * KEEP_FRAMES


def test_flood_between_two_writes_is_bounded_in_memory(spool_file: SpoolFile) -> None:
    book = StrangerBook()
    heard(book, spool_file, refused(1), is_writing=True)
    tracemalloc.start()
    try:
        after = []
        for addresses in (range(500), range(500, 2500)):
            for address in addresses:
                heard(book, spool_file, refused(address))
            after.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert after[1] - after[0] < 100_000


def test_what_a_run_kept_goes_on_in_the_next_one(spool_file: SpoolFile) -> None:
    heard(StrangerBook(), spool_file, *(refused(5, fcnt) for fcnt in range(3)), is_writing=True)
    book = StrangerBook()
    with spool_file.transaction() as db:
        book.load(db)
    heard(book, spool_file, refused(5, 3), is_writing=True)
    (kept,) = strangers.load(spool_file)
    assert (kept.heard, len(kept.frames)) == (4, 4)


def ledger(spool_file: SpoolFile, max_bytes: int = 1 << 30, *, keep: bool = True) -> SpoolLedger:
    writer = QueueWriter(spool_file, ["waziup"], max_bytes)
    return SpoolLedger(spool_file, [POND], writer, keep_strangers=keep)


def decode(uplink: Uplink) -> Report:
    return Report(uplink, (Reading("count", uplink.fcnt),))


def handle(spool_ledger: SpoolLedger, *frames: Frame) -> None:
    Pipeline(spool_ledger, decode, Metrics(), lambda outcome: None).handle(frames)


def stranger_frame(address: int = 0x26011F00) -> Frame:
    return refused(address).frame


def test_pipeline_keeps_strangers_unless_told_not_to(spool_file: SpoolFile) -> None:
    handle(ledger(spool_file, keep=False), stranger_frame())
    assert strangers.load(spool_file) == []
    handle(ledger(spool_file), stranger_frame())
    assert [each.sender for each in strangers.load(spool_file)] == ["26011f00"]


def test_full_spool_gives_up_strangers_before_readings(spool_file: SpoolFile) -> None:
    small = ledger(spool_file, max_bytes=120_000)
    handle(small, stranger_frame())
    assert strangers.load(spool_file)
    for start in range(1, 8_000, 200):
        sealed = [seal_lorawan(KEYS, POND.address or 0, fcnt, 2, b"\1") for fcnt in range(start, start + 200)]
        handle(small, *(frame(each, NOON_US + start + number) for number, each in enumerate(sealed)))
    assert strangers.load(spool_file) == []


@given(phy_payload=st.binary(max_size=255))
def test_any_bytes_have_a_sender_or_none(phy_payload: bytes) -> None:
    assert len(claimed_sender(frame(phy_payload))) <= 16


def test_damaged_row_costs_itself(spool_file: SpoolFile) -> None:
    heard(StrangerBook(), spool_file, refused(5), refused(6), is_writing=True)
    with spool_file.transaction() as db:
        db.execute("UPDATE stranger SET rx = x'ff' WHERE sender = '00000005'")
    assert [each.sender for each in strangers.load(spool_file)] == ["00000006"]
