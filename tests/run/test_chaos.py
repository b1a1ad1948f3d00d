from __future__ import annotations

from pathlib import Path

from tests.chaos.run import bad_days
from tests.chaos.site import Row
from tests.chaos.verdict import Verdict, compare

A, B, C = Row(1, 1.0), Row(2, 2.0), Row(3, 3.0)
T = ("pond", "t")


def test_nothing_is_lost_doubled_or_disordered_by_faults_and_kills(tmp_path: Path) -> None:
    """A taste of `python -m tests.chaos`, which takes as long as one likes."""
    summary = bad_days(tmp_path, 2.5, 3, 50.0, lambda share, text: None)
    assert summary.verdict.is_right, summary.line
    assert summary.verdict.readings > 100
    assert summary.kills + summary.stops > 0


def test_verdict_sees_what_is_wrong() -> None:
    assert compare({T: [A, B, C]}, {T: [A, B, C]}) == Verdict(3, 0, 0, 0, 0)
    assert compare({T: [A, B, C]}, {T: [A, C]}) == Verdict(3, 1, 0, 0, 0)
    assert compare({T: [A, B]}, {}) == Verdict(2, 2, 0, 0, 0)
    assert compare({T: [A, B, C]}, {T: [A, B, B, B, C]}) == Verdict(3, 0, 2, 0, 0)
    assert compare({T: [A, B, C]}, {T: [B, A, C]}) == Verdict(3, 0, 0, 0, 1)
    assert compare({T: [A]}, {T: [A], ("pond", "u"): [B]}) == Verdict(1, 0, 0, 1, 0)
