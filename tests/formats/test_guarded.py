"""The boundary round parsers: bursts are read as a whole, and a defect costs its own line."""

from __future__ import annotations

from datetime import UTC
from functools import partial
from typing import Any

import pytest

from lora_post.formats import FORMATS
from lora_post.formats.guarded import BURST, GuardedParser
from lora_post.formats.lowcost_gw import LowcostParser
from lora_post.model import Frame, Noise, NoiseReason
from tests.support.command import packet
from tests.support.parsers import FIXTURES, NOW_US, cut, events_of

BAD = b"\xde\xad\xbe\xef" * 3
GOOD = [bytes([number]) * 12 for number in range(40)]


class Fragile(LowcostParser):
    def _frame(self, payload: bytes, /, *more: Any) -> Frame:
        if payload == BAD:
            raise ZeroDivisionError
        return super()._frame(payload, *more)


@pytest.mark.parametrize("name", FORMATS)
def test_bursts_of_every_format_give_what_lines_give(name: str) -> None:
    fixtures = sorted(FIXTURES.glob(f"*.{name}")) or sorted(FIXTURES.glob("*.lowcost"))
    for fixture in fixtures:
        stream = fixture.read_bytes()
        stream += b"" if name in ("pcap", "capture") else stream * (BURST // len(stream))
        head = stream[: len(stream) // 3]
        assert (
            events_of(name, [stream])
            == events_of(name, [head, stream[len(head) :]])
            == events_of(name, cut(stream, 64))
        )


@pytest.mark.parametrize("bad_at", [0, 20, 39])
@pytest.mark.parametrize("split", [0, 1000, 3000])
def test_defect_inside_a_burst_costs_its_own_packet(bad_at: int, split: int) -> None:
    payloads = [*GOOD[:bad_at], BAD, *GOOD[bad_at:]]
    stream = b"".join(packet(payload, NOW_US) for payload in payloads)
    assert len(stream) - split >= BURST
    parser = GuardedParser(partial(Fragile, "gw1", UTC))
    events = [*parser.feed(stream[:split], NOW_US), *parser.feed(stream[split:], NOW_US), *parser.finish(NOW_US)]
    assert [event.phy_payload for event in events if isinstance(event, Frame)] == GOOD
    noise = [event for event in events if isinstance(event, Noise)]
    assert [event.reason for event in noise] == [NoiseReason.DEFECT]
    assert "ZeroDivisionError" in noise[0].detail
