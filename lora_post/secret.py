"""Text that must not be shown."""

from __future__ import annotations

from msgspec import Struct


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
