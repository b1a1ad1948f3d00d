"""What all input formats have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import tzinfo
from typing import Protocol, TypeAlias, runtime_checkable

from lora_post.model import Heard
from lora_post.times import WallUs


class Parser(Protocol):
    """Bytes in, frames out; owns no clock and does no IO.

    The same bytes give the same events however they are cut. Times are µs since 1970 UTC.
    """

    def feed(self, data: bytes, now_us: WallUs) -> Sequence[Heard]:
        """Take bytes that arrived at now_us and return what they complete.

        b"" tells only that time has passed: a frame that stopped half-way is then given up.
        """
        ...

    def finish(self, now_us: WallUs) -> Sequence[Heard]:
        """End of input: return what the remaining bytes still give."""
        ...


@runtime_checkable
class CopiedParser(Parser, Protocol):
    """A parser that can be copied where it is in the stream."""

    def copied(self) -> Parser:
        """Return another one that goes on from here."""
        ...


MakeParser: TypeAlias = Callable[[str, tzinfo], Parser]
"""Made from the gateway's id and the zone of times that tell none."""
