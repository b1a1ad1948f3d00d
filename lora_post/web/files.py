"""The files that all pages share, by the path under which they are served."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Final

SHARED: Final = {
    "/web/look.css": ("css", "look.css"),
    "/web/parts.js": ("javascript", "parts.js"),
}
"""Path -> kind of text, as in text/css, and file name."""


@cache
def page_file(package: str, name: str) -> bytes:
    """A file of the folder `static` of a package."""
    return resources.files(package).joinpath("static", name).read_bytes()
