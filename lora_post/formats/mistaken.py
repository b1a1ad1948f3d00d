"""Notice an input whose `format` is not what arrives: lines that another format surely has, or no known ones."""

from __future__ import annotations

import logging
import re
from typing import Final

from lora_post.formats.line_reader import LineReader, show
from lora_post.formats.parser import Parser
from lora_post.formats.signatures import formats_of
from lora_post.model import Heard, Noise, NoiseReason
from lora_post.text import plural
from lora_post.times import WallUs

ENOUGH: Final = 3
"""So many lines of one other format, and no frame: a line or two may be damage."""

STRANGE: Final = 20
"""So many lines that no radio program prints, and no frame: a person is told. Programs print fewer when they start."""

log = logging.getLogger(__name__)

# What prints frames as no format has them. Sources: the examples in the manuals and sketches of their makers.
_UNREAD: Final = {
    "a Seeed LoRa-E5 in test mode": re.compile(rb"\+TEST: "),
    "a Dragino LA66": re.compile(rb"Data: \(HEX:\)|Rssi= ?-?\d"),
    "a sketch of Heltec or arduino-LoRa": re.compile(rb"[Rr]eceived packet ['\"]"),
}

_TALK: Final = (b"^", b"--", b"OK", b"\xff\xfe")  # as lines of LowCostLoRaGw's programs begin
_AS_LINES: Final = 'have the bytes of each frame printed in hex, alone on a line, and set format = "lines"'
_MAX_LINE: Final = 1 << 13  # longer ones tell no format that shorter ones do not


class MistakenFormat:
    """Another parser; says once which format its input has, when it has a different one. Looks no more after a frame.

    With the default format it also logs once that all lines are strange: their bytes are no noise, as radio programs
    print what they like. name: the format as configured.
    """

    def __init__(self, parser: Parser, name: str) -> None:
        self._parser = parser
        self._name = name
        self._lines = LineReader(_MAX_LINE)
        self._seen: dict[str, int] = {}
        self._is_open = True
        self._first_strange = b""
        self._strange = 0

    def feed(self, data: bytes, now_us: WallUs) -> list[Heard]:
        """Take bytes that arrived at now_us and return what they complete; b"": only time has passed."""
        events = list(self._parser.feed(data, now_us))
        return self._looked(events, self._lines.feed(data), ENOUGH) if self._is_open else events

    def finish(self, now_us: WallUs) -> list[Heard]:
        """End of input: return what the remaining bytes still give. One line tells the format now."""
        events = list(self._parser.finish(now_us))
        return self._looked(events, [self._lines.take_rest()], 1) if self._is_open else events

    def _looked(self, events: list[Heard], lines: list[bytes | Noise], enough: int) -> list[Heard]:
        """Return events, and what lines and their formats say beside them."""
        if not all(isinstance(event, Noise) for event in events):
            self._is_open = False
            return events
        self._count(lines)
        return events + self._judge(enough)

    def _count(self, lines: list[bytes | Noise]) -> None:
        for line in lines:
            if not isinstance(line, bytes):
                continue
            plain = line.strip()
            found = formats_of(plain) or {name for name, pattern in _UNREAD.items() if pattern.match(plain)}
            if found and self._name not in found:
                for name in found:
                    self._seen[name] = self._seen.get(name, 0) + 1
            elif not found and self._name == "lowcost" and plain and not line.startswith(_TALK):
                self._first_strange = self._first_strange or line
                self._strange += 1
                if self._strange == STRANGE:
                    self._tell()

    def _tell(self) -> None:
        """Log what was expected, and what came."""
        log.warning(
            'no frame in %s that a radio program of format "lowcost" does not print, the first is %s; '
            "it prints ^p1,16,6,… before each frame: set the format of this [[input]] to what arrives (%s …)",
            plural(STRANGE, "line"),
            show(self._first_strange),
            "rxpk, lines, rn2483, rak, reyax",
        )

    def _judge(self, enough: int) -> list[Heard]:
        name, count = max(self._seen.items(), key=lambda item: item[1], default=("", 0))
        if count < enough:
            return []
        self._is_open = False
        look = "1 line looks" if count == 1 else f"{count} lines look"
        detail = f'no frame so far, and {look} like {name}, not {self._name}: set format = "{name}"'
        if name in _UNREAD:
            detail = f"no frame so far, and {look} like {name}, which no format reads: {_AS_LINES}"
        return [Noise(NoiseReason.UNKNOWN_FORMAT, 0, detail)]
