"""The benches that ask a server still run, with and without TLS; what they measure is not judged here."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.command import PATIENCE_S
from tests.support.paths import ROOT


@pytest.mark.long  # of a tool; its parts are tested where they belong
@pytest.mark.parametrize(
    ("words", "last"),
    [(("upload", "--only", "cost"), "TLS: backlog: "), (("waziup_mqtt",), "MQTT, a connection for each uplink: ")],
    ids=["http", "mqtt"],
)
def test_bench_of_uploads_runs_to_its_last_line(words: tuple[str, ...], last: str) -> None:
    command = (sys.executable, "-m", "tests.bench", *words)
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=4 * PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith(last)
