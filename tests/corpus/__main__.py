"""python -m tests.corpus FOLDER [--verbose]: one line of figures for each collection of published codecs.

FOLDER: a collection, or a folder of collections: copies of the repositories in which makers publish their codecs.
--verbose: what each figure counts, too.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.corpus.figures import figures_of
from tests.corpus.published import find_published


def main(arguments: list[str]) -> int:
    """Print the figures; 0, or 2 where there is no codec."""
    folders = [Path(argument) for argument in arguments if not argument.startswith("-")]
    if len(folders) != 1 or not folders[0].is_dir():
        print(__doc__)
        return 2
    total = 0
    for name, folder in _collections(folders[0]):
        figures = figures_of(find_published(folder))
        total += figures.codecs
        print(f"{name}: {figures.line()}", flush=True)
        if "--verbose" in arguments:
            for figure, lines in figures.told.items():
                for line in lines:
                    print(f"  {figure}: {line}")
    return 0 if total else 2


def _collections(folder: Path) -> list[tuple[str, Path]]:
    """Return the folder, if it is a repository's, else its subfolders."""
    marks = ("*.js", "vendor", "vendors", "LICENSE*")
    if any(next(folder.glob(mark), None) for mark in marks):
        return [(folder.name, folder)]
    return [(path.name, path) for path in sorted(folder.iterdir()) if path.is_dir() and path.name[0] not in "._"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
