"""Where the parts of the repository lie that tests read."""

from __future__ import annotations

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
FIXTURES: Final = ROOT / "fixtures"
DOCS: Final = ROOT / "docs"
