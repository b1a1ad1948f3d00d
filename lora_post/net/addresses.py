"""Socket addresses as people write them."""

from __future__ import annotations

from typing import Any


def address_text(address: Any) -> str:
    """Return a socket address as people write it."""
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
