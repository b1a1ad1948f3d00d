"""The command: one line a case, exit code 1 when one is wrong."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.field.cases import Case, cases


def verdict(case: Case) -> str:
    """The case's line of the table."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            result = case.run(Path(folder))
        except Exception as error:
            result = f"{type(error).__name__}: {error}"
    return f"| {case.name} | {result} | {'right' if result == case.right else 'WRONG'} |"


def main() -> None:
    print("| case | result | |\n|---|---|---|")
    lines = []
    for case in cases(exact=True):
        lines.append(verdict(case))
        print(lines[-1], flush=True)
    sys.exit(any(line.endswith("WRONG |") for line in lines))


if __name__ == "__main__":
    main()
