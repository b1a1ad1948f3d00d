"""Run one bench by its name: `python -m tests.bench growth --help`."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

FOLDER = Path(__file__).parent


def main() -> None:
    names = sorted(path.stem.removeprefix("bench_") for path in FOLDER.glob("bench_*.py"))
    if len(sys.argv) < 2 or sys.argv[1] not in names:
        sys.exit(f"usage: python -m tests.bench NAME [options], where NAME is one of {', '.join(names)}")
    name = sys.argv.pop(1)
    sys.argv[0] = f"python -m tests.bench {name}"
    import_module(f"tests.bench.bench_{name}").main()


if __name__ == "__main__":
    main()
