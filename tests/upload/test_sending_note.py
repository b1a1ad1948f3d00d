"""When it is written down from when on readings may be under way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lora_post.spool.queue import LeftBehind, Queue
from lora_post.spool.spool_file import SpoolFile
from lora_post.times import WallUs
from lora_post.upload.policy import UploadPolicy
from lora_post.upload.sending_note import SendingNote
from tests.support.build import NOON_US

POLICY = UploadPolicy(note_every_s=10.0, note_every_readings=5)


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    store = SpoolFile(tmp_path / "spool.db")
    yield Queue(store, "waziup")
    store.close()


def test_nothing_is_written_down_before_the_first_request(queue: Queue) -> None:
    note = SendingNote(queue, POLICY)
    assert note.due(5, NOON_US) is None
    note.sending(NOON_US)
    note.sending(WallUs(NOON_US + 1))
    assert queue.mark_running() == LeftBehind(NOON_US)


def test_it_is_due_after_so_many_readings_or_so_long(queue: Queue) -> None:
    note = SendingNote(queue, POLICY)
    note.sending(NOON_US)
    soon, late = WallUs(NOON_US + 9_999_999), WallUs(NOON_US + 10_000_000)
    assert (note.due(4, soon), note.due(5, soon), note.due(1, late)) == (None, soon, late)
    note.settled(4, None)
    assert note.due(1, soon) == soon
    note.settled(1, soon)
    assert (note.due(4, WallUs(late)), note.due(5, late)) == (None, late)
