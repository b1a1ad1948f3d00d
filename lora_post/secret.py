"""Text that must not be shown."""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

_KEY: Final = re.compile(
    r"(?:(?:0x|\\x)?[0-9a-f]{2}[\s,:;._|-]{0,2}){12,}[0-9a-f]?"
    r"|(?:(?<=key)|(?<=keys)|(?<=password)|(?<=passwd)|(?<=pass)|(?<=psk)|(?<=token)|(?<=secret)|(?<=cpin))\b.*",
    re.IGNORECASE,
)
"""Twelve bytes and more: a key has sixteen, some of which a serial line may lose; a DevEUI, with eight, stays."""


def hide_secrets(text: str) -> str:
    """Return what a radio program says with stars for what may be a key: long hex, and all behind the word key."""
    return _KEY.sub(lambda found: re.sub(r"\w", "*", found[0]), text)


class Secret:
    """A password or token; `repr` and `str` hide it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself, for the one place that needs it."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


class Account(Struct, frozen=True):
    """Whom a server knows us as, and how we prove it."""

    username: str
    password: Secret
