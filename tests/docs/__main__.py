"""`python -m tests.docs --update` writes what the pages in docs/ take from the code."""

from __future__ import annotations

import sys

from tests.docs import architecture
from tests.docs.configuration import page
from tests.docs.troubles import PAGE, log_lines, refreshed
from tests.support.paths import ROOT

if sys.argv[1:] != ["--update"]:
    raise SystemExit(__doc__)
(ROOT / "docs" / "configuration.md").write_text(page(), "utf-8")
PAGE.write_text(refreshed(PAGE.read_text("utf-8"), log_lines()), "utf-8")
architecture.PAGE.write_text(architecture.refreshed(architecture.PAGE.read_text("utf-8")), "utf-8")
