"""The command: a progress bar, a line of summary for each week, exit code 1 when anything was wrong."""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from rich.console import Console
from rich.progress import Progress

from tests.week.plan import whole_week
from tests.week.run import week


def main() -> None:
    options = argparse.ArgumentParser(description="A bad week at a gateway; see tests/week.")
    options.add_argument("--minutes", type=float, default=0, help="further weeks are begun for so long")
    options.add_argument("--seed", type=int, default=0, help="of the first week: which hours")
    options.add_argument("--log", action="store_true", help="show what lora-post logs")
    chosen = options.parse_args()
    if chosen.log:
        logging.basicConfig(level=logging.WARNING)
    else:
        logging.getLogger("lora_post").addHandler(logging.NullHandler())
    is_wrong, seed, began = False, chosen.seed, time.monotonic()
    with Progress(console=Console(stderr=True)) as bar:
        while seed == chosen.seed or time.monotonic() - began < 60 * chosen.minutes:
            task = bar.add_task(f"week {seed}", total=1.0)

            def progress(share: float, text: str, task: object = task) -> None:
                bar.update(task, completed=min(share, 1.0), description=text)  # type: ignore[arg-type]

            with tempfile.TemporaryDirectory() as folder:
                summary = week(Path(folder), whole_week(Random(seed)), Random(seed), progress)
            bar.remove_task(task)
            print(f"seed={seed} {summary.line}", flush=True)
            is_wrong = is_wrong or bool(summary.wrong)
            seed += 1
    sys.exit(1 if is_wrong else 0)


if __name__ == "__main__":
    main()
