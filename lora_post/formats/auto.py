"""Finds out what format a stream has, and then is the parser of that format.

Until a line, or the file's first bytes, tell the format, everything is held, with its times, up to a limit;
the chosen parser then gets all of it. Nothing is guessed: a stream that stays unknown is noise that says so.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import tzinfo
from typing import Final

from lora_post.formats.line_reader import show
from lora_post.formats.parser import MakeParser, Parser
from lora_post.formats.signatures import MAGIC_SIZE, MAGICS, formats_of, may_be_hex
from lora_post.model import Heard, Noise, NoiseReason
from lora_post.times import WallUs

log = logging.getLogger(__name__)

MAX_HELD: Final = 1 << 19
"""Twice the longest line of any format, which is a network server's."""

SAY_AFTER: Final = 4096
"""A person who sees nothing arrive is told why after this many bytes."""

MAX_NOISE: Final = 20
"""Noise so many times in a row, without a frame, is the wrong format or the wrong baud rate."""

_MAX_MARKS: Final = 1024
_ENOUGH_HEX: Final = 2


class AutoParser:
    """A parser that finds out the format first; holds at most 512 KiB until then.

    chosen: the name of the format, "" until it is known. formats: what there is to choose from.
    """

    def __init__(self, formats: Mapping[str, MakeParser], gateway: str, zone: tzinfo) -> None:
        self.chosen = ""
        self._formats = formats
        self._gateway = gateway
        self._zone = zone
        self._parser: Parser | None = None
        self._noise = 0  # since the last frame
        self._begin()

    def _begin(self) -> None:
        self._held = bytearray()
        self._marks: list[tuple[int, WallUs]] = []  # where in the held bytes a time of arrival begins
        self._judged = 0  # lines up to here have told nothing
        self._at_start = True  # the held bytes begin the stream
        self._hex_lines = 0
        self._said = False

    def feed(self, data: bytes, now_us: WallUs) -> list[Heard]:
        """Take bytes that arrived at now_us; nothing comes back before the format is known."""
        if self._parser is not None:
            return self._watch(self._parser.feed(data, now_us))
        if not data:
            return []
        self._hold(data, now_us)
        name = self._find()
        return self._choose(name) if name else self._limit()

    def finish(self, now_us: WallUs) -> list[Heard]:
        """End of input."""
        events: list[Heard] = []
        if self._parser is None and self._held:
            self._held += b"\n"
            name = self._find() or ("lines" if self._hex_lines else "")
            del self._held[-1:]
            if name:
                events += self._choose(name)
            else:
                events.append(self._unknown(len(self._held)))
        if self._parser is not None:
            events += self._watch(self._parser.finish(now_us))
        self._begin()
        return events

    def _hold(self, data: bytes, now_us: WallUs) -> None:
        if (not self._marks or self._marks[-1][1] != now_us) and len(self._marks) < _MAX_MARKS:
            self._marks.append((len(self._held), now_us))
        self._held += data

    def _find(self) -> str:
        """Return the format if it can be told by now, else ""."""
        held = self._held
        if self._at_start and self._judged == 0:
            start = bytes(held[:MAGIC_SIZE])
            if start in MAGICS:
                return MAGICS[start]
            if any(magic.startswith(start) for magic in MAGICS):
                return ""
        while end := held.find(b"\n", self._judged) + 1:
            line = bytes(held[self._judged : end]).strip()
            self._judged = end
            found = formats_of(line) & self._formats.keys()
            if len(found) == 1:
                return found.pop()
            if not found and may_be_hex(line):
                self._hex_lines += 1
                if self._hex_lines == _ENOUGH_HEX:
                    return "lines"
        return ""

    def _choose(self, name: str) -> list[Heard]:
        log.info("the input's format is %s", name)
        self.chosen = name
        self._parser = parser = self._formats[name](self._gateway, self._zone)
        held = bytes(self._held)
        ends = [at for at, _ in self._marks[1:]] + [len(held)]
        events: list[Heard] = []
        for (start, now_us), end in zip(self._marks, ends, strict=True):
            if start < end:
                events += parser.feed(held[start:end], now_us)
        self._begin()
        return self._watch(events)

    def _limit(self) -> list[Heard]:
        """Say it when nothing is recognised, and let go of the oldest bytes when there are too many."""
        size = len(self._held)
        if size > MAX_HELD:
            drop = max(size - MAX_HELD // 2, 1)
            noise = self._unknown(drop)
            del self._held[:drop]
            self._judged = max(self._judged - drop, 0)
            self._at_start = False
            first_us = max((mark for mark in self._marks if mark[0] <= drop), default=self._marks[0])[1]
            self._marks = [(0, first_us)] + [(at - drop, time) for at, time in self._marks if at > drop]
            return [noise]
        if size > SAY_AFTER and not self._said:
            self._said = True
            return [self._unknown(size)]
        return []

    def _unknown(self, size: int) -> Noise:
        names = ", ".join(self._formats)
        detail = f"format not recognised, set format to one of {names}; it begins {show(bytes(self._held[:256]))}"
        return Noise(NoiseReason.UNKNOWN_FORMAT, size, detail)

    def _watch(self, events: Iterable[Heard]) -> list[Heard]:
        """Return the same events, and a doubt about the choice if all of them are noise."""
        watched: list[Heard] = []
        for event in events:
            watched.append(event)
            self._noise = self._noise + 1 if isinstance(event, Noise) else 0
            if self._noise == MAX_NOISE:
                self._noise = 0
                names = ", ".join(name for name in self._formats if name != self.chosen)
                detail = (
                    f"noise {MAX_NOISE} times in a row, no frame: if this is not {self.chosen}, set format to {names}"
                )
                watched.append(Noise(NoiseReason.UNKNOWN_FORMAT, 0, detail))
        return watched
