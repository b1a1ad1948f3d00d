"""The command: a progress bar, one line, exit code 1 when anything was wrong."""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from tests.answered.processes import Chaos, run_processes
from tests.answered.run import Summary, run

SHOWN = 40
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""A week has 70,000 commits; what they survive is tested elsewhere."""


def main() -> None:
    options = argparse.ArgumentParser(description="Days of devices that join and are answered; see tests/answered.")
    options.add_argument("--devices", type=int, default=100)
    options.add_argument("--days", type=float, default=7)
    options.add_argument("--loss", type=float, default=0.1, help="share of frames that are lost, both ways")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--kills", type=int, default=0, help="have the command answer, and kill it so often")
    options.add_argument("--region", default="US915", help="with --kills")
    chosen = options.parse_args()
    logging.getLogger("lora_post").addHandler(logging.NullHandler())
    with Progress(console=Console(stderr=True)) as bar, tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        task = bar.add_task("answered", total=1.0)

        def progress(share: float) -> None:
            bar.update(task, completed=share)

        where, devices, loss, seed = Path(folder), chosen.devices, chosen.loss, chosen.seed
        summary: Summary | Chaos
        if chosen.kills:
            summary = run_processes(where, devices, chosen.kills, loss, seed, progress, chosen.region)
        else:
            summary = run(where, devices, chosen.days, loss, seed, progress)
    print(summary.line)
    for text in summary.wrong[:SHOWN]:
        print(" ", text)
    sys.exit(1 if summary.wrong else 0)


if __name__ == "__main__":
    main()
