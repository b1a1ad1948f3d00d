from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path
from threading import Event

import pytest

from lora_post.decoding.choice import Decoding
from lora_post.decoding.loading import load_folder, shipped_folder
from lora_post.formats import FORMATS
from lora_post.inputs.byte_streams import open_file
from lora_post.inputs.stream import StreamInput
from lora_post.metrics import Metrics
from lora_post.model import Link
from lora_post.observed.signs import Signs
from lora_post.run.ingest import MAX_TOGETHER, pump
from lora_post.run.pipeline import Pipeline
from lora_post.spool.ledger import Group, SpoolLedger
from lora_post.spool.queue import Queue
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from lora_post.uplink.model import Report, Session
from lora_post.uplink.outcome import Outcome
from tests.support.build import lowcost_device

NODE = lowcost_device()


class PoisonedLedger(SpoolLedger):
    """A defect of our own that one address lays bare."""

    @contextmanager
    def group(self) -> Iterator[Group]:
        with super().group() as group:
            find = group.find

            def find_or_fail(link: Link, address: int) -> Sequence[Session]:
                if address == 66:
                    raise ZeroDivisionError
                return find(link, address)

            group.find = find_or_fail
            yield group


def packet(src: int, seq: int) -> bytes:
    return b"^p1,16,%d,%d,6,8,-45\n^r125,5,12\n\xff\xfe\\!TC/%d\n" % (src, seq, seq)


def test_frame_that_lays_a_defect_bare_costs_only_itself(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    capture = tmp_path / "capture.bin"
    capture.write_bytes(packet(6, 1) + packet(66, 2) + packet(6, 3))
    outcomes: list[Outcome] = []
    decode = Decoding([NODE], load_folder(shipped_folder()).decoders).decode
    store = SpoolFile(tmp_path / "spool.db")
    ledger = PoisonedLedger(store, [NODE], QueueWriter(store, ["waziup"], 1 << 30))
    pipeline = Pipeline(ledger, decode, Metrics(), outcomes.append)
    stream = open_file(capture)
    pump(StreamInput(stream, FORMATS["lowcost"]("gw1", UTC)), pipeline, Event(), Signs())
    stream.close()
    assert Queue(store, "waziup").counts().queued == 2
    store.close()
    assert [o.uplink.fcnt for o in outcomes if isinstance(o, Report)] == [1, 3]
    assert caplog.text.count("a defect") == 1


class MeasuredLedger(SpoolLedger):
    """Notes how many uplinks each transaction has."""

    def __init__(self, store: SpoolFile) -> None:
        super().__init__(store, [NODE], QueueWriter(store, ["waziup"], 1 << 30))
        self.sizes: list[int] = []

    @contextmanager
    def group(self) -> Iterator[Group]:
        with super().group() as group:
            yield group
            self.sizes.append(len(group.reports))


def test_flood_in_one_read_is_kept_in_parts_so_that_others_can_write(tmp_path: Path) -> None:
    capture = tmp_path / "capture.bin"
    lines = (b"^p1,16,6,%d,6,8,-45\n\xff\xfe\\!TC/%d\n" % (number // 4, number % 10) for number in range(1000))
    capture.write_bytes(b"".join(lines))
    decode = Decoding([NODE], load_folder(shipped_folder()).decoders).decode
    store = SpoolFile(tmp_path / "spool.db")
    ledger = MeasuredLedger(store)
    input_ = StreamInput(open_file(capture), FORMATS["lowcost"]("gw1", UTC))
    pump(input_, Pipeline(ledger, decode, Metrics(), lambda outcome: None), Event(), Signs())
    assert max(ledger.sizes) <= MAX_TOGETHER
    assert sum(ledger.sizes) == 1000
    store.close()
