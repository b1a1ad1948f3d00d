"""The command: a progress bar, a line of summary, exit code 1 when it shows a mistake."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from tests.chaos import run


def main() -> None:
    options = argparse.ArgumentParser(description="Delivery under faults and kills; see tests/chaos.")
    options.add_argument("--seconds", type=float, default=60, help="how long the bad days last")
    options.add_argument("--seed", type=int, default=0, help="which faults and kills")
    options.add_argument("--frames", type=float, default=100, help="frames a second, of two readings each")
    options.add_argument("--folder", type=Path, help="keep spool and log there; must not exist yet")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch, Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("bad days", total=1.0)

        def progress(share: float, text: str) -> None:
            bar.update(task, completed=min(share, 1.0), description=text)

        folder = chosen.folder or Path(scratch) / "site"
        folder.mkdir()
        summary = run.bad_days(folder, chosen.seconds, chosen.seed, chosen.frames, progress)
    print(summary.line)
    sys.exit(0 if summary.verdict.is_right else 1)


if __name__ == "__main__":
    main()
