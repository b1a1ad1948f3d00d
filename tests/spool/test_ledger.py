from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from lora_post.errors import SpoolError
from lora_post.model import Link, Reading
from lora_post.spool.ledger import Ledger, MemoryLedger, SpoolLedger
from lora_post.spool.queue import Queue
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from lora_post.spool.upkeep import drop_sink
from lora_post.uplink.heard_twice import REPEAT_WINDOW_US
from lora_post.uplink.model import Session, Uplink
from tests.support.build import KEYS, NOON_US, device, frame, lowcost_device, report
from tests.support.keeping import keep
from tests.support.lanes import ready_lanes

POND = device()
NODE = lowcost_device()


@pytest.fixture
def spool_file(tmp_path: Path) -> Iterator[SpoolFile]:
    spool_file = SpoolFile(tmp_path / "spool.db")
    yield spool_file
    spool_file.close()


def spool_ledger(spool_file: SpoolFile) -> SpoolLedger:
    return SpoolLedger(spool_file, [POND, NODE], QueueWriter(spool_file, ["waziup"], 1 << 30))


def accept(ledger: Ledger, fcnt: int) -> None:
    with ledger.group() as group:
        keep(group, report(Reading("t", fcnt), time_us=NOON_US + fcnt, of=POND), Session(POND, fcnt + 1))


def next_fcnt(ledger: Ledger) -> int:
    with ledger.group() as group:
        return group.find(Link.LORAWAN, POND.address)[0].next_fcnt


def clear_uplink(fcnt: int = 5, payload: bytes = b"\\!TC/1", time_us: int = NOON_US) -> Uplink:
    return Uplink(frame(time_us=time_us), NODE, fcnt, None, payload, False)


def is_repeat(ledger: Ledger, uplink: Uplink) -> bool:
    with ledger.group() as group:
        return group.is_repeat(uplink, REPEAT_WINDOW_US)


def test_counter_and_readings_are_kept_together(spool_file: SpoolFile) -> None:
    accept(spool_ledger(spool_file), 41)
    assert next_fcnt(spool_ledger(spool_file)) == 42
    assert Queue(spool_file, "waziup").counts().queued == 1


def test_nothing_of_a_failed_group_is_kept(spool_file: SpoolFile) -> None:
    ledger = spool_ledger(spool_file)
    accept(ledger, 1)
    with pytest.raises(ZeroDivisionError), ledger.group() as group:
        keep(group, report(Reading("t", 2), of=POND), Session(POND, 3))
        assert not group.is_repeat(clear_uplink(), REPEAT_WINDOW_US)
        raise ZeroDivisionError
    assert next_fcnt(ledger) == 2
    assert Queue(spool_file, "waziup").counts().queued == 1
    assert not is_repeat(ledger, clear_uplink())


def test_new_sensor_of_a_failed_group_can_be_kept_later(spool_file: SpoolFile) -> None:
    ledger = spool_ledger(spool_file)
    spool_file.db.execute("PRAGMA max_page_count = 30")
    with pytest.raises(SpoolError, match="full"), ledger.group() as group:
        keep(group, report(Reading("new", "x" * 100_000), of=POND), Session(POND, 3))
    spool_file.db.execute("PRAGMA max_page_count = 1000")
    with ledger.group() as group:
        keep(group, report(Reading("new", 1), of=POND), Session(POND, 3))
    (ready,) = ready_lanes(Queue(spool_file, "waziup"))
    assert ready.name == "new"


def test_reading_never_goes_to_the_sensor_that_got_the_number_of_a_dropped_one(spool_file: SpoolFile) -> None:
    """A sink is dropped while a run that still has it goes on."""
    ledger = SpoolLedger(spool_file, [POND, NODE], QueueWriter(spool_file, ["waziup", "mqtt"], 1 << 30))
    with ledger.group() as group:
        keep(group, report(Reading("t", 1), time_us=NOON_US, of=POND), Session(POND, 1))
    with closing(SpoolFile(spool_file.path)) as other:
        drop_sink(other, "mqtt")
    for fcnt, reading in ((1, Reading("humidity", 55)), (2, Reading("t", 2))):
        with ledger.group() as group:
            keep(group, report(reading, time_us=NOON_US + fcnt, of=POND), Session(POND, fcnt + 1))
    rows = spool_file.rows(
        "SELECT sink, name, value FROM reading JOIN lane ON lane.id = lane ORDER BY sink, name, value"
    )
    sent = [("humidity", b"55"), ("t", b"2")]
    assert rows == [
        *(("mqtt", *each) for each in sent),
        *(("waziup", *each) for each in [sent[0], ("t", b"1"), sent[1]]),
    ]


def test_counter_that_another_process_advanced_is_seen(spool_file: SpoolFile, tmp_path: Path) -> None:
    one = spool_ledger(spool_file)
    accept(one, 1)
    other_store = SpoolFile(tmp_path / "spool.db")
    accept(spool_ledger(other_store), 7)
    other_store.close()
    assert next_fcnt(one) == 8


def test_device_with_new_keys_starts_a_new_counter(spool_file: SpoolFile) -> None:
    accept(spool_ledger(spool_file), 41)
    fresh = msgspec.structs.replace(POND, keys=type(KEYS)(bytes(16), bytes(16)))
    ledger = SpoolLedger(spool_file, [fresh], QueueWriter(spool_file, ["waziup"], 1 << 30))
    assert next_fcnt(ledger) == 0
    renamed = msgspec.structs.replace(POND, id="other")
    assert next_fcnt(SpoolLedger(spool_file, [renamed], QueueWriter(spool_file, ["waziup"], 1 << 30))) == 42


@pytest.mark.parametrize("kind", ["spool", "memory"])
@pytest.mark.parametrize(
    ("second", "repeat"),
    [
        (clear_uplink(), True),
        (clear_uplink(time_us=NOON_US + REPEAT_WINDOW_US), True),
        (clear_uplink(time_us=NOON_US - REPEAT_WINDOW_US), True),
        (clear_uplink(time_us=NOON_US + REPEAT_WINDOW_US + 1), False),
        (clear_uplink(fcnt=6), False),
        (clear_uplink(payload=b"\\!TC/2"), False),
    ],
)
def test_frame_without_mic_is_taken_once(kind: str, second: Uplink, repeat: bool, spool_file: SpoolFile) -> None:
    ledger: Ledger = spool_ledger(spool_file) if kind == "spool" else MemoryLedger([POND, NODE])
    assert not is_repeat(ledger, clear_uplink())
    assert is_repeat(ledger, second) is repeat


def test_capture_fed_again_after_a_restart_is_recognised(spool_file: SpoolFile) -> None:
    times = [NOON_US + n * 600_000_000 for n in range(5)]
    first = spool_ledger(spool_file)
    assert [is_repeat(first, clear_uplink(time_us=time)) for time in times] == [False] * 5
    again = spool_ledger(spool_file)
    assert [is_repeat(again, clear_uplink(time_us=time)) for time in times] == [True] * 5


def test_memory_of_clear_frames_is_bounded(spool_file: SpoolFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lora_post.spool.heard.KEEP_HEARD", 2000)
    ledger = spool_ledger(spool_file)
    with ledger.group() as group:
        for n in range(5000):
            assert not group.is_repeat(clear_uplink(payload=b"%d" % n), REPEAT_WINDOW_US)
    (kept,) = spool_file.db.execute("SELECT count(*) FROM heard").fetchone()
    assert 2000 <= kept < 3001
