"""Notice an input whose `format` is not what arrives: nothing but noise, and lines that another format surely has."""

from __future__ import annotations

from typing import Final

from lora_post.formats.line_reader import LineReader
from lora_post.formats.parser import Parser
from lora_post.formats.signatures import formats_of
from lora_post.model import Heard, Noise, NoiseReason
from lora_post.times import WallUs

ENOUGH: Final = 3
"""So many lines of one other format, and no frame: a line or two may be damage."""

_MAX_LINE: Final = 1 << 13  # longer ones tell no format that shorter ones do not


class MistakenFormat:
    """Another parser; says once which format its input has, when it has a different one. Looks no more after a frame.

    name: the format as configured.
    """

    def __init__(self, parser: Parser, name: str) -> None:
        self._parser = parser
        self._name = name
        self._lines = LineReader(_MAX_LINE)
        self._seen: dict[str, int] = {}
        self._is_open = True

    def feed(self, data: bytes, now_us: WallUs) -> list[Heard]:
        """Take bytes that arrived at now_us and return what they complete; b"": only time has passed."""
        events = list(self._parser.feed(data, now_us))
        if self._is_open:
            self._look(self._lines.feed(data))
            events += self._judge(events, ENOUGH)
        return events

    def finish(self, now_us: WallUs) -> list[Heard]:
        """End of input: return what the remaining bytes still give. One line tells the format now."""
        events = list(self._parser.finish(now_us))
        if self._is_open:
            self._look([self._lines.take_rest()])
            events += self._judge(events, 1)
        return events

    def _look(self, lines: list[bytes | Noise]) -> None:
        for line in lines:
            if isinstance(line, bytes) and (found := formats_of(line.strip())) and self._name not in found:
                for name in found:
                    self._seen[name] = self._seen.get(name, 0) + 1

    def _judge(self, events: list[Heard], enough: int) -> list[Heard]:
        if not all(isinstance(event, Noise) for event in events):
            self._is_open = False
            return []
        name, count = max(self._seen.items(), key=lambda item: item[1], default=("", 0))
        if count < enough:
            return []
        self._is_open = False
        look = "1 line looks" if count == 1 else f"{count} lines look"
        detail = f'no frame so far, and {look} like {name}, not {self._name}: set format = "{name}"'
        return [Noise(NoiseReason.UNKNOWN_FORMAT, 1, detail)]
