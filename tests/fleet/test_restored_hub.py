"""A hub that was restored from a backup: frames are offered again, nothing is doubled, FCntDown goes on further."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from random import Random

import pytest

from lora_post.fleet.log.loss import JUMP
from lora_post.sandbox.server import running_sandbox
from tests.fleet.bad_days import GATEWAYS, Fleet, Radio, everything, fold_all, hub, rows, running, sent
from tests.support.command import PATIENCE_S, wait_until


@pytest.mark.long
def test_backup(tmp_path: Path) -> None:
    radio = Radio(Random(1), GATEWAYS)
    store, backup = tmp_path / "n0", tmp_path / "backup"

    def send(count: int) -> None:
        for _ in range(count):
            radio.send()
            time.sleep(0.02)
        wanted = sent(radio.count)
        wait_until(lambda: wanted <= set(rows(url)), "not all has arrived", PATIENCE_S)

    with running_sandbox() as url, running(tmp_path, radio, url, 1, Fleet) as fleet:
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
        send(24)
        time.sleep(3)  # for what arrives twice
        found = rows(url)
        with hub(nodes) as link:
            valid, _ = fold_all(everything(link))
    assert len(found) == len(set(found)) == 72
    jumps = [entry for entry in valid if entry.kind == "own"]
    assert jumps
    assert all(entry.epoch == 1 and entry.state.own.down >= JUMP for entry in jumps)
    assert {(entry.up.device, entry.up.fcnt % 256) for entry in valid if entry.up} == sent(radio.count)
