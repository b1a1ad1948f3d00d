"""Captures of LoRa frames as pcap files, link type 270 (LoRaTap), read and written.

A pcapng file is recognised, and left to `pcapng`.

    magic(4) | major(2) | minor(2) | zone(4) | sigfigs(4) | snaplen(4) | network(4)              once
    seconds(4) | fraction(4) | captured length(4) | original length(4) | that many bytes         for each packet

The magic number tells the byte order, and whether fractions are µs or ns.

Nothing marks where a packet begins. After damage the next one is searched for: a packet's header
whose two lengths agree, with a LoRaTap header behind it. The search begins inside the last packet,
which may have swallowed the beginning of the next one.

Sources: tcpdump: pcap-savefile(5); the link-layer header types of tcpdump.org.
"""

from __future__ import annotations

import re
from datetime import tzinfo
from struct import Struct as Layout
from typing import Final, Literal

from msgspec import Struct

from lora_post.formats import pcapng
from lora_post.formats.line_reader import show
from lora_post.formats.loratap import build_loratap, read_loratap
from lora_post.formats.pcapng import PcapngParser
from lora_post.model import Frame, Noise, NoiseReason
from lora_post.times import WallUs

MIN_RECORD: Final = 15
"""The shortest LoRaTap header; zeros, as a power cut leaves them behind, are not packets."""

MAX_RECORD: Final = 1024
"""The longest LoRaTap header that is known and the longest frame have 290 bytes together."""

_LORATAP: Final = 270
_NETWORK_MASK: Final = 0x03FF_FFFF
_MICRO: Final = 0xA1B2C3D4
_NANO: Final = 0xA1B23C4D
_MAX_TIME_US: Final = (1 << 32) * 1_000_000 - 1
_FILE_SIZE: Final = 24
_MAGIC_SIZE: Final = 4
_RECORD_SIZE: Final = 16
_LITTLE: Final = (Layout("<IHHiIII"), Layout("<IIII"))
_BIG: Final = (Layout(">IHHiIII"), Layout(">IIII"))
# How LoRaTap headers begin, versions 0 and 1, and how much must be there to see one.
_search_loratap: Final = re.compile(rb"\x00.\x00\x0f|\x01.\x00\x23", re.DOTALL).search
_SEARCHED_SIZE: Final = _RECORD_SIZE + 4


class _Lost(Struct, gc=False):
    """A search. at: where it began, counted in the held bytes; below 0 when they are gone."""

    reason: NoiseReason
    at: int
    detail: str


class PcapParser:
    """Reads one capture, from a pipe too; holds at most two packets, about 2 kB.

    zone: not used, captures have UTC. After the end of input, or of a capture that is not LoRaTap, it waits for the
    next file.
    """

    def __init__(self, gateway: str, zone: tzinfo) -> None:
        self._gateway = gateway
        self._zone = zone
        self._reset()

    def _reset(self) -> None:
        self._held = b""  # begins with the packet that was read last
        self._next = 0  # where the next packet begins in it
        self._layout: Layout | None = None  # of a packet's header; None before the file's header
        self._ticks = 1_000_000  # fractions of a second
        self._pcapng: PcapngParser | None = None  # reads the rest of the file
        self._foreign = False  # not a capture of LoRaTap
        self._lost: _Lost | None = None  # a packet is searched for

    def feed(self, data: bytes, now_us: WallUs) -> list[Frame | Noise]:
        """Take bytes and return what they complete; packets have times of their own."""
        events: list[Frame | Noise] = []
        if self._foreign:
            return events
        if self._pcapng is not None:
            return self._pcapng.feed(data, now_us)
        self._held += data
        if self._layout is None:
            self._read_file_header(events)
        if self._layout is not None:
            self._read_records(self._layout, events)
        return events

    def finish(self, now_us: WallUs) -> list[Frame | Noise]:
        """End the input: a last packet cut short is usual, the writer may be at work still."""
        events: list[Frame | Noise] = []
        if self._pcapng is not None:
            events += self._pcapng.finish(now_us)
        if self._layout is not None and len(self._held) > self._next:
            if self._lost is None:
                self._lose(NoiseReason.TRUNCATED, self._held, self._next)
                self._next = 0
            while len(self._held) > self._next:
                # From behind a packet that seems to begin here and never ends.
                self._next += 1
                self._read_records(self._layout, events)
            self._tell_lost(len(self._held), events)
        elif self._held and self._layout is None:
            events.append(Noise(NoiseReason.TRUNCATED, len(self._held), show(self._held)))
        self._reset()
        return events

    def _read_file_header(self, events: list[Frame | Noise]) -> None:
        held = self._held
        if len(held) < _FILE_SIZE:
            return
        if held.startswith(pcapng.MAGIC):
            self._pcapng = PcapngParser(self._gateway, self._zone)
            events += self._pcapng.feed(held, WallUs(0))
            self._held = b""
        else:
            for layout, record in (_LITTLE, _BIG):
                magic, *_, network = layout.unpack_from(held)
                if magic in (_MICRO, _NANO):
                    if network & _NETWORK_MASK != _LORATAP:
                        self._refuse(f"link type {network & _NETWORK_MASK}, want {_LORATAP} (LoRaTap)", events)
                        return
                    self._layout = record
                    self._ticks = 1_000_000 if magic == _MICRO else 1_000_000_000
                    self._held = held[_FILE_SIZE:]
                    return
            self._refuse(f"no pcap file: it begins with {show(held[:_MAGIC_SIZE])}", events)

    def _refuse(self, detail: str, events: list[Frame | Noise]) -> None:
        events.append(Noise(NoiseReason.BAD_HEADER, min(len(self._held), _FILE_SIZE), detail))
        self._foreign = True
        self._held = b""

    def _read_records(self, layout: Layout, events: list[Frame | Noise]) -> None:
        held, last, at = self._held, 0, self._next
        end = len(held)
        while True:
            if self._lost is not None:
                last = at = _search(held, at)
            if end - at < (_RECORD_SIZE if self._lost is None else _SEARCHED_SIZE):
                break
            seconds, fraction, size, full_size = layout.unpack_from(held, at)
            if not (MIN_RECORD <= size == full_size <= MAX_RECORD and fraction < self._ticks):
                if self._lost is None:
                    is_cut = MIN_RECORD <= size < full_size <= MAX_RECORD
                    self._lose(NoiseReason.TRUNCATED if is_cut else NoiseReason.DAMAGED, held, at)
                    at = last
                at += 1
                continue
            stop = at + _RECORD_SIZE + size
            if stop > end:
                break
            self._tell_lost(at, events)
            time_us = WallUs(seconds * 1_000_000 + fraction * 1_000_000 // self._ticks)
            events.append(read_loratap(held[at + _RECORD_SIZE : stop], self._gateway, time_us))
            last, at = at, stop
        self._held, self._next = held[last:], at - last
        if self._lost is not None:
            self._lost.at -= last

    def _lose(self, reason: NoiseReason, held: bytes, at: int) -> None:
        """Begin to search for the next packet: none begins here."""
        self._lost = _Lost(reason, at, show(held[at : at + _RECORD_SIZE]))

    def _tell_lost(self, at: int, events: list[Frame | Noise]) -> None:
        """Tell of the bytes between where a search began and where it ended.

        It ends behind that place, or inside the packet before it.
        """
        if self._lost is not None:
            events.append(Noise(self._lost.reason, max(at - self._lost.at, 1), self._lost.detail))
            self._lost = None


def write_pcap_header() -> bytes:
    """Return what a capture begins with: little-endian, µs, LoRaTap."""
    return _LITTLE[0].pack(_MICRO, 2, 4, 0, 0, 0xFFFF, _LORATAP)


def pcap_record(frame: Frame, version: Literal[0, 1] = 1) -> bytes:
    """Return one frame of a capture. Times end in the year 2106.

    version: of the LoRaTap header; 1 says more, 0 is for Wireshark before 4.2. See `build_loratap`.
    """
    seconds, fraction = divmod(min(max(frame.time_us, 0), _MAX_TIME_US), 1_000_000)
    packet = build_loratap(frame, version)
    return _LITTLE[1].pack(seconds, fraction, len(packet), len(packet)) + packet


def pcap_end(header: bytes, at: int) -> int | None:
    """Return where the packet ends that begins here; None when none begins here.

    Its header is as `pcap_record` writes it.
    """
    if len(header) < _RECORD_SIZE:
        return None
    _, fraction, size, full_size = _LITTLE[1].unpack(header)
    if not (MIN_RECORD <= size == full_size <= MAX_RECORD and fraction < 1_000_000):
        return None
    return at + _RECORD_SIZE + int(size)


def _search(held: bytes, at: int) -> int:
    """Return the next place where a packet may begin, or the first that cannot be judged yet."""
    found = _search_loratap(held, at + _RECORD_SIZE)
    return found.start() - _RECORD_SIZE if found else max(at, len(held) - _SEARCHED_SIZE + 1)
