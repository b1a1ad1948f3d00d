"""`python -m tests.docs --update` writes what the pages in docs/ take from the code."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.docs.configuration import page
from tests.docs.troubles import PAGE, log_lines, refreshed

if sys.argv[1:] != ["--update"]:
    raise SystemExit(__doc__)
(Path(__file__).parents[2] / "docs" / "configuration.md").write_text(page(), "utf-8")
PAGE.write_text(refreshed(PAGE.read_text("utf-8"), log_lines()), "utf-8")
