"""Define what a log does: it keeps entries in one order, in memory, SQLite or NATS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct


class Logged(Struct, frozen=True, gc=False):
    """An entry as it stands in the log. position: rises along the log."""

    position: int
    subject: str
    data: bytes


class Log(Protocol):
    """Entries by subject, in one order for everybody."""

    def append(self, entries: Sequence[tuple[str, bytes]]) -> Sequence[int | None]:
        """Append entries one by one; return the position of each, None where the outcome is not known."""
        ...

    def read(self, prefix: str, after: int) -> Sequence[Logged]:
        """Return the next entries of subjects with this prefix, empty at the end: decisions are made by this.

        Raises LogUnavailable.
        """
        ...

    def tail(self, prefix: str, after: int, timeout_s: float) -> Sequence[Logged]:
        """Return what `read` does, and wait for it so long. Raises LogUnavailable."""
        ...

    def trim(self, subject: str, before: int) -> None:
        """Delete the entries of a subject before a position, which must be that of a valid one.

        Raises LogUnavailable.
        """
        ...
