"""Text lines out of a stream of bytes, and parsers that need one line at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from lora_post.model import Heard, Noise, NoiseReason
from lora_post.secret import hide_secrets
from lora_post.times import WallUs

_SHOWN: Final = 64
_LOOKED_AT: Final = 256  # for keys: of one that begins in what is shown, the end is seen

ReadLine: TypeAlias = Callable[[bytes, str, WallUs], Sequence[Heard]]
"""(line without its end, gateway, now_us) -> what the line says; never raises."""


class LineReader:
    """Cuts a stream at line feeds; holds less than max_line bytes.

    A longer line is noise once, at the moment when the limit is reached; its rest is skipped.
    """

    def __init__(self, max_line: int) -> None:
        self._max_line = max_line
        self._held = b""
        self._skipping = False  # the rest of the line is noise

    def feed(self, data: bytes) -> list[bytes | Noise]:
        """Return the lines that these bytes complete, without their line feeds."""
        lines: list[bytes | Noise] = []
        *pieces, rest = (self._held + data).split(b"\n")
        if self._skipping and pieces:
            del pieces[0]
            self._skipping = False
        for piece in pieces:
            lines.append(piece if len(piece) < self._max_line else self._too_long(piece))
        if self._skipping:
            rest = b""
        elif len(rest) >= self._max_line:
            lines.append(self._too_long(rest))
            self._skipping = True
            rest = b""
        self._held = rest
        return lines

    def take_rest(self) -> bytes:
        """Return and forget what has come of an unfinished line: the next byte begins a line."""
        rest, self._held, self._skipping = self._held, b"", False
        return rest

    def _too_long(self, line: bytes) -> Noise:
        return Noise(NoiseReason.LINE_TOO_LONG, self._max_line, show(line))


class LineParser:
    """A parser for formats in which each line stands alone; the last one needs no line end.

    An unfinished line waits as long as it takes: a program that writes into a pipe in blocks stops
    anywhere, and goes on when it has something to say.
    """

    def __init__(self, gateway: str, max_line: int, read_line: ReadLine) -> None:
        self._gateway = gateway
        self._lines = LineReader(max_line)
        self._read_line = read_line

    def feed(self, data: bytes, now_us: WallUs) -> list[Heard]:
        """Take bytes that arrived at now_us and return what they complete."""
        events: list[Heard] = []
        for line in self._lines.feed(data):
            if isinstance(line, Noise):
                events.append(line)
            else:
                events += self._read_line(line, self._gateway, now_us)
        return events

    def finish(self, now_us: WallUs) -> list[Heard]:
        """End the input: what is left is a line."""
        return [*self._read_line(self._lines.take_rest(), self._gateway, now_us)]


def show(data: bytes) -> str:
    """Return bytes as one printable line, not too long, and without keys that a radio program prints."""
    shown = hide_secrets(data[:_LOOKED_AT].decode("latin-1")).encode("latin-1")
    text = repr(shown[: _SHOWN + 2].rstrip(b"\r\n")[:_SHOWN])[2:-1]
    return text if len(data) <= _SHOWN else text + "…"
