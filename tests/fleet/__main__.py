"""The command: one line, exit code 1 when it shows a mistake."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.fleet.bad_days import EVERY_S, Fleet, bad_days
from tests.fleet.home.bad_days import HomeFleet
from tests.fleet.home.in_process import home_days
from tests.fleet.in_process import days_in_process


def main() -> None:
    options = argparse.ArgumentParser(description="Bad days of a fleet; see tests/fleet.")
    options.add_argument("--seconds", type=float, default=60, help="how long the bad days last")
    options.add_argument("--seed", type=int, default=0, help="which faults")
    options.add_argument("--frames", type=float, default=20, help="frames a second on the air, on average")
    options.add_argument("--servers", type=int, default=3, help="nats-servers of the hub")
    options.add_argument("--every", type=float, default=EVERY_S, help="seconds from one fault to the next")
    options.add_argument("--folder", type=Path, help="keep spools and logs there; must not exist yet")
    options.add_argument("--in-process", type=int, metavar="UPLINKS", help="without servers; with joins")
    options.add_argument("--home", action="store_true", help="a home gateway has half of the devices")
    chosen = options.parse_args()
    if chosen.in_process:
        run = home_days if chosen.home else days_in_process
        outcome = run(chosen.in_process, chosen.seed)
        print(outcome.line)
        sys.exit(0 if outcome.is_right else 1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = chosen.folder or Path(scratch) / "fleet"
        folder.mkdir()
        kind = HomeFleet if chosen.home else Fleet
        verdict = bad_days(folder, chosen.seconds, chosen.seed, chosen.frames, chosen.servers, chosen.every, kind)
    print(verdict.line)
    sys.exit(0 if verdict.is_right else 1)


if __name__ == "__main__":
    main()
