"""The boundary round each parser: an exception costs the bytes that raised it, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import tzinfo
from functools import partial
from io import BytesIO
from typing import Final

from lora_post.errors import defect
from lora_post.formats.line_reader import show
from lora_post.formats.parser import CopiedParser, MakeParser, Parser
from lora_post.model import Heard, Noise, NoiseReason
from lora_post.times import WallUs

BURST: Final = 2048
_UNTIL_NOW: Final = (b"",)


def defect_noise(error: Exception, data: bytes) -> Noise:
    """Return what is left of bytes over which lora-post itself failed."""
    return Noise(NoiseReason.DEFECT, max(len(data), 1), f"lora-post failed, {defect(error)}, over {show(data)}")


class GuardedParser:
    """Another parser, made anew after an exception that one line raised; lines before and behind it are read.

    A burst is handed on as a whole to a parser that can be copied, which is three times as quick; after an exception it
    is read again, line by line, by the parser as it was before. inner: the parser at the moment.
    """

    def __init__(self, make: Callable[[], Parser]) -> None:
        self._make = make
        self.inner = make()

    def feed(self, data: bytes, now_us: WallUs) -> list[Heard]:
        """Take bytes that arrived at now_us and return what they complete; b"": only time has passed."""
        if len(data) >= BURST and isinstance(self.inner, CopiedParser):
            before = self.inner.copied()
            try:
                return list(self.inner.feed(data, now_us))
            except Exception:  # the parsers' boundary
                self.inner = before
        events: list[Heard] = []
        for line in BytesIO(data) if data else _UNTIL_NOW:
            events += self._try(partial(self.inner.feed, line, now_us), line)
        return events

    def finish(self, now_us: WallUs) -> Sequence[Heard]:
        """End of input: return what the remaining bytes still give."""
        return self._try(partial(self.inner.finish, now_us), b"")

    def _try(self, read: Callable[[], Sequence[Heard]], data: bytes) -> Sequence[Heard]:
        try:
            return read()
        except Exception as error:  # the parsers' boundary
            self.inner = self._make()
            return [defect_noise(error, data)]


def guarded(make: MakeParser) -> MakeParser:
    """Return what makes the same parsers, each within this boundary."""

    def make_guarded(gateway: str, zone: tzinfo) -> Parser:
        return GuardedParser(partial(make, gateway, zone))

    return make_guarded
