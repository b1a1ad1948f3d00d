"""Hours of devices that join and are answered, with loss, restarts and commands; days by `python -m tests.answered`."""

from __future__ import annotations

from pathlib import Path

import pytest

from lora_post.command import Fate
from tests.answered.processes import run_processes
from tests.answered.run import run


def test_devices_of_three_regions_join_are_answered_and_get_their_commands(tmp_path: Path) -> None:
    summary = run(tmp_path, devices=9, days=0.25, loss=0.1, seed=4, progress=lambda share: None)
    assert summary.wrong == []
    assert summary.joins == 9 and summary.restarts > 1 and summary.uplinks > 200
    assert summary.obeyed > 9 and summary.status >= 9
    assert summary.fates[Fate.ACKNOWLEDGED] and summary.fates[Fate.SENT]


@pytest.mark.long
@pytest.mark.parametrize("region", ["US915", "AS923-1"])
def test_command_that_is_killed_at_any_moment_locks_no_device_out_and_uses_no_counter_twice(
    region: str, tmp_path: Path
) -> None:
    chaos = run_processes(tmp_path, devices=3, kills=8, loss=0.1, seed=5, progress=lambda share: None, region=region)
    assert chaos.wrong == [] and (chaos.twice, chaos.locked_out, chaos.without_fate) == (0, 0, 0)
    assert chaos.kills == 8 and chaos.joins >= 3 and chaos.commands >= 3
