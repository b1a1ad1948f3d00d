"""Captures of what an input gave, byte for byte, with times of arrival; read and written.

    lora-post-capture 1                        the first line
    S 0 1772366400000000 {"format":"rak","input":"/dev/ttyUSB0"} 466d386f       stream 0 begins
    D 0 1772366400123456 K0VWVDpSWFAyUDotNTc6ODo0MDAz af9ed129                  bytes that arrived on it

Fields are divided by one blank: kind, number of the stream, µs since 1970 UTC, JSON or base64, and the CRC-32 (as in
zlib, 8 hex digits) of everything before the blank in front of it. A line that was cut off or damaged is recognised by
that and skipped alone.
"""

from __future__ import annotations

import binascii
import re
import zlib
from collections.abc import Iterator, Mapping
from datetime import tzinfo
from typing import Final, Literal

import msgspec
from msgspec import Struct

from lora_post.formats.line_reader import LineReader, show
from lora_post.formats.parser import MakeParser, Parser
from lora_post.model import Heard, Noise, NoiseReason
from lora_post.times import WallUs

MAGIC: Final = b"lora-post-capture 1\n"

MAX_DATA: Final = 4096
"""Bytes in one line; more that arrived together are several lines of one time."""

MAX_STREAMS: Final = 64

_MAX_LINE: Final = 8192
_MAX_TIME_US: Final = 253_402_300_799_000_000  # the end of the year 9999
_match_line: Final = re.compile(rb"([SD]) (\d{1,2}) (\d{1,18}) (.+) ([0-9a-f]{8})", re.DOTALL).fullmatch
_match_magic: Final = re.compile(rb"lora-post-capture (\d{1,9})").fullmatch


class _Start(Struct):
    """What an S line says."""

    format: str
    input: str = ""


class _Stream(Struct, gc=False):
    """The parser of one stream, and when bytes last arrived on it."""

    parser: Parser
    at_us: WallUs


class CaptureParser:
    """Reads one capture: each stream through the parser of its format, at its times of arrival.

    formats: what streams may have. Holds one line, 8 kB, and what its streams' parsers hold.
    """

    def __init__(self, formats: Mapping[str, MakeParser], gateway: str, zone: tzinfo) -> None:
        self._formats = formats
        self._gateway = gateway
        self._zone = zone
        self._lines = LineReader(_MAX_LINE)
        self._streams: dict[int, _Stream] = {}

    def feed(self, data: bytes, now_us: WallUs) -> list[Heard]:
        """Take bytes of the file; now_us: not used, the lines have times."""
        events: list[Heard] = []
        for line in self._lines.feed(data):
            if isinstance(line, Noise):
                events.append(line)
            else:
                events += self._take(line)
        return events

    def finish(self, now_us: WallUs) -> list[Heard]:
        """End the file: a last line that is cut short is what a power cut leaves."""
        events: list[Heard] = []
        if rest := self._lines.take_rest():
            events.append(Noise(NoiseReason.TRUNCATED, len(rest), show(rest)))
        for stream in self._streams.values():
            events += stream.parser.finish(stream.at_us)
        self._streams.clear()
        return events

    def _take(self, line: bytes) -> list[Heard]:
        if magic := _match_magic(line):
            return [] if magic[1] == b"1" else [_noise(NoiseReason.BAD_HEADER, line)]
        match = _match_line(line)
        if match is None:
            return [_noise(NoiseReason.BAD_LINE, line)]
        kind, number, time, content, crc = match.groups()
        if zlib.crc32(line[: match.start(5) - 1]) != int(crc, 16) or int(time) > _MAX_TIME_US:
            return [_noise(NoiseReason.DAMAGED, line)]
        if kind == b"S":
            return self._start(line, int(number), content, WallUs(int(time)))
        stream = self._streams.get(int(number))
        if stream is None:
            return [_noise(NoiseReason.STRAY_PAYLOAD, line)]
        try:
            data = binascii.a2b_base64(content, strict_mode=True)
        except binascii.Error:
            return [_noise(NoiseReason.BAD_LINE, line)]
        stream.at_us = WallUs(int(time))
        # What was given up in a pause then is given up now.
        return [*stream.parser.feed(b"", stream.at_us), *stream.parser.feed(data, stream.at_us)]

    def _start(self, line: bytes, number: int, content: bytes, time_us: WallUs) -> list[Heard]:
        old = self._streams.pop(number, None)
        events = list(old.parser.finish(old.at_us)) if old else []
        try:
            start = msgspec.json.decode(content, type=_Start)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return [*events, _noise(NoiseReason.BAD_LINE, line)]
        if start.format not in self._formats or number >= MAX_STREAMS:
            return [*events, _noise(NoiseReason.BAD_HEADER, line)]
        self._streams[number] = _Stream(self._formats[start.format](self._gateway, self._zone), time_us)
        return events


def start_line(stream: int, time_us: WallUs, input_format: str, name: str) -> bytes:
    """Return the line with which a stream begins.

    stream: below MAX_STREAMS. name: how logs call the input.
    """
    content = msgspec.json.encode(_Start(input_format, name[:256]))
    return _line("S", stream, time_us, content)


def data_lines(stream: int, time_us: WallUs, data: bytes) -> Iterator[bytes]:
    """Yield the lines for bytes that arrived together."""
    for at in range(0, len(data), MAX_DATA):
        yield _line("D", stream, time_us, binascii.b2a_base64(data[at : at + MAX_DATA], newline=False))


def _line(kind: Literal["S", "D"], stream: int, time_us: WallUs, content: bytes) -> bytes:
    text = b"%s %d %d %s" % (kind.encode(), stream, max(time_us, 0), content)
    return b"%s %08x\n" % (text, zlib.crc32(text))


def _noise(reason: NoiseReason, line: bytes) -> Noise:
    return Noise(reason, len(line) + 1, show(line) or "an empty line")
