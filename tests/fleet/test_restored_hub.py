"""A hub that was restored from a backup: frames are offered again, nothing is doubled, FCntDown goes on further."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from random import Random

import pytest

from lora_post.fleet.log.loss import JUMP
from lora_post.sandbox.server import running_sandbox
from tests.fleet.bad_days import GATEWAYS, Fleet, Radio, everything, fold_all, hub, running, sent, settle_down


@pytest.mark.long
def test_backup(tmp_path: Path) -> None:
    radio = Radio(Random(1), GATEWAYS)
    store, backup, file = tmp_path / "n0", tmp_path / "backup", tmp_path / "sandbox.db"

    def send(count: int) -> list[tuple[str, int]]:
        for _ in range(count):
            radio.send()
            time.sleep(0.02)
        found = settle_down(url, file, sent(radio.count))
        assert sent(radio.count) <= set(found), "not all has arrived"
        return found

    with running_sandbox(file=file) as url, running(tmp_path, radio, url, 1, Fleet) as fleet:
        nodes = fleet.nodes
        send(24)
        nodes.kill(0)
        shutil.copytree(store, backup)
        nodes.start(0)
        send(24)
        nodes.kill(0)
        shutil.rmtree(store)
        backup.rename(store)
        nodes.start(0)
        found = send(24)
        with hub(nodes) as link:
            valid, _ = fold_all(everything(link))
    assert len(found) == len(set(found)) == 72
    jumps = [entry for entry in valid if entry.kind == "own"]
    assert jumps
    assert all(entry.epoch == 1 and entry.state.own.down >= JUMP for entry in jumps)
    assert {(entry.up.device, entry.up.fcnt % 256) for entry in valid if entry.up} == sent(radio.count)
