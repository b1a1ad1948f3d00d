"""What a log must do: keep one order. Memory, SQLite and NATS do it alike; what is right is decided by the fold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from lora_post.errors import LoraPostError

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises for bytes that anybody may have written; RecursionError: thousands of lists in one another."""


class FleetError(LoraPostError):
    """The hub of a fleet is not reached, or refuses."""


class LogUnavailable(FleetError):
    """The log cannot be read or written at the moment."""


class LogReplaced(LogUnavailable):
    """The log is not the one that was read: its order begins earlier."""


class Logged(Struct, frozen=True, gc=False):
    """An entry as it stands in the log. position: rises along the log."""

    position: int
    subject: str
    data: bytes


class Log(Protocol):
    """Entries by subject, in one order for everybody."""

    def append(self, entries: Sequence[tuple[str, bytes]]) -> Sequence[int | None]:
        """Append entries, each by itself; return the position of each, None where the outcome is not known."""
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
