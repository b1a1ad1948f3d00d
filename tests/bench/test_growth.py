"""The bench of growth still runs, for each of its costs; what it measures is not judged here."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.bench.bench_growth import COSTS
from tests.support.command import PATIENCE_S
from tests.support.paths import ROOT


@pytest.mark.long  # of a tool; its parts are tested where they belong
def test_bench_of_growth_measures_every_cost_and_lives_a_day() -> None:
    command = (sys.executable, "-m", "tests.bench", "growth", "--sizes", "3", "9", "--rounds", "1", "--day", "640")
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=4 * PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr
    assert all(cost.name in done.stdout for cost in COSTS)
    assert "8/8:" in done.stdout
