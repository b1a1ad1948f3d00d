from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.terminal.events import MAX_EVENT, EventReader, EventTooLong

STREAM = b': hello\n\ndata: {"v":1}\n\nevent: x\nid: 7\ndata:a\r\ndata: b\r\n\r\n\n\ndata\n\ndata: unfinished'
EVENTS = [b'{"v":1}', b"a\nb", b""]


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_any_cut_gives_the_same_events(cuts: list[int]) -> None:
    reader, at = EventReader(), [0, *sorted(cuts), len(STREAM)]
    found = [event for start, end in pairwise(at) for event in reader.feed(STREAM[start:end])]
    assert found == EVENTS


@given(st.binary())
def test_any_bytes_are_taken(data: bytes) -> None:
    EventReader().feed(data)


@pytest.mark.parametrize("chunk", [b"x" * 65536, b"data: " + b"x" * 1000 + b"\n"], ids=["line", "lines"])
def test_event_that_does_not_end_is_not_kept(chunk: bytes) -> None:
    reader = EventReader()
    with pytest.raises(EventTooLong):
        for _ in range(2 * MAX_EVENT // len(chunk)):
            reader.feed(chunk)
