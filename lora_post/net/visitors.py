"""Who may see a page, and what a browser may do with it."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

PAGE_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
"""Nothing from elsewhere, nothing inline, no frame around it."""


def host_name(host: str) -> str:
    """Return the name in a Host header; a page of another site names that site, even from here."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
