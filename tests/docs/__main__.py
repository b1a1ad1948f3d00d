"""`python -m tests.docs --update` writes the pages that are made from the code; without the option it shows them."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.docs.configuration import page

TARGET = Path(__file__).parents[2] / "docs" / "configuration.md"

if sys.argv[1:] == ["--update"]:
    TARGET.write_text(page(), "utf-8")
elif sys.argv[1:]:
    raise SystemExit(__doc__)
else:
    print(page(), end="")
