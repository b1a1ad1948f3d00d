from __future__ import annotations

from pathlib import Path

import pytest

from lora_post.fleet.log.entry import FIRST, Accepted, Down, Entry, ReadingRow, State
from lora_post.model import Frame, RxInfo
from lora_post.times import WallUs
from tests.fleet.bad_days import bad_days, disorder, downs_of, twice


@pytest.mark.long
def test_nothing_is_lost_doubled_or_disordered_by_kills_and_cuts(tmp_path: Path) -> None:
    """A taste of `python -m tests.fleet`, with one server; longer ones have three, and kill those too."""
    verdict = bad_days(tmp_path, 3.0, 3, 20.0, servers=1)
    assert verdict.is_right, verdict.line
    assert verdict.uplinks and verdict.fcntdowns and sum(verdict.counts.values())


def test_verdict_sees_what_is_wrong() -> None:
    def entry(device: str, fcnt: int, down: int) -> Entry:
        up = Accepted(device, Frame("g", WallUs(0), b"", RxInfo()), fcnt)
        return Entry("a", FIRST, 1, State(), up=up, down=Down(down, fcnt.to_bytes()))

    assert twice(downs_of([entry("d0", 0, 1), entry("d0", 0, 1), entry("d0", 1, 2), entry("d1", 1, 1)])) == 0
    assert twice(downs_of([entry("d0", 0, 1), entry("d0", 1, 1)])) == 1
    assert disorder([("d0", 1), ("d0", 2)], []) == []

    def read(count: int, time_us: int) -> Entry:
        up = Accepted("d0", Frame("g", WallUs(time_us), b"", RxInfo()), count, readings=(ReadingRow("t", count / 100),))
        return Entry("a", FIRST, 1, State(), up=up)

    arrived = [("d0", 2), ("d0", 1)]
    assert len(disorder(arrived, [read(1, 5), read(2, 6)])) == 1
    assert disorder(arrived, [read(2, 6), read(1, 5)]) == [], "late"
    assert disorder(arrived, [read(1, 7), read(2, 6)]) == [], "its gateway stood still"
