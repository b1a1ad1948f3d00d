"""Scripts of pages, and whether they take text for markup."""

from __future__ import annotations

import re

TAKES_MARKUP = re.compile(
    r"(inner|outer)HTML|insertAdjacentHTML|setHTML|document\.write|DOMParser|createContextualFragment|srcdoc|\beval\("
)
