"""Hours of devices that join and are answered, with loss, restarts and commands; days by `python -m tests.answered`."""

from __future__ import annotations

from pathlib import Path

from lora_post.command import Fate
from tests.answered.run import run


def test_devices_of_three_regions_join_are_answered_and_get_their_commands(tmp_path: Path) -> None:
    summary = run(tmp_path, devices=9, days=0.25, loss=0.1, seed=4, progress=lambda share: None)
    assert summary.wrong == []
    assert summary.joins == 9 and summary.restarts > 1 and summary.uplinks > 200
    assert summary.obeyed > 9 and summary.status >= 9
    assert summary.fates[Fate.ACKNOWLEDGED] and summary.fates[Fate.SENT]
